"""Quick looks: every panel shows what it says, whatever there is to show."""

import astropy.units as u
import matplotlib as mpl
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gammax.data import EventList, Observation
from gammax.irf import EffectiveAreaTable2D, RadMax2D
from gammax.maps import MapAxes, MapAxis


@pytest.fixture(autouse=True)
def closed():
    mpl.use("agg")
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


def listed(n, **meta):
    random = np.random.default_rng(1)
    sky = SkyCoord(83.6 + 0.3 * random.normal(size=n), 22 + 0.3 * random.normal(size=n), unit="deg")
    return EventList.create(np.linspace(0, 1200, n) * u.s, np.geomspace(0.1, 10, n) * u.TeV, sky, meta=meta)


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]


def test_events():
    figure = listed(200, RA_PNT=83.6, DEC_PNT=22.0, OBS_ID=5).peek()
    assert titles(figure) == ["Directions", "Energies", "Rate", "Distances"]
    directions, energies, rate, _ = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert 100 < directions.collections[0].get_array().sum() <= 200
    assert energies.patches[0].get_data().values.sum() == 200
    assert rate.get_xlabel() == "Time since the first event [min]"
    assert "Observation 5" in figure.get_suptitle()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_events_and_no_pointing(n):
    figure = listed(n).peek()
    figure.canvas.draw()
    assert "mean direction" in figure.axes[0].get_xlabel()


def test_observation():
    energy = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=4, name="energy_true")
    offset = MapAxis.from_edges([0.0, 1.0], "offset", unit="deg")
    area = EffectiveAreaTable2D(MapAxes([energy, offset]), np.full((4, 1), 1e5), is_pointlike=True)
    cut = RadMax2D(MapAxes([energy.rename("energy"), offset]), np.full((4, 1), 0.1))
    pointing = SkyCoord(83.6, 22, unit="deg")
    options = {"livetime": 1200 * u.s, "irfs": {"aeff": area, "rad_max": cut}}
    events = listed(50, RA_PNT=83.6, DEC_PNT=22.0)
    figure = Observation.create(pointing, events=events, **options).peek()
    figure.canvas.draw()
    assert titles(figure) == ["Directions", "Energies", "Effective area", "Directional cut"]
    assert figure.get_suptitle() == "Observation 0: 20.0 min on time"
    assert titles(Observation.create(pointing, **options).peek()) == ["Effective area", "Directional cut"]
