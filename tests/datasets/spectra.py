"""Small spectra with everything in them, different energy thresholds included."""

import numpy as np
from astropy.table import Table

from gammax.datasets import SpectrumDataset, SpectrumDatasetOnOff
from gammax.irf import EDispKernel
from gammax.maps import MapAxis, RegionGeom, RegionNDMap

ENERGY = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", 8)
ENERGY_TRUE = MapAxis.from_energy_bounds("0.05 TeV", "20 TeV", 13, name="energy_true")
REGION = "icrs;circle(83.63, 22.01, 0.11)"


def power_law_flux(edges, index=2.3, amplitude=4e-11):
    """Integral of amplitude (E / TeV)^-index over the bins [cm-2 s-1], closed form."""
    return amplitude * (edges[:-1] ** (1 - index) - edges[1:] ** (1 - index)) / (index - 1)


def make_parts(name="a", seed=1, threshold=0, livetime=1000.0, edisp=True, mask_fit=None):
    """Fields that both kinds of dataset share; bins below `threshold` are outside mask_safe."""
    rng = np.random.default_rng(seed)
    geom = RegionGeom.create(REGION, (ENERGY,))
    true = RegionGeom.create(REGION, (ENERGY_TRUE,))
    kernel = EDispKernel.from_gauss(ENERGY_TRUE, ENERGY, sigma=0.15 + 0.05 * rng.random(), bias=0.02 * rng.random())
    gti = Table({"START": [100.0 * seed], "STOP": [100.0 * seed + 1100]}, units=["s", "s"])
    gti.meta.update({"MJDREFI": 51910, "MJDREFF": 0.000742870368412695, "TIMESYS": "tt"})
    return {
        "name": name,
        "counts": RegionNDMap(geom, rng.poisson(12, 8).astype(float)),
        "exposure": RegionNDMap(true, livetime * 1e5 * rng.uniform(0.5, 2, 13), unit="m2 s"),
        "edisp": kernel if edisp else None,
        "mask_safe": RegionNDMap(geom, np.arange(8) >= threshold),
        "mask_fit": None if mask_fit is None else RegionNDMap(geom, mask_fit),
        "gti": gti,
        "meta_table": Table({"OBS_ID": [seed], "TELESCOP": ["TEST"]}),
        "livetime": livetime,
        "meta": {"note": "made by hand"},
    }


def make_spectrum(name="a", seed=1, **options):
    parts = make_parts(name, seed, **options)
    background = RegionNDMap(parts["counts"].geom, np.random.default_rng(seed + 100).uniform(1, 5, 8))
    return SpectrumDataset(background=background, **parts)


def make_onoff(name="a", seed=1, **options):
    parts = make_parts(name, seed, **options)
    rng = np.random.default_rng(seed + 100)
    geom = parts["counts"].geom
    off = RegionGeom.create("icrs;circle(83.63, 21.0, 0.11)\nicrs;circle(84.6, 22.0, 0.11)", (ENERGY,))
    return SpectrumDatasetOnOff(
        counts_off=RegionNDMap(off, rng.poisson(20, 8).astype(float)),
        acceptance=RegionNDMap(geom, np.ones(8)),
        acceptance_off=RegionNDMap(off, np.full(8, 2.0 + seed)),
        **parts,
    )


def npred_power_law(dataset):
    """Signal of a power law in all bins, without the engine: response times the closed-form integral."""
    arrays = dataset.arrays
    return arrays.response @ power_law_flux(arrays.energy_true)


def assert_same_dataset(mine, theirs, rtol=0.0):
    """Every field agrees; numbers to `rtol`, energies and regions as geometries compare."""
    assert type(mine) is type(theirs)
    assert (mine.name, mine.livetime, mine.meta) == (theirs.name, theirs.livetime, theirs.meta)
    for field in (*mine.map_fields, "exposure"):
        left, right = getattr(mine, field), getattr(theirs, field)
        assert (left is None) == (right is None), field
        if left is not None:
            assert not left.geom.difference(right.geom), field
            assert left.data.dtype == right.data.dtype, field
            np.testing.assert_allclose(right.values(left.unit), left.values(), rtol=rtol, err_msg=field)
    for name, left, right in zip(mine.arrays._fields, mine.arrays, theirs.arrays, strict=True):
        if left is not None:
            np.testing.assert_allclose(right, left, rtol=rtol, err_msg=name)
    for table in ("gti", "meta_table"):
        left, right = getattr(mine, table), getattr(theirs, table)
        assert (left is None) == (right is None), table
        if left is not None:
            assert left.colnames == right.colnames
            assert all((left[name] == right[name]).all() for name in left.colnames), table
    if mine.gti is not None:
        assert mine.gti.meta == {key: theirs.gti.meta[key] for key in mine.gti.meta}
