"""Model YAML with shapes, backgrounds and templates, both ways, and its faults."""

import os
import shutil

import numpy as np
import pytest

from gammax.errors import GammaxError
from gammax.maps import MapAxis, WcsGeom, WcsNDMap
from gammax.models import (
    ConstantSpatialModel,
    FoVBackgroundModel,
    GaussianSpatialModel,
    Models,
    Parameter,
    PointSpatialModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    TemplateNPredModel,
    TemplateSpatialModel,
    TemplateSpectralModel,
)

# as Gammapy 2.1 writes it
PEER = """
components:
-   name: src-a
    type: SkyModel
    apply_irf:
        exposure: true
        psf: false
        edisp: true
    datasets_names:
    - d1
    - d2
    spectral:
        type: PowerLawSpectralModel
        parameters:
        -   {name: index, value: 2.3, error: 0.1}
        -   {name: amplitude, value: 3.0e-12, unit: TeV-1 s-1 cm-2}
        -   {name: reference, value: 1.0, unit: TeV}
    spatial:
        type: GaussianSpatialModel
        frame: galactic
        parameters:
        -   {name: lon_0, value: 184.5, unit: deg, error: 0.01, link: lon_0@abc}
        -   {name: lat_0, value: -5.8, unit: deg}
        -   {name: sigma, value: 0.1, unit: deg, frozen: true}
        -   {name: e, value: 0.0}
        -   {name: phi, value: 0.0, unit: deg}
-   name: src-b
    type: sky-model
    spatial:
        type: point
        parameters:
        -   {name: lon_0, value: 1.0, unit: deg, link: lon_0@abc}
        -   {name: lat_0, value: 0.1, unit: rad}
    spectral:
        type: TemplateSpectralModel
        parameters: []
        energy: {data: [1.0, 2.0, 5.0], unit: TeV}
        values: {data: [1.0e-12, 3.0e-13, 2.0e-14], unit: 1 / (TeV s cm2)}
-   type: FoVBackgroundModel
    datasets_names:
    - d1
    spectral:
        type: PowerLawNormSpectralModel
        parameters:
        -   {name: tilt, value: 0.0, frozen: false}
        -   {name: norm, value: 1.1}
        -   {name: reference, value: 1.0, unit: TeV}
-   type: fov-bkg
    datasets_names: [d2]
    parameters:
    -   {name: norm, value: 1.2, min: 0.0}
    -   {name: tilt, value: 0.0, frozen: true}
    -   {name: reference, value: 1.0, unit: TeV}
-   type: FoVBackgroundModel
    datasets_names: [d3]
-   name: diffuse
    type: SkyModel
    spectral: &norm
        type: PowerLawNormSpectralModel
        parameters: [{name: tilt, value: 0.0}, {name: norm, value: 1.0}, {name: reference, value: 1.0, unit: TeV}]
    spatial:
        type: TemplateSpatialModel
        frame: icrs
        parameters: [{name: lon_0, value: 83.63, unit: deg}, {name: lat_0, value: 22.01, unit: deg}]
        filename: $TEMPLATES/diffuse.fits
        normalize: false
        unit: 1 / (TeV s sr cm2)
-   name: npred-t
    type: TemplateNPredModel
    spectral:
        type: PowerLawNormSpectralModel
        parameters: [{name: tilt, value: 0.0}, {name: norm, value: 1.0}, {name: reference, value: 1.0, unit: TeV}]
    filename: npred.fits
    datasets_names:
    - d2
-   name: iso
    type: SkyModel
    spectral:
        type: PowerLawSpectralModel
        parameters:
        -   {name: index, value: 2.3}
        -   {name: amplitude, value: 3.0e-12, unit: TeV-1 s-1 cm-2}
        -   {name: reference, value: 1.0, unit: TeV}
    spatial:
        type: ConstantSpatialModel
        parameters: []
metadata:
    creator: Gammapy 2.1
""".replace("&norm", "")


def diffuse_map():
    axis = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", 3, name="energy_true")
    geom = WcsGeom.create(npix=(6, 5), binsz=0.5, skydir=(83.63, 22.01), axes=[axis])
    return WcsNDMap(geom, np.arange(1.0, 91.0).reshape(geom.data_shape), "TeV-1 s-1 cm-2 sr-1")


def counts_map():
    axis = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", 2)
    return WcsNDMap(WcsGeom.create(npix=3, axes=[axis]), np.ones((2, 3, 3)))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Folder with the file and its templates, one of them elsewhere, behind a variable."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("TEMPLATES", str(tmp_path / "elsewhere"))
    diffuse_map().write(tmp_path / "elsewhere" / "diffuse.fits")
    counts_map().write(tmp_path / "npred.fits")
    (tmp_path / "models.yaml").write_text(PEER)
    return tmp_path


def test_reads_the_peers_form(folder):
    models = Models.read(folder / "models.yaml")
    assert models.names == ("src-a", "src-b", "d1-bkg", "d2-bkg", "d3-bkg", "diffuse", "npred-t", "iso")
    a, b = models["src-a"], models["src-b"]
    assert a.apply_irf == {"exposure": True, "psf": False, "edisp": True}
    assert (a.frame, a.spatial_model.sigma.frozen, float(a.spatial_model.sigma.min)) == ("galactic", True, 0.0)
    assert isinstance(b.spatial_model, PointSpatialModel)
    assert float(b.spatial_model.lon_0.value) == 184.5  # the link's first
    np.testing.assert_allclose(float(b.spatial_model.lat_0.canonical), np.degrees(0.1))
    np.testing.assert_allclose(float(b.spatial_model.lat_0.max), np.pi / 2)
    assert isinstance(b.spectral_model, TemplateSpectralModel)
    assert not models["d1-bkg"].spectral_model.tilt.frozen
    assert float(models["d2-bkg"].spectral_model.norm.value) == 1.2
    assert models["diffuse"].spatial_model.filename == "$TEMPLATES/diffuse.fits"
    np.testing.assert_array_equal(models["npred-t"].map.data, 1.0)
    assert isinstance(models["iso"].spatial_model, ConstantSpatialModel)
    errors = dict(zip(models.parameters, models.errors, strict=True))
    assert (errors["src-a.spectral.index"], errors["src-a.spatial.lon_0"]) == (0.1, 0.01)
    assert sum(errors.values()) == pytest.approx(0.11)


def every_model():
    shape = GaussianSpatialModel(
        lon_0=Parameter("lon_0", 3.0, "deg", link="x"), sigma="0.1 rad", e=0.3, frame="galactic"
    ).unfreeze("phi")
    return Models(
        [
            SkyModel(PowerLawSpectralModel(), "a", ["d"], spatial_model=shape, apply_irf={"psf": False}),
            SkyModel(
                TemplateSpectralModel([1, 2] * PowerLawSpectralModel().reference.quantity, [1.0, 0.5])
                * PowerLawSpectralModel(),
                "b",
                spatial_model=PointSpatialModel(lon_0=Parameter("lon_0", 9.0, "deg", link="x")),
            ),
            SkyModel(PowerLawNormSpectralModel(), "map", spatial_model=TemplateSpatialModel(diffuse_map(), False)),
            SkyModel(PowerLawSpectralModel(), "c", spatial_model=ConstantSpatialModel(value="2 sr-1")),
            SkyModel(PowerLawSpectralModel(), "e", spatial_model=ConstantSpatialModel()),
            FoVBackgroundModel("d", PowerLawNormSpectralModel(norm=1.3)),
            FoVBackgroundModel("f", spatial_model=ConstantSpatialModel(), name="other"),
            TemplateNPredModel(counts_map(), name="n", datasets_names="d"),
        ]
    )


def test_round_trip_keeps_everything(tmp_path):
    models = every_model()
    root = np.random.default_rng(0).normal(size=(len(models.parameters),) * 2)
    models = Models(models.models, root @ root.T)
    models.write(tmp_path / "models.yaml")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "models.yaml",
        "models_covariance.dat",
        "models_map.fits",
        "models_n.fits",
    ]
    back = Models.read(tmp_path / "models.yaml")
    assert list(back.parameters) == list(models.parameters)
    np.testing.assert_array_equal(back.covariance, models.covariance)
    for old, new in zip(models.parameters.values(), back.parameters.values(), strict=True):
        assert repr(old) == repr(new)
    assert [m.apply_irf for m in back.sky_models] == [m.apply_irf for m in models.sky_models]
    np.testing.assert_array_equal(back["n"].map.data, 1.0)
    np.testing.assert_array_equal(back["map"].spatial_model.map.data, diffuse_map().data)
    before = {name: (tmp_path / name).read_bytes() for name in ("models.yaml", "models_covariance.dat")}
    back.write(tmp_path / "models.yaml", overwrite=True)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    # the folder may move
    shutil.move(tmp_path / "models.yaml", tmp_path / "sub.yaml")
    assert Models.read(tmp_path / "sub.yaml")["map"].spatial_model.map.data.sum() == diffuse_map().data.sum()


def test_files_outside_the_folder_keep_their_place(folder):
    models = Models.read(folder / "models.yaml")
    models.write(folder / "out" / "models.yaml")
    text = (folder / "out" / "models.yaml").read_text()
    assert "filename: $TEMPLATES/diffuse.fits" in text
    assert f"filename: {folder / 'npred.fits'}" in text
    assert list(Models.read(folder / "out" / "models.yaml").parameters) == list(models.parameters)


def test_templates_are_not_overwritten_unasked(tmp_path):
    models = Models(
        SkyModel(PowerLawNormSpectralModel(), "m", spatial_model=TemplateSpatialModel(diffuse_map(), False))
    )
    models.write(tmp_path / "models.yaml")
    twice = diffuse_map() * 2.0
    changed = Models(SkyModel(PowerLawNormSpectralModel(), "m", spatial_model=TemplateSpatialModel(twice, False)))
    with pytest.raises(GammaxError, match="GX-PATH-002"):
        changed.write(tmp_path / "models.yaml")
    for overwrite_templates, factor in ((False, 1.0), (True, 2.0)):
        changed.write(tmp_path / "models.yaml", overwrite=True, overwrite_templates=overwrite_templates)
        kept = Models.read(tmp_path / "models.yaml")["m"].spatial_model.map
        np.testing.assert_array_equal(kept.data, factor * diffuse_map().data)
    named = [
        SkyModel(
            PowerLawNormSpectralModel(), str(k), spatial_model=TemplateSpatialModel(diffuse_map() * k, False, "x.fits")
        )
        for k in (1.0, 2.0)
    ]
    with pytest.raises(GammaxError, match="GX-MODEL-074"):
        Models(named).write(tmp_path / "two.yaml")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("type: GaussianSpatialModel", "type: GausianSpatialModel", "GX-MODEL-070"),
        ("frame: galactic", "frame: ecliptic", "GX-MODEL-040"),
        ("frame: galactic", "frme: galactic", "GX-MODEL-020"),
        ("{name: sigma,", "{name: sigm,", "GX-MODEL-024"),
        ("psf: false", "pfs: false", "GX-MODEL-058"),
        ("psf: false", "psf: perhaps", "GX-MODEL-020"),
        ("filename: npred.fits", "filename: nothing.fits", "GX-FITS-001"),
        ("    filename: npred.fits\n", "", "GX-MODEL-072"),
        ("$TEMPLATES/", "$NO_SUCH_VARIABLE/", "GX-PATH-001"),
        ("        frame: icrs", "        frame: galactic", "GX-MODEL-071"),
        ("    datasets_names: [d3]", "    datasets_names: [d3, d4]", "GX-MODEL-068"),
        ("    datasets_names: [d3]", "    filename: x.fits", "GX-MODEL-067"),
        ("-   name: iso", "-   datasets_names: [d1]", "GX-MODEL-020"),
        ("        energy: {data: [1.0, 2.0, 5.0], unit: TeV}\n", "", "GX-MODEL-069"),
        ("error: 0.1}", "prior: {type: GaussianPrior}}", "GX-MODEL-073"),
        ("    type: sky-model", "    type: sky-model\n    temporal: {type: ConstantTemporalModel}", "GX-MODEL-067"),
        ("type: PowerLawSpectralModel", "type: EBLAbsorptionNormSpectralModel", "GX-MODEL-022"),
    ],
)
def test_faults_name_the_file(folder, old, new, code):
    assert old in PEER
    (folder / "models.yaml").write_text(PEER.replace(old, new, 1))
    with pytest.raises(GammaxError) as caught:
        Models.read(folder / "models.yaml")
    assert caught.value.code == code
    assert str(folder) in str(caught.value)


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("fermi-3fhl-crab/Fermi-LAT-3FHL_models.yaml", ("Crab Nebula", "Fermi-LAT-bkg")),
        ("tests/models/gc_example_models.yaml", ("gc", "gll_iem_v06_cutout", "gc-bkg", "g09", "g09-bkg")),
        ("datasets/simulations/simulated_map_dataset_model.yaml", ("E4h3eiR--bkg", "source")),
        ("estimators/crab_hess_fp/models.yaml", ("Crab",)),
    ],
)
def test_published_files(data_dir, monkeypatch, file, names):
    monkeypatch.setitem(os.environ, "GAMMAPY_DATA", str(data_dir))
    assert Models.read(data_dir / file).names == names
