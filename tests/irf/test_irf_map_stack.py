"""Stacks of responses: they predict the sum of what their parts predict, masks and all."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from numpy.testing import assert_allclose

from gammax.errors import GeometryError, SchemaError
from gammax.irf import EDispKernelMap, PSFMap
from gammax.maps import MapAxis, RegionGeom, RegionNDMap, WcsGeom, WcsNDMap

RECO = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=3)
TRUE = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2, name="energy_true")
GEOM = WcsGeom.create(npix=(3, 2), binsz=0.5, axes=[RECO, TRUE])
FLUX = np.array([3.0, 0.7])


def kernels(seed, geom=GEOM):
    rng = np.random.default_rng(seed)
    data = rng.uniform(0, 0.3, geom.data_shape)
    squashed = geom.squash("energy")
    make = RegionNDMap if isinstance(geom, RegionGeom) else WcsNDMap
    return EDispKernelMap(make(geom, data), make(squashed, rng.uniform(1, 2, squashed.data_shape), "m2 s"))


def mask(seed, geom=GEOM):
    squashed = geom.squash("energy_true")
    make = RegionNDMap if isinstance(geom, RegionGeom) else WcsNDMap
    return make(squashed, np.random.default_rng(seed).uniform(size=squashed.data_shape) > 0.4)


def predicted(edisp):
    """Counts per reconstructed bin and pixel."""
    return np.einsum("t,t...,ti...->i...", FLUX, edisp.exposure_map.data[:, 0], edisp.edisp_map.data)


@pytest.mark.parametrize("geom", [GEOM, RegionGeom(None, (RECO, TRUE))])
def test_a_stack_predicts_the_sum_of_the_masked_predictions(geom):
    parts, masks = [kernels(k, geom) for k in range(3)], [mask(10 + k, geom) for k in range(3)]
    expected = sum(predicted(part) * m.data[0] for part, m in zip(parts, masks, strict=True))
    stacked = parts[0].masked(masks[0]).stack(parts[1], masks[1]).stack(parts[2], masks[2])
    assert_allclose(predicted(stacked), expected, rtol=1e-12, atol=1e-15)
    reverse = parts[2].masked(masks[2]).stack(parts[0], masks[0]).stack(parts[1], masks[1])
    assert reverse.is_allclose(stacked, rtol=1e-12)


def test_stack_of_the_peer():
    """Gammapy 2.1, `EDispKernelMap.stack` with float64 maps of these seeds and this mask, true bin 1, first row."""
    weights = WcsNDMap(GEOM.squash("energy_true"), np.random.default_rng(3).uniform(size=(1, 3, 2, 3)) > 0.4)
    stacked = kernels(1).stack(kernels(2), weights)
    expected = [
        [0.02841006, 0.03595235, 0.16697942],
        [0.18530243, 0.09933885, 0.15226053],
        [0.10444103, 0.15999369, 0.19514274],
    ]
    assert_allclose(stacked.edisp_map.data[1, :, 0], expected, atol=6e-9)
    exposure = [[3.42229714, 2.7581535, 3.53239965], [2.84852126, 1.51088888, 2.9692536]]
    assert_allclose(stacked.exposure_map.data[1, 0], exposure, atol=6e-9)


def test_weights_that_all_energies_share_leave_the_response():
    edisp = kernels(1)
    half = WcsNDMap(GEOM.squash("energy_true"), np.full((1, 3, 2, 3), 0.5))
    weighted = edisp.masked(half)
    assert_allclose(weighted.edisp_map.data, edisp.edisp_map.data, rtol=1e-15)
    assert_allclose(weighted.exposure_map.data, edisp.exposure_map.data / 2)


def test_a_psf_is_masked_where_no_energy_counts():
    rad = MapAxis.from_bounds(0, 0.5, 50, "rad", unit="deg")
    wide, narrow = (PSFMap.from_gauss(TRUE, rad, f"{s} deg", GEOM) for s in (0.1, 0.05))
    counted = np.zeros((3, 2, 3), bool)
    counted[2, 0] = True
    stacked = wide.stack(narrow, WcsNDMap(GEOM.to_image().to_cube([RECO]), counted))
    mean = (wide.psf_map.data + narrow.psf_map.data) / 2
    assert_allclose(stacked.psf_map.data[..., 0, :], mean[..., 0, :], rtol=1e-12)
    assert_allclose(stacked.psf_map.data[..., 1, :], wide.psf_map.data[..., 1, :], rtol=1e-12)
    assert_allclose(stacked.exposure_map.data[0, 0], [[2, 2, 2], [1, 1, 1]])


def test_a_part_of_the_image_is_stacked_in_its_place():
    geom = WcsGeom.create(npix=(8, 8), binsz=0.5, skydir=SkyCoord(10, 5, unit="deg"), axes=[RECO, TRUE])
    whole = kernels(5, geom)
    part = whole.cutout(SkyCoord(9, 5.5, unit="deg"), "1.5 deg")
    empty = EDispKernelMap.from_geom(geom)
    stacked = empty.stack(part)
    place = part.geom.cutout_slices(geom)["parent-slices"]
    inside = np.zeros(geom.image_shape, bool)
    inside[place] = True
    assert inside.sum() == 9
    assert_allclose(stacked.edisp_map.data[..., inside], whole.edisp_map.data[..., inside], rtol=1e-12)
    assert not stacked.edisp_map.data[..., ~inside].any()
    # exposures add, the response stays
    assert stacked.stack(part).is_allclose(
        EDispKernelMap(stacked.edisp_map, stacked.exposure_map * 2), rtol=1e-12, atol=1e-15
    )


def test_units_are_converted():
    edisp = kernels(1)
    other = EDispKernelMap(edisp.edisp_map, edisp.exposure_map.to_unit("cm2 s"))
    assert edisp.stack(other).is_allclose(edisp.stack(edisp), rtol=1e-12)


def test_what_does_not_fit_is_refused():
    edisp = kernels(1)
    with pytest.raises(SchemaError, match="GX-IRF-118"):
        edisp.stack(EDispKernelMap(edisp.edisp_map))
    with pytest.raises(SchemaError, match="GX-IRF-117"):
        edisp.stack(PSFMap.from_gauss(TRUE))
    with pytest.raises(GeometryError, match="GX-IRF-123"):
        edisp.stack(edisp.slice_by_idx({"energy": slice(0, 2)}))
    with pytest.raises(GeometryError, match="GX-IRF-124"):
        edisp.stack(kernels(1, RegionGeom(None, (RECO, TRUE))))
    with pytest.raises(GeometryError, match="GX-IRF-120"):
        edisp.masked(WcsNDMap(WcsGeom.create(npix=(3, 2), binsz=0.4)))
    with pytest.raises(GeometryError, match="GX-IRF-122"):
        edisp.masked(WcsNDMap(WcsGeom.create(npix=(3, 2), binsz=0.5, axes=[RECO.slice(slice(0, 2))])))
    with pytest.raises(GeometryError, match="GX-IRF-121"):
        edisp.masked(WcsNDMap(WcsGeom.create(npix=(3, 2), binsz=0.5, axes=[TRUE, RECO])))
