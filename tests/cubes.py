"""Small cubes with everything in them: a gradient in the exposure, thresholds, offset cuts."""

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from gammax.datasets import MapDataset, MapDatasetOnOff
from gammax.irf import EDispKernel, EDispKernelMap, PSFMap
from gammax.maps import MapAxis, WcsGeom, WcsNDMap

ENERGY = MapAxis.from_energy_bounds("0.5 TeV", "8 TeV", 4)
ENERGY_TRUE = MapAxis.from_energy_bounds("0.25 TeV", "16 TeV", 6, name="energy_true")
CENTER = SkyCoord(83.63, 22.01, unit="deg")
GEOM = WcsGeom.create(skydir=CENTER, binsz=0.05, npix=(24, 20), axes=(ENERGY,))
BINSZ_IRF = 0.2


def irf_geom(geom=GEOM):
    return geom.to_image().to_binsz(BINSZ_IRF)


def make_psf(geom=GEOM, sigma=0.06, weight=1e9):
    psf = PSFMap.from_gauss(ENERGY_TRUE, sigma=f"{sigma} deg", geom=irf_geom(geom))
    return psf._with(psf.psf_map, psf.exposure_map.replace(data=np.full(psf.exposure_map.data.shape, weight)))


def make_edisp(geom=GEOM, sigma=0.2, weight=1e9):
    kernel = EDispKernel.from_gauss(ENERGY_TRUE, ENERGY, sigma, 0.0)
    edisp = EDispKernelMap.from_edisp_kernel(kernel, irf_geom(geom))
    return edisp._with(edisp.edisp_map, edisp.exposure_map.replace(data=np.full(edisp.exposure_map.data.shape, weight)))


def threshold_mask(geom, threshold):
    mask = np.arange(geom.axes["energy"].nbin)[:, np.newaxis, np.newaxis] >= threshold
    return WcsNDMap(geom, np.broadcast_to(mask, geom.data_shape))


def make_parts(name="a", seed=1, threshold=0, mask_fit=None, slope=0.0, livetime=1000.0, geom=GEOM):
    """Fields that both kinds share; bins below `threshold` are outside mask_safe; exposure grows by `slope` a pixel."""
    rng = np.random.default_rng(seed)
    true = geom.replace_axes((ENERGY_TRUE,))
    level = 1e8 * livetime * rng.uniform(0.5, 2, ENERGY_TRUE.nbin)
    gradient = 1 + slope * (np.arange(geom.npix[0]) - geom.npix[0] / 2)
    exposure = np.broadcast_to(level[:, np.newaxis, np.newaxis] * gradient, true.data_shape)
    weight = 1e9 * rng.uniform(0.5, 2)
    gti = Table({"START": [100.0 * seed], "STOP": [100.0 * seed + 90]}, units=["s", "s"])
    gti.meta.update({"MJDREFI": 51910, "MJDREFF": 0.000742870368412695, "TIMESYS": "tt"})
    return {
        "name": name,
        "counts": WcsNDMap(geom, rng.poisson(3.0, geom.data_shape).astype(float)),
        "exposure": WcsNDMap(true, exposure, "cm2 s", {"is_pointlike": False}),
        "psf": make_psf(geom, 0.05 + 0.02 * rng.random(), weight),
        "edisp": make_edisp(geom, 0.15 + 0.05 * rng.random(), weight),
        "mask_safe": threshold_mask(geom, threshold),
        "mask_fit": mask_fit,
        "gti": gti,
        "meta_table": Table({"OBS_ID": [seed], "TELESCOP": ["TEST"]}),
        "livetime": livetime,
        "meta": {"note": "made by hand"},
    }


def make_cube(name="a", seed=1, **options):
    parts = make_parts(name, seed, **options)
    geom = parts["counts"].geom
    background = np.random.default_rng(seed + 100).uniform(1, 4, geom.data_shape)
    return MapDataset(background=WcsNDMap(geom, background), **parts)


def make_onoff_cube(name="a", seed=1, **options):
    parts = make_parts(name, seed, **options)
    geom, rng = parts["counts"].geom, np.random.default_rng(seed + 100)
    return MapDatasetOnOff(
        counts_off=WcsNDMap(geom, rng.poisson(8.0, geom.data_shape).astype(float)),
        acceptance=WcsNDMap(geom, rng.uniform(0.5, 1, geom.data_shape)),
        acceptance_off=WcsNDMap(geom, rng.uniform(2, 3, geom.data_shape)),
        **parts,
    )


def offset_mask(dataset, position, radius):
    """Mask of the pixels nearer to a position than a radius [deg], as an offset cut has it."""
    near = dataset.geom.separation(position).to_value("deg") < radius
    return dataset.mask_safe.replace(data=dataset.mask_safe.data & near)


def flat_signal(dataset, flux=1e-13):
    """Counts that a flat sky of a flux [cm-2 s-1] per pixel and true bin gives, shape (R, ny, nx), PSF left out.

    The energy dispersion is that of the pixel of the response in which the centre of each pixel lies.
    """
    exposure = dataset.arrays.exposure
    edisp = dataset.edisp
    x, y = edisp.geom.to_image().coord_to_idx(dataset.geom.get_coord()["skycoord"])
    kernels = edisp.edisp_map.data[:, :, np.maximum(y, 0), np.maximum(x, 0)]
    return np.einsum("tyx,tryx->ryx", exposure * flux, kernels)


def assert_same_cube(mine, theirs, rtol=0.0):
    """Every field agrees; numbers to `rtol`, geometries as they compare."""
    assert type(mine) is type(theirs)
    assert (mine.name, mine.livetime, mine.meta) == (theirs.name, theirs.livetime, theirs.meta)
    for field in (*mine.map_fields, "exposure"):
        left, right = getattr(mine, field), getattr(theirs, field)
        assert (left is None) == (right is None), field
        if left is not None:
            assert not left.geom.difference(right.geom), field
            assert left.data.dtype == right.data.dtype, field
            np.testing.assert_allclose(right.values(left.unit), left.values(), rtol=rtol, err_msg=field)
            assert left.meta == right.meta, field
    for field in ("psf", "edisp"):
        left, right = getattr(mine, field), getattr(theirs, field)
        assert (left is None) == (right is None), field
        assert left is None or left.is_allclose(right, rtol=rtol), field
    for table in ("gti", "meta_table"):
        left, right = getattr(mine, table), getattr(theirs, table)
        assert (left is None) == (right is None), table
        if left is not None:
            assert all((left[name] == right[name]).all() for name in left.colnames), table
