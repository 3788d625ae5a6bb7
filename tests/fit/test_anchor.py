"""Responses are looked up anew where a fit has moved a source, a size or a PSF: that it is done, and what if it never
ends."""

import warnings

import numpy as np
import pytest

from cubes import CENTER, ENERGY_TRUE, make_cube, make_psf
from gammax.errors import GammaxWarning
from gammax.fit import Fit, _fit
from gammax.fit.batches import _one_by_one
from gammax.irf import PSFMap
from gammax.models import (
    DiskSpatialModel,
    GaussianSpatialModel,
    IRFModel,
    Models,
    Parameter,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)

CUBE = make_cube()
CIRCLE = f"icrs;circle({CENTER.ra.deg}, {CENTER.dec.deg}, 0.2)"


def place(x, y=0.0):
    """Position so many degrees from the centre."""
    return {"lon_0": f"{CENTER.ra.deg + x / np.cos(CENTER.dec.rad)} deg", "lat_0": f"{CENTER.dec.deg + y} deg"}


def source(spatial, amplitude=3e-9, name="s"):
    spectrum = PowerLawSpectralModel(amplitude=f"{amplitude} cm-2 s-1 TeV-1").freeze("index")
    return SkyModel(spectrum, name=name, spatial_model=spatial)


def with_psf(width):
    """The cube with a Gaussian PSF whose width [deg] is a function of the degrees east of the centre."""
    image = CUBE.geom.to_image()
    psf = PSFMap.from_gauss(ENERGY_TRUE, geom=image)
    there = image.get_coord()["skycoord"]
    sigma = width((there.ra.deg - CENTER.ra.deg) * np.cos(CENTER.dec.rad))[np.newaxis, np.newaxis]
    rad = psf.geom.axes["rad"].center_value("deg")[:, np.newaxis, np.newaxis]
    density = np.exp(-(rad**2) / (2 * sigma**2)) / (2 * np.pi * np.deg2rad(sigma) ** 2)
    data = np.broadcast_to(density, psf.psf_map.data.shape)
    return CUBE.replace(psf=psf._with(psf.psf_map.replace(data=data), psf.exposure_map))


def asimov(dataset, models):
    return dataset.replace(counts=dataset.npred(models))


def test_a_source_that_starts_far_away_ends_where_one_from_the_truth_does(monkeypatch):
    """The PSF is 0.10 deg wide where the source is, 0.16 deg where the fit starts."""
    truth = source(PointSpatialModel(**place(0.1, 0.05)))
    cube = asimov(with_psf(lambda x: np.clip(0.07 + 0.3 * x, 0.03, 0.3)), Models(truth))
    far = source(PointSpatialModel(**place(0.3, -0.05)))
    best, found = (Fit().run(cube, model) for model in (truth, far))
    assert (best.status, found.status) == ("ok", "ok")
    np.testing.assert_allclose((found.values - best.values) / best.errors, 0.0, atol=1e-3)
    np.testing.assert_allclose(found.total_stat, best.total_stat, atol=1e-5)
    monkeypatch.setattr(_fit, "LOOKS", 0)
    with pytest.warns(GammaxWarning, match="s: moves on"):
        once = Fit().run(cube, far)
    assert once.total_stat - best.total_stat > 1.0
    assert np.abs((once.values - best.values) / best.errors).max() > 1.0


@pytest.mark.slow
def test_a_size_that_a_wider_psf_has_brought_to_zero_is_found_again():
    """Where the fit starts the PSF is as wide as the source and its PSF together: the first fit ends at sigma = 0,
    singular, from which no gradient leads away."""
    truth = source(GaussianSpatialModel(**place(0.1, 0.05), sigma="0.08 deg"))
    cube = asimov(with_psf(lambda x: np.clip(0.1 + 0.3 * x, 0.03, 0.3)), Models(truth))
    result = Fit().run(cube, source(GaussianSpatialModel(**place(0.3, -0.05), sigma="0.2 deg")))
    assert result.status == "ok"
    expected = [parameter.value for parameter in Models(truth).parameters.values() if not parameter.frozen]
    np.testing.assert_allclose((result.values - expected) / result.errors, 0.0, atol=1e-3)


def restless():
    """Two sources to be fitted with one: through a PSF of 0.15 deg it lies between them, through one of 0.04 deg on the
    brighter. The PSF is wide on the brighter and narrow between them, so that it goes to and fro for ever, by 0.07 deg:
    16 errors."""
    pair = [source(PointSpatialModel(**place(x)), f, name) for x, f, name in ((0, 3e-9, "a"), (0.2, 2e-9, "b"))]
    cube = with_psf(lambda x: np.interp(x, [0.02, 0.07], [0.15, 0.04]))
    cube = cube.replace(counts=CUBE.replace(psf=make_psf(sigma=0.04)).npred(Models(pair)))
    return cube, source(PointSpatialModel(**place(0.03)), 4e-9)


@pytest.mark.parametrize("part", [1.0, 2e-5])
def test_a_source_that_never_rests(part):
    """With a fiftythousandth of exposure, background and counts the errors are 220 times as large."""
    cube, model = restless()
    fields = {name: getattr(cube, name) for name in ("counts", "exposure", "background")}
    cube = cube.replace(**{name: field.replace(data=field.values() * part) for name, field in fields.items()})
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        result = Fit().run(cube, model)
    if part == 1.0:
        assert (result.status, result.warnings) == ("not_converged", ())
        assert result.message.startswith("s: moves on, by 16 sigma")
        assert np.isnan(result.errors).all()
        assert np.isnan(result.models.errors).any()
    else:
        assert (result.status, len(warned)) == ("ok", 2)
        assert result.warnings[-1].startswith("s: moves on, by 0.07")
        assert str(warned[-1].message) == result.warnings[-1]


def test_a_source_that_never_rests_in_a_batch(monkeypatch):
    """Batches look up responses anew where a source has moved by more than 0.1 deg; here from 0.05 deg on."""
    cube, model = restless()
    monkeypatch.setattr(_one_by_one, "_STEP_DEG", 0.05)
    with pytest.warns(GammaxWarning, match="moves on"):
        results = Fit().run_many([cube, cube], model.replace(spatial_model=PointSpatialModel(**place(0.1))))
    assert list(results.status) == ["not_converged"] * 2
    assert all(words[-1].startswith("s: moves on, by ") for words in results.warnings)
    assert np.isnan(results.errors).all()


def width_free(start):
    return IRFModel("irf", "a", psf_width=Parameter("psf_width", start, min=0.1, max=10))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cube", "region", "spectrum"])
def test_a_psf_that_starts_ten_times_too_narrow(kind, monkeypatch):
    """Nodes and kernels reach as far as the PSF does where the fit starts, which is not far enough for the truth: a
    disk whose rim passes by the centre at 0.15 deg, in a cube a small one."""
    shape = DiskSpatialModel(**place(1.65), r_0="1.5 deg", edge_width=0.02).freeze()
    datasets = {"region": CUBE.to_region_map_dataset(CIRCLE, "a"), "cube": CUBE}
    dataset = datasets.get(kind) or CUBE.to_spectrum_dataset(CIRCLE, name="a", keep_psf=True)
    if kind == "cube":
        shape = DiskSpatialModel(**place(0.1), r_0="0.1 deg", edge_width=0.1).freeze()
    shining = source(shape, 3e-8).replace(
        spectral_model=PowerLawSpectralModel(amplitude="3e-8 cm-2 s-1 TeV-1").freeze()
    )
    dataset = asimov(dataset, Models([shining, width_free(3.0)]))
    result = Fit().run(dataset, Models([shining, width_free(0.3)]))
    assert result.status == "ok"
    np.testing.assert_allclose(result.values, 3.0, atol=1e-3 * result.errors[0])
    monkeypatch.setattr(_fit, "LOOKS", 0)
    with pytest.warns(GammaxWarning, match="irf: moves on"):
        once = Fit().run(dataset, Models([shining, width_free(0.3)]))
    assert abs(once.values - 3.0) > 0.1 * result.errors


def test_a_place_at_its_bound_is_looked_up_too():
    """The source lies at 0.1 deg, its longitude is bounded at 0.15 deg: whether the fit starts there or far away."""
    truth = source(PointSpatialModel(**place(0.1)))
    cube = asimov(with_psf(lambda x: np.clip(0.07 + 0.3 * x, 0.03, 0.3)), Models(truth))
    bound = CENTER.ra.deg + 0.15 / np.cos(CENTER.dec.rad)

    def start(x):
        lon = Parameter("lon_0", CENTER.ra.deg + x / np.cos(CENTER.dec.rad), unit="deg", min=bound)
        return source(PointSpatialModel(lon_0=lon, lat_0=CENTER.dec))

    near, far = (Fit().run(cube, start(x)) for x in (0.151, 0.35))
    assert near.status == far.status == "at_bound"
    np.testing.assert_allclose(far.total_stat, near.total_stat, rtol=0, atol=1e-4)
    many = Fit().run_many([cube, cube], start(0.35))
    np.testing.assert_allclose(many.total_stat, near.total_stat, rtol=0, atol=1e-4)
