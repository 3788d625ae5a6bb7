"""Unstacked cubes: three CTA runs of the Galactic centre against Gammapy 2.1, four H.E.S.S. runs of the Crab nebula in
both orders.

Order: with the exposure A taken at the true position a point at p is seen as PSF(x - p) A(p), with it taken at the
reconstructed one as PSF(x - p) A(x), farther on where A is larger; a fit then puts the source back by
sigma^2 grad(ln A). sigma^2 is not the variance of the PSF, most of which lies in its tail, but what a likelihood sees
of it, a quarter of that for these runs. `shift_of` works it out in the tangent plane from the table of the PSF alone.
"""

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from exact_cube import ExactFit, ExactJointFit, ExactPoint, compare, newton
from gammax.data import DataStore
from gammax.datasets import Datasets, MapDataset
from gammax.errors import GammaxWarning
from gammax.fit import Fit
from gammax.folding import predict_cube, total_flux
from gammax.likelihood import Likelihood
from gammax.makers import DatasetsMaker, FoVBackgroundMaker, MapDatasetMaker, SafeMaskMaker
from gammax.maps import MapAxis, WcsGeom, WcsNDMap
from gammax.models import (
    ExpCutoffPowerLawSpectralModel,
    FoVBackgroundModel,
    Models,
    PointSpatialModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)

pytestmark = pytest.mark.data

# gammapy 2.1's own statistic of the joint fit on pixels five times finer, from gammax's reduction of the runs (which
# gives its stored statistic to 0.04): value and error of its minimum, as `FINE` of test_w03_cube
FINE = {
    "index": (2.4265258, 0.179887),
    "amplitude": (2.6411825e-12, 3.49483e-13),
    "lambda_": (-0.0171259, 0.0814351),
    "lon_0": (-0.0498211, 0.0026945),
    "lat_0": (-0.0509125, 0.0025612),
    "110380": (1.3125057, 0.0144476),
    "111140": (1.3039594, 0.0144017),
    "111159": (1.3220998, 0.0145007),
}
FINE_STATISTIC = 245331.9857
# results/w03_cta_gc_3d.json, "joint"
STORED = {
    "index": 2.4198473981319544,
    "amplitude": 2.6639385140148375e-12,
    "lambda_": -0.015414943033330417,
    "110380": 1.312457748423047,
    "111140": 1.3038711460265067,
    "111159": 1.3219552504739587,
}
CRAB_RUNS = ("23523", "23526", "23559", "23592")
CRAB = SkyCoord(83.62, 22.02, unit="deg")
COS = np.cos(np.deg2rad(22.02))


def reduce(store, runs, geom, true, makers, width):
    energy = MapAxis.from_energy_bounds(*true, name="energy_true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GammaxWarning)
        maker = DatasetsMaker([MapDatasetMaker(), *makers], stack_datasets=False, cutout_width=width * u.deg)
        return Datasets(maker.run(MapDataset.create(geom, energy), store.get_observations(runs)))


@pytest.fixture(scope="module")
def cta(data_dir):
    """The runs of scripts/w03_cta_gc_3d.py, not stacked."""
    energy = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=10)
    geom = WcsGeom.create(skydir=(0, 0), frame="galactic", binsz=0.02, width=(10, 8), axes=[energy])
    safe = SafeMaskMaker(methods=["aeff-default", "offset-max"], offset_max=3.5)
    store = DataStore.from_dir(data_dir / "cta-1dc" / "index" / "gps")
    runs = reduce(store, [110380, 111140, 111159], geom, ("0.08 TeV", "12 TeV", 14), [safe], 7)
    return runs.with_fit_range("0.3 TeV", None)


@pytest.fixture(scope="module")
def joint(cta):
    spectrum = ExpCutoffPowerLawSpectralModel(
        index=2.3, amplitude="2.8e-12 cm-2 s-1 TeV-1", lambda_="0.02 TeV-1", reference="1 TeV"
    )
    spatial = PointSpatialModel(lon_0="-0.05 deg", lat_0="-0.05 deg", frame="galactic")
    backgrounds = [FoVBackgroundModel(run.name, PowerLawNormSpectralModel(norm=1.3), name=run.name) for run in cta]
    source = SkyModel(spectrum, spatial_model=spatial, name="source")
    return Fit(order="psf-first").run(cta, Models([source, *backgrounds]))


def test_the_joint_fit_is_the_peers(joint):
    assert joint.status == "ok"
    found = {
        row["name"] if row["model"] == "source" else row["model"]: (row["value"], row["error"])
        for row in joint.parameters
    }
    assert list(found) == list(FINE)
    for name, (value, error) in found.items():
        expected, sigma = FINE[name]
        # measured 0.011
        assert abs(value - expected) < 0.02 * sigma, name
        # measured 0.6 %, the steps of the differences; the longitude, -6 %, has finer pixels to step over
        assert error == pytest.approx(sigma, rel=0.08 if name == "lon_0" else 0.02), name
        if name in STORED:
            # measured 0.034 at most; of the amplitude 0.058, which is what its pixels do to the peer: 0.065 by itself
            assert abs(value - STORED[name]) < (0.065 if name == "amplitude" else 0.05) * sigma, name
    # the peer's own pixels: 245330.19
    assert joint.total_stat == pytest.approx(FINE_STATISTIC, abs=0.5)


@pytest.mark.slow
def test_the_joint_fit_is_that_of_an_exact_psf(cta, joint):
    source = joint.models["source"]
    names = ["index", "amplitude", "lambda_", "lon_0", "lat_0", "norm"]
    points = [ExactPoint(run, source.position, source.spectral_model, half=40) for run in cta]
    fits = [ExactFit(point, names, [point.dataset.arrays.background]) for point in points]
    likelihood = Likelihood(cta, joint.models, order="psf-first")
    found = compare(ExactJointFit(fits), likelihood, joint.values, joint.errors)
    # measured 0.002 and 0.2 %
    assert np.abs(found.pulls).max() < 0.01
    assert np.abs(found.ratios - 1).max() < 0.01
    # measured -0.03
    assert abs(found.rise) < 0.05


@pytest.fixture(scope="module")
def crab(data_dir):
    """The runs of scripts/w02_hess_crab_3d.py, "a1", not stacked; two pointings 0.5 deg away, two 1.5 deg."""
    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=10)
    geom = WcsGeom.create(skydir=(83.633, 22.014), binsz=0.02, width=(2, 2), proj="CAR", axes=[energy])
    exclusion = WcsNDMap.read(data_dir / "joint-crab" / "exclusion" / "exclusion_mask_crab.fits.gz", mask=True)
    makers = [SafeMaskMaker(methods=["aeff-default"]), FoVBackgroundMaker("scale", exclusion)]
    store = DataStore.from_dir(data_dir / "hess-dl3-dr1")
    return reduce(store, list(map(int, CRAB_RUNS)), geom, ("0.5 TeV", "20 TeV", 20), makers, 5)


def crab_models(runs):
    spectrum = PowerLawSpectralModel(index=2.6, amplitude="4.6e-11 cm-2 s-1 TeV-1", reference="1 TeV")
    spatial = PointSpatialModel(lon_0=CRAB.ra, lat_0=CRAB.dec)
    source = SkyModel(spectrum, spatial_model=spatial, name="crab")
    return Models([source, *(FoVBackgroundModel(run.name, name=f"{run.name}-bkg") for run in runs)])


def position(result):
    """East and north of `CRAB` [deg], and errors."""
    row = {row["name"]: (row["value"], row["error"]) for row in result.parameters if row["model"] == "crab"}
    (lon, lon_error), (lat, lat_error) = row["lon_0"], row["lat_0"]
    return np.array([(lon - CRAB.ra.deg) * COS, lat - CRAB.dec.deg]), np.array([lon_error * COS, lat_error])


def both_orders(runs):
    return [Fit(order=order).run(runs, crab_models(runs)) for order in ("psf-first", "exposure-first")]


def shift_of(run, source):
    """East and north [deg] by which an exposure at the reconstructed position moves a fit, for expected counts.

    For s(r) = sum_t n_t PSF_t(r) photons deg-2 on a background b, and s grows by x sum_t n_t g_t PSF_t with the
    gradient g = grad ln A: -sum (-s' r / 2) (sum_t n_t g_t PSF_t) / (s + b) over sum s'^2 / 2 (s + b), integrated over
    the sky and summed over reconstructed energies.
    """
    arrays, place = run.arrays, source.position
    rad, table = run.psf.profile(place, run.energy_axis_true.center)
    x, y = (float(p) for p in run.geom.to_image().coord_to_pix(place))
    near = np.s_[:, round(y) - 5 : round(y) + 6, round(x) - 5 : round(x) + 6]
    north, west = (grid * 0.02 for grid in np.mgrid[round(y) - 5 : round(y) + 6, round(x) - 5 : round(x) + 6])
    plane = np.stack([np.ones(north.size), (0.02 * x - west).ravel(), (north - 0.02 * y).ravel()], axis=1)
    area, *slopes = np.linalg.lstsq(plane, arrays.exposure[near].reshape(-1, plane.shape[0]).T, rcond=None)[0]
    flux = np.asarray(total_flux([source.spectral_model], arrays.energy_true, 8))
    response = run.edisp.get_edisp_kernel(energy_axis=run.energy_axis, position=place).pdf_matrix.T
    photons = response * flux * area * arrays.mask[:, round(y), round(x)][:, None]
    background = arrays.background[near].mean(axis=(1, 2))[:, None] / 0.02**2
    r = np.linspace(1e-4, rad[-1], 6000)
    ring = 2 * np.pi * r
    psf = np.array([np.interp(r, rad, row) for row in table])
    psf = psf / np.trapezoid(psf * ring, r, axis=1)[:, None]
    signal, slope = photons @ psf, photons @ np.gradient(psf, r, axis=1)
    weight = ring / (signal + background) / 2
    known = np.trapezoid((slope**2 * weight).sum(axis=0), r)
    moved = [np.trapezoid((slope * r * ((photons * (s / area)) @ psf) * weight).sum(axis=0), r) for s in slopes]
    return np.array(moved) / known


@pytest.mark.parametrize("name", ["23523", "23592"])
def test_orders_differ_by_the_gradient_of_the_exposure(crab, name):
    """Counts as expected with the exposure first, fitted with the PSF first."""
    run = crab[name].cutout(CRAB, 1.4 * u.deg)
    models = crab_models([run])
    expected = predict_cube(run, models, ["crab"]) + run.arrays.background
    run = run.replace(counts=WcsNDMap(run.counts.geom, expected))
    shift, _ = position(Fit(order="psf-first").run(run, models))
    predicted = shift_of(run, models["crab"])
    largest = np.argmax(np.abs(predicted))
    # 4.1e-4 deg north at 0.5 deg (grad ln A is -0.154 deg-1, so that sigma is 0.052 deg), 2.1e-3 deg east at 1.5 deg
    # (-0.74 deg-1, 0.053 deg); measured 2 and 5 % more than predicted: pixels of 0.02 deg widen the PSF
    assert shift[largest] == pytest.approx(predicted[largest], rel=0.08)
    assert np.abs(shift - predicted)[1 - largest] < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", CRAB_RUNS)
def test_orders_differ_in_single_runs(crab, name):
    """Counts as observed: the shift of exact sums, and that of the gradient as far as 100 to 140 photons say."""
    run = crab[name]
    later, first = both_orders([run])
    shift = position(later)[0] - position(first)[0]
    exact = []
    for order, result in (("psf-first", later), ("exposure-first", first)):
        source = result.models["crab"]
        names = [row["name"] for row in result.parameters]
        fit = ExactFit(
            ExactPoint(run, source.position, source.spectral_model, order=order), names, [run.arrays.background]
        )
        found = compare(fit, Likelihood([run], result.models, order=order), result.values, result.errors)
        assert np.abs(found.pulls).max() < 0.05
        exact.append(newton(fit.statistic, names, result.values, result.errors).values[2:4] * [COS, 1.0])
    predicted = shift_of(run, first.models["crab"])
    largest = np.argmax(np.abs(predicted))
    # measured 4.4e-4, -4.0e-4, -2.37e-3 and 2.02e-3 deg, predicted 4.1e-4, -3.6e-4, -1.94e-3 and 2.00e-3
    assert shift[largest] == pytest.approx(predicted[largest], rel=0.25)
    assert np.abs(shift - (exact[0] - exact[1])).max() < 1e-4


@pytest.mark.slow
def test_orders_in_the_joint_fit(crab):
    """Opposite pointings: the shifts cancel, and with the exposure first the single runs agree better."""
    joint = [position(result) for result in both_orders(list(crab))]
    # measured 1.7e-5 and 1.8e-5 deg
    assert np.abs(joint[0][0] - joint[1][0]).max() < 1e-4
    single = [[position(result) for result in both_orders([run])] for run in crab]
    scatter = []
    for order in (0, 1):
        places, errors = (np.array([run[order][part] for run in single]) for part in (0, 1))
        mean = np.sum(places / errors**2, axis=0) / np.sum(errors**-2, axis=0)
        assert np.abs(mean - joint[order][0]).max() < 0.2 * joint[order][1].max()
        scatter.append(float(np.sum((places - mean) ** 2 / errors**2)))
    # measured 6.1 and 5.0 of 6 degrees of freedom
    assert scatter[1] < scatter[0] < 15
