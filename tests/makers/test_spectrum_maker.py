"""ON spectrum of one observation: closed forms, and faults that name the observation."""

import subprocess
import sys

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from numpy.testing import assert_allclose, assert_array_equal
from regions import CircleSkyRegion, RectangleSkyRegion
from small_run import AREA, LIVETIME, POINTING, SIGMA, SOURCE, area, around, dispersion, empty, observation, point, psf
from small_run import rad_max as energy_dependent_cut

from gammax.errors import DataValueError, GammaxWarning, GeometryError, SchemaError
from gammax.irf import PSF3D, EnergyDispersion2D
from gammax.makers import SpectrumDatasetMaker
from gammax.maps import MapAxes, MapAxis

# bins of ENERGY: 0.1, 0.316, 1, 3.16, 10 TeV
INSIDE = around(SOURCE, [0.0, 0.05, 0.099, 0.05], [0.2, 0.2, 2.0, 1.0])
OUTSIDE = around(SOURCE, [0.101, 0.5], [0.2, 2.0])
OFF_AXIS = around(SOURCE, [0.0, 0.0], [0.099, 10.0])


def test_counts_exposure_dispersion():
    dataset = SpectrumDatasetMaker().run(empty(), observation(INSIDE, OUTSIDE, OFF_AXIS))
    # a bin holds its lower edge (1 TeV) and not its upper one (10 TeV)
    assert_array_equal(dataset.counts.values(), [2, 0, 2, 0])
    assert_allclose(dataset.exposure.values("cm2 s"), AREA * LIVETIME, rtol=1e-12)
    rows = dataset.edisp.pdf_matrix.sum(axis=1)
    assert_allclose(rows[2:-2], 1, atol=1e-6)
    assert (dataset.name, dataset.livetime, dataset.background) == ("empty", LIVETIME, None)
    assert dataset.gti["STOP"][0] - dataset.gti["START"][0] == LIVETIME
    row = dataset.meta_table[0]
    assert (row["OBS_ID"], row["RA_PNT"], row["DEC_PNT"]) == (7, 83.6, 22.5)


def test_dead_time_and_time_cuts_count():
    whole = observation(INSIDE)
    start = whole.tstart
    cut = SpectrumDatasetMaker().run(empty(), whole.select_time([start, start + 400 * u.s]))
    assert cut.livetime == pytest.approx(400, abs=1e-6)
    # events at 1, 333.7, 666.3 and 999 s
    assert cut.counts.values().sum() == 2
    assert_allclose(cut.exposure.values("cm2 s"), AREA * 400, rtol=1e-9)


@pytest.mark.parametrize("method", ["gammapy", "normalized"])
def test_containment_of_a_gaussian(method):
    maker = SpectrumDatasetMaker(containment_correction=True, containment=method)
    dataset = maker.run(empty(), observation(INSIDE))
    expected = 1 - np.exp(-(0.1**2) / (2 * SIGMA**2))
    assert_allclose(dataset.exposure.values("cm2 s"), expected * AREA * LIVETIME, rtol=1e-12)


def test_selection():
    dataset = SpectrumDatasetMaker(selection=["exposure"]).run(empty(), observation(INSIDE))
    assert dataset.edisp is None
    assert dataset.counts.values().sum() == 0
    without = observation(INSIDE, edisp=None)
    assert SpectrumDatasetMaker(selection=["counts", "exposure"]).run(empty(), without).edisp is None
    with pytest.raises(SchemaError, match="has no edisp"):
        SpectrumDatasetMaker().run(empty(), without)
    with pytest.raises(SchemaError, match="did you mean 'counts'"):
        SpectrumDatasetMaker(selection=["count"])
    with pytest.raises(SchemaError, match="unknown containment"):
        SpectrumDatasetMaker(containment="ring")


def test_mean_over_the_region():
    # linear in offset: the mean over a symmetric region is the value at its centre, but for the curvature of the circle
    slope = area(np.array([[1.0, 3.0]]) * AREA)
    obs = observation(INSIDE, aeff=slope)
    at_center = SpectrumDatasetMaker().run(empty(), obs)
    mean = SpectrumDatasetMaker(use_region_center=False).run(empty(), obs)
    # area = AREA (2 offset): mean offset over a disk of radius r at distance d is d + r^2 / 8 d to second order
    expected = 1 + 0.1**2 / (8 * 0.5**2)
    ratio = mean.exposure.values() / at_center.exposure.values()
    assert_allclose(ratio, expected, atol=1e-3)
    assert_allclose(mean.edisp.pdf_matrix, at_center.edisp.pdf_matrix, atol=1e-12)


def test_energy_dependent_cut():
    obs = observation(
        around(SOURCE, [0.15, 0.15, 0.05, 0.25], [0.5, 2.0, 2.0, 0.5]),
        aeff=area(pointlike=True),
        edisp=dispersion(pointlike=True),
        rad_max=energy_dependent_cut(),
    )
    assert_array_equal(SpectrumDatasetMaker().run(point(), obs).counts.values(), [0, 1, 1, 0])
    with pytest.raises(GeometryError, match="RAD_MAX depends on energy"):
        SpectrumDatasetMaker().run(empty(), obs)
    with pytest.raises(SchemaError, match="have the containment in them already"):
        SpectrumDatasetMaker(containment_correction=True).run(point(), obs)


def test_fixed_cut():
    irfs = {"aeff": area(pointlike=True, RAD_MAX=0.1), "edisp": dispersion(pointlike=True, RAD_MAX=0.1)}
    obs = observation(INSIDE, OUTSIDE, **irfs)
    for dataset in (point(), empty(radius=0.10005)):
        assert_array_equal(SpectrumDatasetMaker().run(dataset, obs).counts.values(), [2, 0, 2, 0])
    with pytest.raises(GeometryError, match="radius of the ON region"):
        SpectrumDatasetMaker().run(empty(radius=0.11), obs)


def test_pointlike_without_cut():
    obs = observation(INSIDE, aeff=area(pointlike=True), edisp=dispersion(pointlike=True))
    with pytest.warns(GammaxWarning, match="observation 7: the responses are point-like but say no RAD_MAX"):
        dataset = SpectrumDatasetMaker().run(empty(), obs)
    assert dataset.counts.values().sum() == 4
    with pytest.raises(SchemaError, match="point-like response without RAD_MAX"):
        SpectrumDatasetMaker().run(point(), obs)


def test_no_effective_area_at_the_offset():
    # zero at the first node (0.5 deg) and below, not at the second
    dark = area(np.array([[0.0, AREA]]))
    near = SOURCE.directional_offset_by(0 * u.deg, 0.4 * u.deg)
    with pytest.raises(DataValueError, match="obs 7: the effective area is zero over the whole energy range") as error:
        SpectrumDatasetMaker().run(empty(), observation(INSIDE, aeff=dark, pointing=near))
    assert (error.value.context["obs_id"], error.value.context["offset"]) == (7, "0.4 deg")


def test_outside_of_the_field_of_view():
    far = observation(INSIDE, pointing=SkyCoord(263.6, -22.5, unit="deg"))
    with pytest.raises(GeometryError, match=r"obs 7: the ON region is 17\d.* deg from the pointing") as error:
        SpectrumDatasetMaker().run(empty(), far)
    assert error.value.context["expected"] == "at most 2 deg"


def test_no_events():
    with pytest.warns(GammaxWarning, match="observation 7 has no events"):
        dataset = SpectrumDatasetMaker().run(empty(), observation())
    assert dataset.counts.values().sum() == 0
    assert dataset.exposure.values().min() > 0


def test_dark_dispersion_and_psf():
    edisp = dispersion()
    zero = EnergyDispersion2D(edisp.axes, np.zeros_like(edisp.data))
    with pytest.raises(DataValueError, match="obs 7: the energy dispersion is zero"):
        SpectrumDatasetMaker().run(empty(), observation(INSIDE, edisp=zero))
    correct = SpectrumDatasetMaker(containment_correction=True)
    with pytest.raises(SchemaError, match="has no psf"):
        correct.run(empty(), observation(INSIDE, psf=None))
    axes = MapAxes([*psf().axes, MapAxis.from_edges([0, 0.05, 0.1, 0.2], "rad", unit="deg")])
    for density, found in ((0.0, "0 within 0.1 deg"), (1e6, "within 0.1 deg")):
        with pytest.raises(DataValueError, match=f"no fraction of events(.|\n)*{found}"):
            correct.run(empty(), observation(INSIDE, psf=PSF3D(axes, np.full((8, 2, 3), density), "sr-1")))


def test_containment_needs_a_circle():
    box = RectangleSkyRegion(SOURCE, 0.2 * u.deg, 0.2 * u.deg)
    with pytest.raises(GeometryError, match="circles only"):
        SpectrumDatasetMaker(containment_correction=True).run(empty(box), observation(INSIDE))
    assert SpectrumDatasetMaker().run(empty(box), observation(INSIDE)).counts.values().sum() == 4


def test_no_region_and_no_size():
    with pytest.raises(SchemaError, match="no RAD_MAX"):
        SpectrumDatasetMaker().run(point(), observation(INSIDE))
    on_pointing = empty(CircleSkyRegion(POINTING, 0.1 * u.deg))
    assert SpectrumDatasetMaker().run(on_pointing, observation(INSIDE)).counts.values().sum() == 0


def test_reduction_imports_no_jax():
    """Reducing, not only importing, stays in the host world, so that workers start fast."""
    code = """
import sys
sys.path.insert(0, sys.argv[1])
import small_run as run
from gammax.makers import *
makers = [SpectrumDatasetMaker(), ReflectedRegionsBackgroundMaker(), SafeMaskMaker(["aeff-max", "bkg-peak"])]
DatasetsMaker(makers).run(run.empty(), [run.observation(run.around(run.SOURCE, [0.0], [1.0]))])
print("jax" in sys.modules)
"""
    folder = __file__.rpartition("/")[0]
    out = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_a_psf_instead_of_a_correction():
    maker = SpectrumDatasetMaker(selection=("counts", "exposure", "edisp", "psf"))
    dataset = maker.run(empty(), observation(INSIDE))
    assert_allclose(dataset.exposure.values("cm2 s"), AREA * LIVETIME, rtol=1e-12)
    # closed form of the Gaussian; a table in steps of 0.01 deg
    expected = 1 - np.exp(-(0.1**2) / (2 * SIGMA**2))
    assert_allclose(dataset.psf.containment("0.1 deg", dataset.psf.energy_axis.center), expected, rtol=3e-3)
    assert_allclose(dataset.psf.exposure_map.values("cm2 s").ravel(), AREA * LIVETIME, rtol=1e-12)
    with pytest.raises(SchemaError, match="GX-MAKERS-035"):
        SpectrumDatasetMaker(selection=("exposure", "psf"), containment_correction=True)
    with pytest.raises(SchemaError, match="GX-MAKERS-036"):
        SpectrumDatasetMaker(selection=["psf"]).run(empty(), observation(INSIDE, aeff=area(pointlike=True)))
