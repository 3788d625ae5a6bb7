"""Templates: tables of fluxes, maps of the sky, maps of counts, isotropic emission."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.units import Quantity
from scipy.integrate import quad

from gammax.errors import FileFormatError, GammaxWarning, ModelError
from gammax.maps import MapAxis, WcsGeom, WcsNDMap
from gammax.models import (
    FoVBackgroundModel,
    Models,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    TemplateNPredModel,
    TemplateSpatialModel,
    TemplateSpectralModel,
    create_fermi_isotropic_diffuse_model,
)

compiled_values = jax.jit(lambda model, *place: model.values(*place))
ENERGY = Quantity([0.1, 1, 3, 20], "TeV")
FLUX = Quantity([3e-11, 2e-12, 3e-13, 1e-15], "cm-2 s-1 TeV-1")


def test_spectrum_of_a_table():
    """Values of Gammapy 2.1, with its extrapolation beyond the table."""
    model = TemplateSpectralModel(ENERGY, FLUX)
    want = [6.778912080430787e-11, 3e-11, 5.875485536176141e-12, 4.110115682192598e-13]
    want += [8.036392870552094e-15, 6.361715238106602e-17]
    got = model(Quantity([0.05, 0.1, 0.4, 2.5, 10, 50], "TeV"))
    np.testing.assert_allclose(got.value, want, rtol=1e-12)
    other = TemplateSpectralModel(ENERGY.to("GeV"), FLUX.to("m-2 s-1 MeV-1"))
    np.testing.assert_allclose(other("0.4 TeV").value, want[2], rtol=1e-12)


@pytest.mark.parametrize(("low", "high"), [(0.02, 0.05), (0.05, 0.4), (0.2, 90.0), (1.0, 3.0), (30.0, 50.0)])
def test_integrals_of_a_table(low, high):
    """scipy, piece by piece."""
    model = TemplateSpectralModel(ENERGY, FLUX)
    knots = [low, *(e for e in ENERGY.value if low < e < high), high]
    for power, method in ((0, model.integral), (1, model.energy_flux)):
        want = sum(
            quad(lambda e: model(Quantity(e, "TeV")).value * e**power, a, b, epsabs=0, epsrel=1e-10)[0]  # noqa: B023
            for a, b in itertools.pairwise(knots)
        )
        assert method(Quantity(low, "TeV"), Quantity(high, "TeV")).value == pytest.approx(want, rel=1e-9)


def test_a_table_is_fitted_by_a_norm():
    """It has no parameters of its own, goes through jit, and has no error band."""
    product = TemplateSpectralModel(ENERGY, FLUX) * PowerLawNormSpectralModel(norm=2.0)
    assert [p.name for p in product.parameters] == ["tilt", "norm", "reference"]
    assert float(jax.jit(lambda model, energy: model.dnde(energy))(product, 1.0)) == pytest.approx(4e-12)
    factor = TemplateSpectralModel(ENERGY, [1.0, 0.9, 0.5, 0.0])
    assert factor.unit == ""
    assert factor("20 TeV").value == 0.0
    assert factor.evaluate_error("1 TeV", np.zeros((0, 0))).value[1] == 0.0
    assert TemplateSpectralModel(Quantity([1], "TeV"), Quantity([2e-12], "cm-2 s-1 TeV-1"))("5 TeV").value == 2e-12


@pytest.mark.parametrize(
    ("energy", "values"),
    [
        (ENERGY[::-1], FLUX),
        (ENERGY, FLUX[:-1]),
        (ENERGY, -FLUX),
        (ENERGY, FLUX * Quantity(1, "m")),
        (ENERGY * 0, FLUX),
    ],
)
def test_tables_that_are_refused(energy, values):
    with pytest.raises(ModelError, match="GX-MODEL-05"):
        TemplateSpectralModel(energy, values)


def sky_map(proj="CAR", unit="cm-2 s-1 MeV-1 sr-1", **geom):
    axis = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", 3, name="energy_true")
    options = {"npix": (6, 5), "binsz": 0.5, "frame": "galactic", "skydir": (0.3, 1.2), "axes": [axis], **geom}
    shape = WcsGeom.create(proj=proj, **options)
    data = 1e-9 * (1 + np.arange(np.prod(shape.data_shape), dtype=float).reshape(shape.data_shape) % 17)
    return WcsNDMap(shape, data, unit)


LON, LAT = Quantity([0.3, 359.7, 1.0, -0.9], "deg"), Quantity([1.2, 0.9, 2.2, 1.5], "deg")
TRUE = Quantity([1, 0.3, 0.11, 8], "TeV")
# Gammapy 2.1 for the same maps: at the centre, shifted to (0.45, 1.15) deg, first image normalised
PEER = {
    "CAR": (
        [0.011489125293075964, 0.011742587248109344, 0.011730773055731121, 0.018036426745975487],
        [0.009751461675328602, 0.012653869017730414, 0.014582436171732724, 0.020311963772686754],
        [833.7295371311997, 687.6308050246187, 489.6947293547053, 192.27473509333248],
    ),
    "TAN": (
        [0.011489125293076004, 0.011742414158516686, 0.011739219516440018, 0.018039476298923753],
        [0.009751453486257486, 0.012653686312535835, 0.014591916294627607, 0.020316656090067588],
        [833.7718641935207, 687.7977774668639, 490.1523360719378, 192.3895791659499],
    ),
}


@pytest.mark.parametrize("proj", PEER)
def test_maps_of_the_sky(proj):
    """Values of Gammapy 2.1 (its solid angles, in the normalised one, are good to 1e-6 here), on host and device."""
    centred, shifted, image = PEER[proj]
    cube = sky_map(proj)
    model = TemplateSpatialModel(cube, normalize=False)
    moved = model.replace(lon_0=0.45, lat_0=1.15)
    for template, want in ((model, centred), (moved, shifted)):
        got = template(LON, LAT, TRUE)
        assert got.unit == "TeV-1 s-1 cm-2 sr-1"
        np.testing.assert_allclose(got.value, want, rtol=1e-10)
        compiled = compiled_values(template, LON.value, LAT.value, TRUE.value)
        np.testing.assert_allclose(compiled, want, rtol=1e-10)
    assert (model.is_energy_dependent, model.frame) == (True, "galactic")
    first = cube.slice_by_idx({"energy_true": slice(0, 1)}).to_image()
    normalised = TemplateSpatialModel(first)
    np.testing.assert_allclose(normalised(LON, LAT).value, image, rtol=2e-5)
    np.testing.assert_allclose(normalised.integrate_geom(first.geom).data.sum(), 1.0, rtol=1e-12)


@pytest.mark.parametrize("proj", ["CAR", "TAN"])
def test_the_device_sees_the_pixels_of_the_host(proj):
    """In any orientation of the projection, and around the seam of the whole sky."""
    rng = np.random.default_rng(1)
    maps = [
        sky_map(proj, skydir=(359.9, lat), binsz=2.0, frame=frame, unit="sr-1", axes=[])
        for lat in (0.0, 70.0)
        for frame in ("icrs", "galactic")
    ]
    maps += [sky_map("CAR", binsz=30.0, npix=(12, 6), skydir=(0, 0), unit="sr-1", axes=[])] if proj == "CAR" else []
    for template in maps:
        model = TemplateSpatialModel(template, normalize=False)
        lon, lat = rng.uniform(-40, 400, 400), rng.uniform(-89, 89, 400)
        lon[:100], lat[:100] = (
            rng.uniform(-6, 6, 100),
            template.geom.center_skydir.spherical.lat.deg + rng.uniform(-4, 4, 100),
        )
        host = model(Quantity(lon, "deg"), Quantity(lat, "deg")).value
        device = compiled_values(model, lon, lat)
        assert (host > 0).sum() > 20
        np.testing.assert_allclose(device, host, rtol=1e-9)
    if proj == "CAR":
        seam = model(Quantity([179.9, 180.1, -179.9], "deg"), Quantity([5, 5, 5], "deg")).value
        assert seam[0] > 0
        assert seam[1] == seam[2] > 0


def test_the_position_of_a_map_can_be_fitted():
    """Gradient and shift: a template moved east is the template evaluated further west."""
    model = TemplateSpatialModel(sky_map("TAN", unit="sr-1", axes=[], binsz=0.5), normalize=False)

    def value(lon_0, lat_0):
        return model.evaluate(jnp.asarray(0.4), jnp.asarray(1.3), lon_0, lat_0)

    slope = jax.jit(jax.grad(value, argnums=(0, 1)))(0.31, 1.22)
    step = 1e-4
    want = [
        (value(0.31 + step, 1.22) - value(0.31 - step, 1.22)) / (2 * step),
        (value(0.31, 1.22 + step) - value(0.31, 1.22 - step)) / (2 * step),
    ]
    np.testing.assert_allclose(slope, want, rtol=1e-6)
    assert np.isfinite(jax.jit(jax.hessian(lambda x: value(*x)))(jnp.array([0.3, 1.2]))).all()


def test_templates_on_other_pixels():
    """On four times coarser pixels a normalised map keeps its sum to the interpolation; cubes give cubes."""
    y, x = np.indices((60, 60))
    image = WcsNDMap(
        WcsGeom.create(npix=60, binsz=0.1, proj="TAN"), np.exp(-((x - 30.2) ** 2 + (y - 28.7) ** 2) / 50), "sr-1"
    )
    coarse = WcsGeom.create(npix=15, binsz=0.4, proj="TAN")
    assert TemplateSpatialModel(image).integrate_geom(coarse).data.sum() == pytest.approx(1.0, abs=1e-4)
    cube = TemplateSpatialModel(sky_map("TAN"), normalize=False)
    flux = SkyModel(PowerLawNormSpectralModel(), spatial_model=cube).integrate_geom(sky_map("TAN").geom)
    assert flux.unit == "s-1 cm-2"
    edges = np.geomspace(0.1, 10, 4)
    want = sky_map("TAN").values("cm-2 s-1 TeV-1 sr-1") * sky_map("TAN").geom.solid_angle().value
    np.testing.assert_allclose(flux.data, want * np.diff(edges)[:, None, None], rtol=1e-10)


def test_maps_that_are_refused_or_warned_of():
    with pytest.raises(ModelError, match="GX-MODEL-047"):
        TemplateSpatialModel(sky_map(axes=[MapAxis.from_energy_bounds("1 TeV", "2 TeV", 2)]))
    with pytest.raises(ModelError, match="GX-MODEL-050"):
        TemplateSpatialModel(sky_map(unit="cm-2 s-1"))
    with pytest.raises(ModelError, match="GX-MODEL-059"):
        SkyModel(PowerLawSpectralModel(), spatial_model=TemplateSpatialModel(sky_map(), normalize=False))
    with pytest.warns(GammaxWarning, match="GX-MODEL-049"):
        TemplateSpatialModel(sky_map(unit=""))
    negative = sky_map(unit="sr-1")
    with pytest.warns(GammaxWarning, match="GX-MODEL-048"):
        model = TemplateSpatialModel(negative.replace(data=negative.data - 5e-9), normalize=False)
    assert (model(LON, LAT, TRUE).value >= 0).all()
    with pytest.raises(ModelError, match="GX-MODEL-045"):
        TemplateSpatialModel(sky_map("AIT", unit="sr-1", axes=[])).values(LON.value, LAT.value)
    with pytest.raises(ModelError, match="GX-MODEL-041"):
        TemplateSpatialModel(sky_map())(SkyCoord(0, 0, unit="deg"))


def test_a_map_of_counts():
    """Norm 2 and tilt 1 about 1 TeV: counts times 2 / E at the centres of the bins."""
    axis = MapAxis.from_energy_edges([1, 4, 25], unit="TeV")
    counts = WcsNDMap.create(npix=3, axes=[axis], data=np.arange(18.0).reshape(2, 3, 3))
    model = TemplateNPredModel(counts, PowerLawNormSpectralModel(norm=2.0, tilt=1.0), "t", datasets_names="d")
    np.testing.assert_allclose(model.evaluate().data, counts.data * (2 / np.array([2.0, 10.0]))[:, None, None])
    assert model.applies_to("d")
    assert not model.applies_to("e")
    with pytest.raises(ModelError, match="GX-MODEL-063"):
        TemplateNPredModel(counts, datasets_names=["d", "e"])
    with pytest.raises(ModelError, match="GX-MODEL-062"):
        TemplateNPredModel(sky_map())
    with pytest.raises(ModelError, match="GX-MODEL-061"):
        TemplateNPredModel(counts, PowerLawSpectralModel())


def test_a_background_with_a_shape():
    """Its factor is the norm times the values of the shape, without unit."""
    axis = MapAxis.from_energy_edges([1, 4, 25], unit="TeV")
    geom = WcsGeom.create(npix=(6, 5), binsz=0.5, frame="galactic", skydir=(0.3, 1.2), axes=[axis])
    shape = TemplateSpatialModel(sky_map(unit="sr-1", axes=[]), normalize=False)
    plain, shaped = (FoVBackgroundModel("d", PowerLawNormSpectralModel(norm=2.0), part) for part in (None, shape))
    assert plain.evaluate_geom(geom).shape == (2, 1, 1)
    np.testing.assert_allclose(shaped.evaluate_geom(geom), 2 * np.tile(shape.map.data, (2, 1, 1)), rtol=1e-10)
    names = list(Models(shaped).parameters)
    assert names == [
        f"d-bkg.{n}" for n in ("spectral.tilt", "spectral.norm", "spectral.reference", "spatial.lon_0", "spatial.lat_0")
    ]


def test_isotropic_emission(tmp_path):
    path = tmp_path / "iso.txt"
    path.write_text("100 1e-6 1e-8\n1000 1e-8 1e-9\n10000 1e-10 1e-11\n")
    model = create_fermi_isotropic_diffuse_model(path, "lat")
    assert (model.name, model.datasets_names) == ("isotropic_lat", ("lat",))
    assert model.apply_irf == {"exposure": True, "psf": False, "edisp": False}
    np.testing.assert_allclose(model.spectral_model("1 GeV").to_value("MeV-1 s-1 cm-2"), 1e-8)
    path.write_text("energy flux")
    with pytest.raises(FileFormatError, match="GX-MODEL-065"):
        create_fermi_isotropic_diffuse_model(path)
    with pytest.raises(FileFormatError, match="GX-MODEL-064"):
        create_fermi_isotropic_diffuse_model(tmp_path / "no.txt")
