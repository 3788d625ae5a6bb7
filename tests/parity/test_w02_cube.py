"""Parity with Gammapy 2.1 on the cube of four H.E.S.S. runs of the Crab nebula.

Expected numbers: the peer's best fits (results/w02_hess_crab_3d.json), its fit with pixels five times finer
(results/x1_numerics.json, factor_5), and sums of the table of the PSF over many points per pixel (`exact_cube`).
"""

import json

import astropy.units as u
import numpy as np
import pytest

from exact_cube import ExactFit, ExactPoint
from gammax.datasets import Datasets
from gammax.estimators import FluxPointsEstimator
from gammax.fit import Fit
from gammax.models import (
    ExpCutoffPowerLawSpectralModel,
    FoVBackgroundModel,
    GaussianSpatialModel,
    Models,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)

pytestmark = pytest.mark.data

COMMON = {"amplitude": "4e-11 cm-2 s-1 TeV-1", "reference": "1 TeV"}
PLACE = {"lon_0": "83.63 deg", "lat_0": "22.014 deg"}
SPECTRA = {
    "pl": PowerLawSpectralModel(index=2.5, **COMMON),
    "ecpl": ExpCutoffPowerLawSpectralModel(index=2.3, lambda_="0.1 TeV-1", **COMMON),
}
SHAPES = {"point": PointSpatialModel(**PLACE), "gauss": GaussianSpatialModel(**PLACE, sigma="0.02 deg")}
# errors of the index and the cutoff of an exponential cutoff by the peer's HESSE are 25 % too small: differences of its
# own statistic, step 0.05 of an error, give 0.3994 and 0.14065 TeV-1 where it says 0.3035 and 0.1069
PEER_DIFFERENCES = {"index": 0.3994, "lambda_": 0.14065}
# the peer's fit from pixels five times finer, `Fine` of scripts/x1_numerics.py, TS of flux points with the parameters
# of that fit: measured with gammapy 2.1
FINE_TS = (587.0896528777284, 499.46320438716884, 279.57844901243607, 141.73090181118106, 96.86111185929872)


@pytest.fixture(scope="module")
def cubes(reference_dir):
    return {
        name: Datasets.read(reference_dir / "datasets" / f"w02_{name}" / "datasets.yaml")[0] for name in ("a1", "a2")
    }


@pytest.fixture(scope="module")
def peer(reference_dir):
    return json.loads((reference_dir / "results" / "w02_hess_crab_3d.json").read_text())


def models(cube, shape, kind):
    source = SkyModel(SPECTRA[kind], spatial_model=SHAPES[shape], name="crab")
    return Models([source, FoVBackgroundModel(cube.name)])


def by_name(result):
    return {row["name"]: (row["value"], row["error"]) for row in result.parameters}


def theirs(fit):
    return {p["name"].split(".")[-1]: (p["value"], p["error"]) for p in fit["parameters"] if p["error"]}


@pytest.mark.parametrize(
    ("name", "shape", "kind"),
    [("a1", "point", "pl"), ("a1", "point", "ecpl"), ("a2", "point", "pl"), ("a1", "gauss", "pl")],
)
def test_fits_are_the_peers(cubes, peer, name, shape, kind):
    result = Fit(order="psf-first").run(cubes[name], models(cubes[name], shape, kind))
    assert result.status == "ok"
    expected = theirs(peer["fits"][f"{name} {shape} {kind}"])
    for parameter, (value, error) in by_name(result).items():
        if parameter in ("lon_0", "lat_0", "sigma"):
            # the peer's statistic has cusps at pixel centres
            assert abs(value - expected[parameter][0]) < 0.5 * error
            continue
        reference = PEER_DIFFERENCES.get(parameter) if kind == "ecpl" else expected[parameter][1]
        assert abs(value - expected[parameter][0]) < 0.05 * expected[parameter][1], parameter
        if kind == "pl" or parameter in PEER_DIFFERENCES:
            assert error == pytest.approx(reference, rel=0.02), parameter


def test_the_position_is_nearer_to_the_converged_one_than_the_peers(cubes, peer, reference_dir):
    fine = json.loads((reference_dir / "results" / "x1_numerics.json").read_text())
    converged = dict(zip(fine["gammapy"]["names"], fine["factor_5"]["values"], strict=True))
    found = by_name(Fit(order="psf-first").run(cubes["a1"], models(cubes["a1"], "point", "pl")))
    distances = [
        np.hypot((fit["lon_0"][0] - converged["lon_0"]) * np.cos(np.deg2rad(22)), fit["lat_0"][0] - converged["lat_0"])
        for fit in (found, theirs(peer["fits"]["a1 point pl"]))
    ]
    # 4e-5 deg against 1.2e-3 deg, an error being 3e-3 deg
    assert distances[0] < 1e-4 < distances[1]


def test_the_fit_is_that_of_an_exact_psf(cubes):
    """Parameters within 0.05 sigma of the brute-force sum over pixels; errors to the noise of its sampled cusp, 3 %."""
    cube = cubes["a1"]
    result = Fit(order="psf-first").run(cube, models(cube, "point", "pl"))
    names = [row["name"] for row in result.parameters]
    source = result.models["crab"]
    exact = ExactFit(ExactPoint(cube, source.position, source.spectral_model), names, [cube.arrays.background])
    values, errors, statistic = exact.newton(result.values, result.errors, 0.3)
    assert np.allclose((values - result.values) / result.errors, 0.0, atol=0.05)
    assert np.allclose(errors / result.errors, 1.0, atol=0.03)
    # measured 0.058: 12 Gaussians against the table of the PSF
    assert statistic == pytest.approx(result.total_stat, abs=0.1)


def test_flux_points_are_those_of_the_peer_with_finer_pixels(cubes, peer):
    result = Fit(order="psf-first").run(cubes["a1"], models(cubes["a1"], "point", "pl"))
    estimator = FluxPointsEstimator(np.geomspace(1, 10, 6) * u.TeV, source="crab", order="psf-first")
    ts = np.asarray(estimator.run([cubes["a1"]], result.models).quantities["ts"]).ravel()
    coarse = np.ravel(peer["flux_points"]["a1"]["ts"]["values"])
    # measured: 2e-4, 5e-4, 1.2e-4, 1.4e-3, 2e-4 of the fine ones; 1e-3, 2.5e-3, 5e-4, 3.2e-3, 2.9e-3 of its own pixels
    assert np.allclose(ts, FINE_TS, rtol=1.5e-3)
    assert np.allclose(ts, coarse, rtol=4e-3)
    assert np.abs(ts / FINE_TS - 1).mean() < np.abs(coarse / FINE_TS - 1).mean()
