"""Parity with Gammapy 2.1 on the cube of three CTA 1DC runs of the Galactic centre, one source and several.

The peer puts a point on the four nearest pixels of 0.02 deg before it convolves: its PSF of a point is wider than the
table, and its statistic is a parabola only between pixel centres, with the curvature of that cell. `FINE` and `SEVERAL`
are gammapy 2.1's own statistic on pixels five times finer (`MapEvaluator` on a cutout of 2 deg about each source, as
`Fine` of scripts/x1_numerics.py): value and error of its minimum by differences, steps of one error in positions and a
tenth elsewhere. With them the statistic rises from 211708.73 to 211710.45 and from 211138.00 to 211142.61.
"""

import json

import astropy.units as u
import numpy as np
import pytest

from exact_cube import ExactFit, ExactPoint, compare, norm_ts
from gammax.datasets import Datasets
from gammax.estimators import FluxPointsEstimator
from gammax.fit import Fit
from gammax.folding import predict_cube
from gammax.likelihood import Likelihood
from gammax.models import (
    ExpCutoffPowerLawSpectralModel,
    FoVBackgroundModel,
    Models,
    PointSpatialModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    TemplateSpatialModel,
)

pytestmark = pytest.mark.data

FINE = {
    "gc-source.spectral.index": (2.4244322, 0.18011),
    "gc-source.spectral.amplitude": (2.6446395e-12, 3.5038e-13),
    "gc-source.spectral.lambda_": (-0.0158367, 0.081597),
    "gc-source.spatial.lon_0": (-0.0499444, 0.0027544),
    "gc-source.spatial.lat_0": (-0.0509984, 0.002561),
    "stacked-bkg.spectral.norm": (1.3128651, 0.0083434),
}
SEVERAL = {
    "gc-source.spectral.index": (2.3223777, 0.18534),
    "gc-source.spectral.amplitude": (2.6669977e-12, 3.5626e-13),
    "gc-source.spectral.lambda_": (0.0146745, 0.083504),
    "gc-source.spatial.lon_0": (-0.0498867, 0.0027271),
    "gc-source.spatial.lat_0": (-0.0511832, 0.0025502),
    "g09.spectral.index": (2.3731249, 0.122712),
    "g09.spectral.amplitude": (1.0610949e-12, 1.15974e-13),
    "g09.spatial.lon_0": (0.8632261, 0.0044010),
    "g09.spatial.lat_0": (0.0956773, 0.0053438),
    "diffuse.spectral.norm": (0.5344814, 0.0389277),
    "stacked-bkg.spectral.norm": (1.2373880, 0.0093462),
}
POSITIONS = ("lon_0", "lat_0")
# tests/models/ctadc_skymodel_gps_sources_bright.xml: "Galactic Centre" 359.94424, -0.04616 deg, "SNR G0.9+0.1"
TRUTH = {"gc-source": (359.9442443847656 - 360.0, -0.04616236314177513), "g09": (0.8634368777, 0.0931780189)}


@pytest.fixture(scope="module")
def cube(reference_dir):
    cube = Datasets.read(reference_dir / "datasets" / "w03_stacked" / "datasets.yaml")[0]
    return cube.with_fit_range("0.3 TeV", None)


@pytest.fixture(scope="module")
def center(cube):
    spectrum = ExpCutoffPowerLawSpectralModel(
        index=2.3, amplitude="2.8e-12 cm-2 s-1 TeV-1", lambda_="0.02 TeV-1", reference="1 TeV"
    )
    spatial = PointSpatialModel(lon_0="-0.05 deg", lat_0="-0.05 deg", frame="galactic")
    background = FoVBackgroundModel(cube.name, PowerLawNormSpectralModel(norm=1.3))
    return Models([SkyModel(spectrum, spatial_model=spatial, name="gc-source"), background])


@pytest.fixture(scope="module")
def result(cube, center):
    return Fit(order="psf-first").run(cube, center)


@pytest.fixture(scope="module")
def several(cube, center, data_dir):
    """The fit of two points, a diffuse template and the background."""
    spectrum = PowerLawSpectralModel(index=2.4, amplitude="8e-13 cm-2 s-1 TeV-1", reference="1 TeV")
    spatial = PointSpatialModel(lon_0="0.87 deg", lat_0="0.08 deg", frame="galactic")
    template = TemplateSpatialModel.read(data_dir / "fermi-3fhl-gc" / "gll_iem_v06_gc.fits.gz", normalize=False)
    others = [
        SkyModel(spectrum, spatial_model=spatial, name="g09"),
        SkyModel(PowerLawNormSpectralModel(), spatial_model=template, name="diffuse"),
    ]
    source, background = center
    return Fit(order="psf-first").run(cube, Models([source, *others, background]))


@pytest.fixture(scope="module")
def peer(reference_dir):
    return json.loads((reference_dir / "results" / "w03_cta_gc_3d.json").read_text())


def rows(result):
    return {name: (value, error) for name, value, error in zip(result.names, result.values, result.errors, strict=True)}


def theirs(peer, fit):
    return {p["name"]: (p["value"], p["error"]) for p in peer["fits"][fit]["parameters"] if p["error"]}


@pytest.mark.parametrize(("fit", "expected"), [("result", FINE), ("several", SEVERAL)])
def test_fits_are_the_peers_with_finer_pixels(request, fit, expected):
    found = request.getfixturevalue(fit)
    assert found.status == "ok"
    assert set(found.names) == set(expected)
    for name, (value, error) in rows(found).items():
        # measured: 0.01 of an error at most
        assert abs(value - expected[name][0]) < 0.02 * expected[name][1], name
        # measured: 0.7 % in spectra, of which 0.65 % are the steps of the differences; in longitude, -6 to -8 %, the
        # finer pixels are still seen: exact sums below hold positions to 1 %
        limit = 0.09 if name.endswith(POSITIONS) else 0.02
        assert error == pytest.approx(expected[name][1], rel=limit), name


@pytest.mark.parametrize(("fit", "key", "expected"), [("result", "stacked", FINE), ("several", "multi", SEVERAL)])
def test_fits_are_the_peers(request, peer, fit, key, expected):
    stored = theirs(peer, key)
    for name, (value, _) in rows(request.getfixturevalue(fit)).items():
        # the peer's errors of a cutoff, 0.0675 TeV-1, are 17 % smaller than by differences: sigma is that of `expected`
        sigma = expected[name][1]
        if name.endswith(POSITIONS):
            # measured: 0.76 (FINE itself 0.77) and 0.65 of a wider cell's error; nearer to `expected` than the peer
            assert abs(value - expected[name][0]) < abs(stored[name][0] - expected[name][0]), name
        elif name == "g09.spectral.amplitude":
            # its pixels move it by 0.21: a PSF that is too wide asks for more flux
            assert stored[name][0] - expected[name][0] == pytest.approx(0.21 * sigma, abs=0.02 * sigma)
        else:
            # measured: 0.047 of an amplitude, else 0.03
            assert abs(value - stored[name][0]) < 0.05 * sigma, name


def test_the_peer_finds_g09_too_sure(peer):
    """The curvature of its statistic is that within a cell of its pixels, 0.09 to 0.11 deg, which 0.0979 lies in."""
    stored = theirs(peer, "multi")["g09.spatial.lat_0"]
    assert SEVERAL["g09.spatial.lat_0"][1] / stored[1] == pytest.approx(1.39, abs=0.01)
    # 0.59 of its error away from the truth's side
    assert abs(SEVERAL["g09.spatial.lat_0"][0] - TRUTH["g09"][1]) < abs(stored[0] - TRUTH["g09"][1])


def test_the_position_is_nearer_to_the_truth_than_the_peers(result, peer):
    """2.3 and 1.9 sigma; of the photons, not of the fit.

    By the MC_ID of the event files: the source's own 254 photons of the fit, alone, give 1.6 and 1.6 sigma, with those
    of the background 1.2 and 1.8; the interstellar emission, 192 photons within 0.2 deg beside 296 of the source, pulls
    the longitude by 0.7 sigma more. The photons of G0.9+0.1 are less than 0.6 sigma off: no offset of the telescope.
    """
    found, stored = rows(result), theirs(peer, "stacked")
    for part, expected in zip(POSITIONS, TRUTH["gc-source"], strict=True):
        value, error = found[f"gc-source.spatial.{part}"]
        assert abs(value - expected) < abs(stored[f"gc-source.spatial.{part}"][0] - expected)
        assert abs(value - expected) < 2.5 * error


def test_the_fit_is_that_of_an_exact_psf(cube, result):
    """Parameters within 0.05 sigma of the brute-force sum over pixels, errors within 2 %."""
    source = result.models["gc-source"]
    exact = ExactPoint(cube, source.position, source.spectral_model)
    names = [name.rpartition(".")[2] for name in result.names]
    likelihood = Likelihood([cube], result.models, order="psf-first")
    found = compare(ExactFit(exact, names, [cube.arrays.background]), likelihood, result.values, result.errors)
    # measured 0.002 and 0.3 %
    assert np.abs(found.pulls).max() < 0.01
    assert np.abs(found.ratios - 1).max() < 0.01
    # measured 0.023
    assert abs(found.rise) < 0.05


def test_g09_is_that_of_an_exact_psf(cube, several):
    """The other point held."""
    held = predict_cube(cube, several.models, ["gc-source"], order="psf-first")
    models = several.models.freeze(*(n for n in several.models.parameters if n.startswith("gc-source.")))
    likelihood = Likelihood([cube], models, order="psf-first")
    free = np.isin(several.names, likelihood.names)
    values, errors = np.asarray(several.values)[free], np.asarray(several.errors)[free]
    source, norm = several.models["g09"], several.models["diffuse"].spectral_model.norm.canonical
    diffuse = predict_cube(cube, several.models, ["diffuse"], order="psf-first") / norm
    exact = ExactPoint(cube, source.position, source.spectral_model)
    names = [name.rpartition(".")[2] for name in likelihood.names]
    fit = ExactFit(exact, names, [diffuse, cube.arrays.background], held)
    found = compare(fit, likelihood, values, errors)
    # measured 0.002 and 0.4 %
    assert np.abs(found.pulls).max() < 0.01
    assert np.abs(found.ratios - 1).max() < 0.01


def test_flux_points_are_those_of_an_exact_psf(cube, result, peer):
    models = result.models
    stored = peer["flux_points_stacked"]
    edges = np.append(stored["e_min"]["values"], stored["e_max"]["values"][-1]) * u.TeV
    points = FluxPointsEstimator(edges, source="gc-source", order="psf-first").run([cube], models)
    source, norm = models["gc-source"], models["stacked-bkg"].spectral_model.norm.canonical
    exact = ExactPoint(cube, source.position, source.spectral_model)
    ts = np.ravel(points.quantities["ts"])
    # measured 3e-5
    assert np.allclose(ts, norm_ts(cube, exact.at(source), norm * cube.arrays.background, points), rtol=1e-4)
    # the peer, whose position is 0.8 sigma off
    assert np.allclose(ts, np.ravel(stored["ts"]["values"]), rtol=1e-2)
