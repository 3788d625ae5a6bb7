"""Sources and lists of them: parts, states, selections, covariances."""

import jax
import numpy as np
import pytest

from gammax.errors import ModelError
from gammax.models import (
    DiskSpatialModel,
    FoVBackgroundModel,
    GaussianSpatialModel,
    Models,
    PointSpatialModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)
from gammax.models._parameter import is_parameter


def models():
    return Models(
        [
            SkyModel(
                PowerLawSpectralModel(), "crab", spatial_model=PointSpatialModel(lon_0="83.6 deg", lat_0="22 deg")
            ),
            SkyModel(
                PowerLawSpectralModel(index=3.0), "halo", "d1", spatial_model=GaussianSpatialModel(frame="galactic")
            ),
            SkyModel(PowerLawSpectralModel(), "plain").freeze(),
            FoVBackgroundModel("d1"),
        ]
    )


def test_parameters_are_spectral_then_spatial():
    """The names of Gammapy 2.1's covariance rows."""
    assert list(models().parameters) == [
        *(f"crab.spectral.{name}" for name in ("index", "amplitude", "reference")),
        *(f"crab.spatial.{name}" for name in ("lon_0", "lat_0")),
        *(f"halo.spectral.{name}" for name in ("index", "amplitude", "reference")),
        *(f"halo.spatial.{name}" for name in ("lon_0", "lat_0", "sigma", "e", "phi")),
        *(f"plain.spectral.{name}" for name in ("index", "amplitude", "reference")),
        *(f"d1-bkg.spectral.{name}" for name in ("tilt", "norm", "reference")),
    ]
    assert list(models().to_parameters_table()["name"][3:5]) == ["lon_0", "lat_0"]
    order = [p.name for p in jax.tree.leaves(models(), is_leaf=is_parameter)]
    assert order == [p.name for p in models().parameters.values()]


def test_selections():
    chosen = models()
    assert chosen.sky_models.names == ("crab", "halo", "plain")
    assert chosen.background_models.names == ("d1-bkg",)
    assert chosen.select(name_substring="a").names == ("crab", "halo", "plain")
    assert chosen.select(datasets_names="d2").names == ("crab", "plain")
    assert chosen.select(tag="point", model_type="spatial").names == ("crab",)
    assert chosen.select(tag=["PowerLawSpectralModel"], model_type="spectral").names == ("crab", "halo", "plain")
    assert chosen.select(tag="fov-bkg").names == ("d1-bkg",)
    assert chosen.select(frozen=True).names == ("plain",)
    assert chosen.select(name_substring="a", frozen=False).names == ("crab", "halo")
    assert chosen.positions.ra.deg[0] == pytest.approx(83.6)
    assert len(chosen.positions) == 2
    with pytest.raises(ModelError, match="GX-MODEL-055"):
        chosen.select(tag="point", model_type="space")


def test_a_selection_keeps_its_covariance():
    n = len(models().parameters)
    whole = Models(models().models, np.arange(n * n, dtype=float).reshape(n, n))
    halo = whole.select(name_substring="halo")
    np.testing.assert_array_equal(halo.covariance, whole.covariance[5:13, 5:13])
    np.testing.assert_array_equal(whole.subcovariance("halo"), whole.covariance[5:13, 5:13])
    np.testing.assert_array_equal(whole.subcovariance("halo", "spatial"), whole.covariance[8:13, 8:13])
    np.testing.assert_array_equal(whole.subcovariance("halo", "spectral"), whole.covariance[5:8, 5:8])
    with pytest.raises(ModelError, match="GX-MODEL-066"):
        whole.subcovariance("plain", "spatial")
    unit = Models(models().models, np.eye(n) * 1e-4)
    assert unit.evaluate_error("halo", "2 TeV").shape == (2,)
    assert unit.position_error("crab").height.to_value("deg") == pytest.approx(2 * 2.4477468 * 0.01)


def test_states_by_part():
    """Thawed, parameters are as their classes declare them: eccentricity and reference stay frozen."""
    held = models().freeze(model_type="spatial")
    assert all(p.frozen for name, p in held.parameters.items() if ".spatial." in name)
    assert not held["crab"].spectral_model.index.frozen
    thawed = held.unfreeze(model_type="spatial")["halo"].spatial_model
    assert [p.name for p in thawed.parameters if not p.frozen] == ["lon_0", "lat_0", "sigma"]
    source = models()["crab"].freeze().unfreeze("spectral")
    assert [p.name for p in source.parameters if not p.frozen] == ["index", "amplitude"]
    product = SkyModel(PowerLawSpectralModel() * PowerLawNormSpectralModel(), "x").freeze().unfreeze()
    assert [p.name for p in product.parameters if not p.frozen] == ["index", "amplitude", "norm"]


def test_reassign():
    moved = models().reassign("d1", "d7")
    assert (moved["halo"].datasets_names, moved["d7-bkg"].datasets_names) == (("d7",), ("d7",))
    assert moved["crab"].datasets_names is None


def test_replace_and_what_is_refused():
    source = models()["crab"]
    wide = source.replace(spatial_model=DiskSpatialModel(), apply_irf={"edisp": False})
    assert wide.spectral_model is source.spectral_model
    assert wide.apply_irf == {"exposure": True, "psf": True, "edisp": False}
    assert (wide.evaluation_radius, wide.frame) == (pytest.approx(1.111), "icrs")
    for wrong in (
        lambda: source.replace(spacial_model=None),
        lambda: SkyModel(PowerLawSpectralModel(), PointSpatialModel()),
        lambda: SkyModel(PowerLawSpectralModel(), "x", spatial_model=PowerLawSpectralModel()),
        lambda: SkyModel(PowerLawSpectralModel(), "x", temporal_model="constant"),
        lambda: SkyModel(PowerLawNormSpectralModel(), "x", spatial_model=PointSpatialModel()),
        lambda: FoVBackgroundModel("d", PowerLawSpectralModel()),
        lambda: Models([PointSpatialModel()]),
    ):
        with pytest.raises(ModelError):
            wrong()
