"""Pictures show what the maps hold; each has been looked at."""

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.time import Time
from numpy.testing import assert_allclose, assert_array_equal

from gammax.errors import DataValueError, GeometryError, SchemaError
from gammax.maps import LabelMapAxis, MapAxis, RegionNDMap, TimeMapAxis, WcsGeom, WcsNDMap

ENERGY = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=4)
TIMES = TimeMapAxis([0, 1, 5] * u.d, [0.5, 2, 6.25] * u.d, Time("2020-03-19", scale="utc"))
GEOM = WcsGeom.create(skydir=(83.63, 22.01), npix=(6, 4), binsz=0.1, axes=[ENERGY])


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("stretch", ["linear", "sqrt", "log", "asinh"])
def test_stretch(stretch):
    image = WcsNDMap(GEOM.to_image(), np.arange(24.0).reshape(4, 6))
    norm = image.plot(stretch=stretch).images[0].norm
    assert norm.vmin == (1 if stretch == "log" else 0)
    assert norm.vmax == 23
    # half of the colours: to the middle, its square, the geometric mean
    middle = {"linear": 11.5, "sqrt": 5.75, "log": np.sqrt(23)}.get(stretch, norm.inverse(0.5))
    assert norm(middle) == pytest.approx(0.5)
    assert image.plot(stretch=stretch, vmin=2, vmax=9).images[0].norm.vmax == 9
    flat = WcsNDMap(GEOM.to_image())
    flat.plot(stretch=stretch).figure.canvas.draw()
    with pytest.raises(SchemaError, match="unknown stretch"):
        image.plot(stretch="cubic")


def test_grids():
    cube = WcsNDMap(GEOM, np.arange(96.0).reshape(GEOM.data_shape))
    panels = [ax for ax in cube.plot_grid(ncols=3).axes if ax.images]
    assert [ax.get_title() for ax in panels] == [
        "0.1 to 0.316 TeV",
        "0.316 to 1 TeV",
        "1 to 3.16 TeV",
        "3.16 to 10 TeV",
    ]
    assert_array_equal(panels[2].images[0].get_array(), cube.data[2])
    times = WcsNDMap(GEOM.to_image().to_cube([TIMES]), np.ones((3, 4, 6)))
    titles = [ax.get_title() for ax in times.plot_grid().axes if ax.images]
    assert titles[0] == "2020-03-19 00:00:00 + 0.5 d"
    mask = WcsNDMap(GEOM.to_image().to_cube([LabelMapAxis(["a", "b"], "type")]), np.ones((2, 4, 6), bool))
    assert [ax.get_title() for ax in mask.plot_grid().axes] == ["a", "b"]
    two = WcsNDMap(GEOM.to_cube([TIMES]))
    with pytest.raises(GeometryError, match="over one axis"):
        two.plot_grid()


def test_masks_and_regions_over_an_image():
    image = GEOM.to_image()
    ax = WcsNDMap(image).plot()
    mask = image.region_mask("icrs;circle(83.63, 22.01, 0.12)")
    assert mask.plot_mask(ax) is ax
    assert_array_equal(ax.images[1].get_array().mask, mask.data)
    assert image.plot_region("icrs;circle(83.63, 22.01, 0.12)\nicrs;point(83.7, 22.0)", ax) is ax
    # 0.12 deg are 1.2 pixels
    assert_allclose(ax.patches[0].center, (2.5, 1.5), atol=1e-9)
    assert ax.patches[0].radius == pytest.approx(1.2, rel=1e-5)
    # at 83.7 deg, 0.07 deg * cos(22 deg) to the left of the middle
    assert_allclose(ax.lines[0].get_xydata()[0], (2.5 - 0.7 * np.cos(np.radians(22)), 1.4), atol=2e-3)
    with pytest.raises(DataValueError, match="no mask"):
        WcsNDMap(image).plot_mask(ax)
    fresh = image.plot_region("icrs;circle(83.63, 22.01, 0.12)")
    assert fresh.get_xlim() == (-0.5, 5.5)


def test_spectra_over_times_and_labels():
    labels = LabelMapAxis(["a", "b"], "type")
    spectra = RegionNDMap.create(None, [TIMES, labels], data=np.arange(6.0).reshape(2, 3, 1, 1))
    ax = spectra.plot(axis_name="time")
    assert ax.get_xlabel() == "Time [d since 2020-03-19 00:00:00 UTC]"
    assert_allclose(ax.lines[0].get_xdata(), [0.25, 1.5, 5.625])
    ax = spectra.plot(axis_name="type")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b"]
