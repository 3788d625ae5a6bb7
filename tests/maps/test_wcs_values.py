"""Values at positions, counts from positions and positions from counts."""

from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from numpy.testing import assert_allclose, assert_array_equal

from gammax.errors import DataValueError, GeometryError, SchemaError
from gammax.maps import MapAxis, WcsGeom, WcsNDMap

ENERGY = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=4)
GEOM = WcsGeom.create(skydir=(83.63, 22.01), npix=(24, 18), binsz=0.1, proj="CAR", axes=[ENERGY])
WAVES = WcsNDMap(GEOM, np.cos(np.arange(1728)).reshape(GEOM.data_shape) + 2)
COORDS = {
    "skycoord": SkyCoord([83.2, 84.0, 83.63, 82.0], [22.3, 21.5, 22.01, 22.0], unit="deg"),
    "energy": [0.2, 1, 5, 2] * u.TeV,
}


def test_interpolation_is_that_of_gammapy():
    # Gammapy 2.1 on the same map; the last position lies outside
    linear = [1.475996503918026, 1.809612326219525, 1.4127934875275416, 2.1865947892567354]
    assert_allclose(WAVES.interp_by_coord(COORDS), linear, rtol=1e-9)
    assert_allclose(WAVES.interp_by_coord(COORDS, fill_value=0.0), [*linear[:3], 0], rtol=1e-9)
    log = [1.4001474169563097, 1.6819209083705087, 1.3502351493490579, 2.2525478774139933]
    assert_allclose(WAVES.interp_by_coord(COORDS, values_scale="log"), log, rtol=1e-9)
    # the second lies on an edge of energy, the third between four pixels: which is nearest is anybody's choice
    nearest = [1.1756516043183236, 1.8633523660056976]
    assert_allclose(WAVES.interp_by_coord(COORDS, method="nearest")[[0, 3]], nearest, rtol=1e-12)


def test_interpolation_of_planes_and_of_points_agree():
    other = WcsGeom.create(skydir=(83.7, 22.0), npix=(10, 8), binsz=0.07, proj="TAN", axes=[ENERGY])
    for scale in ("lin", "log", "sqrt"):
        planes = WAVES.interp_to_geom(other, values_scale=scale).data
        points = WAVES.interp_by_coord(other.get_coord(), values_scale=scale)
        assert_allclose(planes, points, rtol=1e-12)
    # Gammapy 2.1: sum, and sum on other bins of energy
    assert WAVES.interp_to_geom(other).data.sum() == pytest.approx(640.0044735679088, rel=1e-10)
    bins = other.to_image().to_cube([MapAxis.from_energy_bounds("0.2 TeV", "5 TeV", nbin=3)])
    assert WAVES.interp_to_geom(bins).data.sum() == pytest.approx(480.0478206816016, rel=1e-10)


def test_interpolation_of_counts_keeps_densities():
    flat = WcsNDMap(GEOM, np.broadcast_to(GEOM.solid_angle().value, GEOM.data_shape))
    fine = WcsGeom.create(skydir=(83.63, 22.01), npix=20, binsz=0.03, proj="TAN", axes=[ENERGY])
    counts = flat.interp_to_geom(fine, preserve_counts=True)
    assert_allclose(counts.data, np.broadcast_to(fine.solid_angle().value, fine.data_shape), rtol=1e-12)


def test_interpolation_at_the_edges_of_what_there_is():
    image = WAVES.sum_over_axes(keepdims=False)
    south = SkyCoord(263.63, -22.01, unit="deg")
    tangential = WcsNDMap(WcsGeom.create(npix=5, binsz=0.1, skydir=(83.63, 22.01), proj="TAN"), np.ones((5, 5)))
    assert np.isnan(tangential.interp_by_coord(south))
    assert tangential.interp_by_coord(south, fill_value=-1.0) == -1
    # one pixel, one bin: constant
    single = WcsNDMap.create(npix=1, binsz=1, skydir=(10, 0), axes=[ENERGY.squash()], data=[[[7.0]]])
    assert single.interp_by_coord({"skycoord": SkyCoord(10.3, 0.1, unit="deg"), "energy": 1 * u.TeV}) == 7
    assert_allclose(single.interp_to_geom(GEOM.squash("energy"), fill_value=None).data, 7, rtol=1e-11)
    # not a number counts as zero, here beside a pixel of 2
    data = np.array([[2.0, np.nan]])
    gap = WcsNDMap.create(npix=(2, 1), binsz=1, skydir=(10, 0), data=data)
    assert gap.interp_by_coord(SkyCoord(10, 0, unit="deg")) == pytest.approx(1)
    # an all-sky image is closed: half-way between its last column and its first
    allsky = WcsNDMap.create(binsz=10, frame="galactic", data=np.tile(np.arange(36.0), (18, 1)))
    assert allsky.interp_by_coord(SkyCoord(180, 5, unit="deg", frame="galactic")) == pytest.approx(17.5)
    with pytest.raises(SchemaError, match="unknown method"):
        image.interp_by_coord(south, method="cubic")
    with pytest.raises(SchemaError, match="unknown scale"):
        image.interp_by_coord(south, values_scale="exp")
    with pytest.raises(GeometryError, match="axes do not fit"):
        image.interp_to_geom(GEOM)


def test_masks_take_the_nearest_pixel():
    mask = GEOM.region_mask("icrs;circle(83.63, 22.01, 0.5)")
    fine = GEOM.upsample(2)
    there = mask.interp_to_geom(fine)
    assert there.is_mask
    assert_array_equal(there.data, mask.upsample(2).data)
    assert mask.interp_to_geom(fine.pad(2), fill_value=1.0).data[0, 0, 0]
    assert not mask.interp_to_geom(fine.pad(2)).data[0, 0, 0]


def test_filling(rng):
    n = 2000
    positions = SkyCoord(rng.uniform(82, 85, n), rng.uniform(21, 23, n), unit="deg")
    coords = {"skycoord": positions, "energy": rng.uniform(0.05, 12, n) * u.TeV}
    weights = rng.uniform(size=n)
    filled = WcsNDMap(GEOM).fill_by_coord(coords, weights)
    # one by one, with numpy's own histogram
    x, y = GEOM.to_image().coord_to_pix(positions)
    edges = [ENERGY.edges_value("TeV"), np.arange(19) - 0.5, np.arange(25) - 0.5]
    expected, _ = np.histogramdd((coords["energy"].value, y, x), edges, weights=weights)
    assert_allclose(filled.data, expected, rtol=1e-12, atol=1e-12)
    again = filled.fill_by_coord(coords)
    assert again.data.sum() - filled.data.sum() == pytest.approx(GEOM.contains(coords).sum(), rel=1e-12)
    per_area = WcsNDMap(GEOM, unit="m2").fill_by_coord(COORDS, [1, 2, 3, 4] * u.Unit("cm2"))
    assert per_area.data.sum() == pytest.approx(6e-4)
    with pytest.raises(DataValueError, match="no map of numbers"):
        (filled > 0).fill_by_coord(coords)
    with pytest.raises(SchemaError, match="'energy' is missing"):
        filled.fill_by_coord(positions)


def test_filling_events():
    phase = MapAxis.from_bounds(0, 1, 2, name="phase", unit="rad")
    events = SimpleNamespace(
        radec=COORDS["skycoord"],
        energy=COORDS["energy"],
        columns={"PHASE": np.array([10.0, 40.0, 60.0, 5.0])},
        units={"PHASE": "deg"},
    )
    counts = WcsNDMap(GEOM.to_cube([phase])).fill_events(events)
    # 60 deg are 1.05 rad, and the last event lies outside the image
    assert_array_equal(counts.data.sum(axis=(1, 2, 3)), [1, 1])
    assert_array_equal(WcsNDMap(GEOM).fill_events(events).data.sum(axis=(1, 2)), [1, 0, 1, 1])
    with pytest.raises(SchemaError, match="'depth' is missing"):
        WcsNDMap(GEOM.to_cube([phase.rename("depth")])).fill_events(events)


def test_sampling(rng):
    n = 20000
    coords = WAVES.sample_coord(n, rng)
    counts = WcsNDMap(GEOM).fill_by_coord(coords)
    assert counts.data.sum() == n
    expected = WAVES.data / WAVES.data.sum() * n
    # 1728 bins, of some 12 counts each: chi2 per bin is 1 within 4 * sqrt(2 / 1728) = 0.14
    assert np.mean((counts.data - expected) ** 2 / expected) == pytest.approx(1, abs=0.14)
    assert_array_equal(WAVES.sample_coord(3, 5)["energy"], WAVES.sample_coord(3, 5)["energy"])
    for wrong in (WcsNDMap(GEOM), WcsNDMap(GEOM, -WAVES.data), WcsNDMap(GEOM, np.full(GEOM.data_shape, np.nan))):
        with pytest.raises(DataValueError, match="no distribution"):
            wrong.sample_coord(1)


def test_nearest_position_in_a_mask():
    mask = GEOM.region_mask("icrs;circle(83.63, 22.01, 0.3)")
    nearest = mask.mask_nearest_position(SkyCoord(85, 22.01, unit="deg"))
    assert mask.to_region_nd_map(nearest).data.all()
    # the border is 0.3 deg away, and so is the pixel that holds it
    assert nearest.separation(SkyCoord(83.63, 22.01, unit="deg")).deg == pytest.approx(0.3, abs=0.1)
    with pytest.raises(DataValueError, match="no mask"):
        WAVES.mask_nearest_position(nearest)
