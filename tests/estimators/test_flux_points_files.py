"""Flux points on disk: what is written comes back, what others wrote is read right, what is wrong is refused."""

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable, Table
from flux_points_cases import EDGES, KINDS, SED_TYPES, all_quantities, make_points, power_law
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from gammax.errors import (
    DataValueError,
    FileFormatError,
    GammaxError,
    GammaxWarning,
    GeometryError,
    SchemaError,
    UnitError,
)
from gammax.estimators import FluxPoints
from gammax.models import LogParabolaSpectralModel, PowerLawNormSpectralModel, PowerLawSpectralModel, SpectralModel


def assert_same(found, expected, rtol=1e-12):
    assert set(found.quantities) == set(expected.quantities)
    for name, array in expected.quantities.items():
        if array.dtype.kind == "f":
            assert_allclose(found.quantities[name], array, rtol=rtol, err_msg=name)
        else:
            assert_array_equal(found.quantities[name], array, err_msg=name)
    for name in ("energy_min", "energy_max", "energy_ref"):
        assert_allclose(getattr(found, name), getattr(expected, name), rtol=rtol)
    for name in ("dataset_names", "n_sigma", "n_sigma_ul", "n_sigma_sensitivity", "meta", "energy_unit"):
        assert getattr(found, name) == getattr(expected, name)


@pytest.mark.parametrize("suffix", ["fits", "ecsv"])
@pytest.mark.parametrize("sed_type", SED_TYPES)
@pytest.mark.parametrize("energy_unit", ["TeV", "keV"])
def test_round_trip(tmp_path, sed_type, suffix, energy_unit):
    points = make_points(energy_unit=energy_unit)
    path = points.write(tmp_path / f"points.{suffix}", sed_type)
    again = FluxPoints.read(path)
    assert_same(again, points)
    assert repr(again.reference_model) == repr(points.reference_model)
    for kind in KINDS:
        assert_allclose(getattr(again, f"{kind}_ul"), getattr(points, f"{kind}_ul"), rtol=1e-12)


@pytest.mark.parametrize("sed_type", ["dnde", "e2dnde"])
def test_round_trip_without_bins(tmp_path, sed_type):
    points = make_points(energy_min=np.full(3, np.nan), energy_max=np.full(3, np.nan), n_sigma_ul=None)
    again = FluxPoints.read(points.write(tmp_path / "points.fits", sed_type))
    assert_same(again, points)
    assert not again.has_energy_range


@pytest.mark.parametrize("sed_type", SED_TYPES)
def test_round_trip_of_reference_fluxes(sed_type):
    # a likelihood table of others has no model: its reference fluxes go along into every kind
    given_fluxes = {name: factor * np.arange(1.0, 4.0) for name, factor in {"dnde": 1, "flux": 2, "eflux": 3}.items()}
    points = make_points(reference_model=None, reference_fluxes=given_fluxes)
    again = FluxPoints.from_table(points.to_table(sed_type))
    assert_same(again, points)
    assert again.reference_model is None


def test_round_trip_of_a_product(tmp_path):
    curved = LogParabolaSpectralModel(amplitude="4e-11 TeV-1 s-1 cm-2", alpha=2.5, beta=0.1, reference="1 TeV")
    points = make_points(reference_model=curved * PowerLawNormSpectralModel(tilt=0.3))
    again = FluxPoints.read(points.write(tmp_path / "points.ecsv", "flux"))
    assert repr(again.reference_model) == repr(points.reference_model)
    assert_same(again, points)


# fluxes are 1e-11 of a norm: smaller numbers than these would leave the range of floats
positive = st.floats(1e-200, 1e3)
numbers = positive | positive.map(lambda x: -x) | st.sampled_from([0.0, float("nan")])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(
    norm=st.lists(numbers, min_size=3, max_size=3),
    npred=st.lists(numbers, min_size=6, max_size=6),
    meta=st.dictionaries(texts, texts | st.integers() | st.booleans() | st.floats(allow_nan=False), max_size=3),
    unit=st.sampled_from(["TeV", "GeV", "MeV", "keV", "eV", "J"]),
    sed_type=st.sampled_from(SED_TYPES),
    suffix=st.sampled_from(["fits", "ecsv"]),
)
@settings(max_examples=40, deadline=None)
def test_round_trip_of_anything(tmp_path_factory, norm, npred, meta, unit, sed_type, suffix):
    quantities = {"norm": np.array(norm), "npred": np.reshape(npred, (3, 2))}
    points = make_points(quantities=quantities, meta=meta, energy_unit=unit)
    path = tmp_path_factory.mktemp("points") / f"points.{suffix}"
    assert_same(FluxPoints.read(points.write(path, sed_type)), points)


def test_layout_of_the_file(tmp_path):
    # the columns, keywords and shapes of the gadf-sed layout
    path = make_points(energy_unit="keV").write(tmp_path / "points.fits", "likelihood")
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "FLUXPOINTS"]
        header, columns = hdus[1].header, hdus[1].columns
        assert header["SED_TYPE"] == "likelihood"
        assert header["UL_CONF"] == 0.9973002
        units = {column.name: column.unit for column in columns}
        assert [units[name] for name in ("e_ref", "e_min", "e_max")] == ["keV"] * 3
        assert [u.Unit(units[f"ref_{kind}"]) for kind in KINDS[:3]] == [
            u.Unit("TeV-1 s-1 cm-2"), u.Unit("s-1 cm-2"), u.Unit("erg s-1 cm-2"),
        ]  # fmt: skip
        assert units["norm"] is None
        assert columns["npred"].dim == "(2)"
        assert columns["stat_scan"].dim == "(5)"
        assert columns["status"].format == "8A"
        assert_array_equal(hdus[1].data["is_ul"], all_quantities()["is_ul"])


def test_table_is_formatted_for_people():
    table = make_points().to_table("e2dnde", formatted=True)
    assert table["e2dnde"].format == ".3e"
    assert table["norm_scan"].format == ".3f"
    assert table["status"].format is None
    assert_array_equal(table["e2dnde"], make_points().to_table("e2dnde")["e2dnde"])


# -- tables of others -----------------------------------------------------------------------------------------------


def plain_table(**columns):
    table = Table({"e_ref": [1.0, 10.0], "dnde": [1e-11, 2e-14]}, units={"e_ref": "TeV", "dnde": "TeV-1 s-1 cm-2"})
    for name, column in columns.items():
        table[name] = column
    return table


@pytest.mark.parametrize("unit", ["MeV-1 s-1 cm-2", "ph / (cm2 MeV s)", "1/(TeV m^2 yr)", "erg-1 s-1 cm-2"])
def test_units_are_converted(unit):
    table = plain_table(dnde=u.Quantity([1e-11, 2e-14], "TeV-1 s-1 cm-2").to(unit.replace("ph", "1")).value)
    table["dnde"].unit = unit
    table["e_ref"] = [1e9, 1e10] * u.keV
    points = FluxPoints.from_table(table)
    assert_allclose(points.dnde.value, [1e-11, 2e-14], rtol=1e-12)
    assert_allclose(points.energy_ref, [1.0, 10.0], rtol=1e-14)
    assert points.energy_unit == "keV"


def test_flux_columns_alone():
    # closed form for the default reference, index 2: dnde at sqrt(E1 E2) is flux / (E2 - E1)
    table = Table({"e_min": [1.0, 4.0], "e_max": [3.0, 9.0], "flux": [4e-12, 5e-13]},
                  units={"e_min": "GeV", "e_max": "GeV", "flux": "s-1 cm-2"})  # fmt: skip
    points = FluxPoints.from_table(table)
    assert_allclose(points.e_ref.value, [np.sqrt(3.0), 6.0], rtol=1e-14)
    assert_allclose(points.dnde.to_value("GeV-1 s-1 cm-2"), [4e-12 / 2, 5e-13 / 5], rtol=1e-12)


def test_a_reference_model_converts_kinds():
    points = FluxPoints.from_table(make_points().to_table("flux"), reference_model=power_law(index=3.5))
    assert_allclose(points.flux, make_points().flux, rtol=1e-12)
    ratio = power_law(index=3.5)(points.e_ref) / power_law(index=3.5).integral(points.e_min, points.e_max)
    assert_allclose(points.dnde.value, (points.flux * ratio).to_value("TeV-1 s-1 cm-2"), rtol=1e-12)


def test_missing_values_are_nan():
    table = Table(plain_table(), masked=True)
    table["dnde"].mask[1] = True
    assert_array_equal(np.isnan(FluxPoints.from_table(table).norm), [False, True])


def test_quantity_tables_and_integers():
    table = QTable(plain_table(counts=[3, 4], success=[1, 0]))
    points = FluxPoints.from_table(table)
    assert_array_equal(points.counts, [[3.0], [4.0]])
    assert_array_equal(points.success, [True, False])
    assert points.n_sigma_ul is None


@pytest.mark.parametrize(("confidence", "n_sigma"), [(0.9544997, 2.0), (0.9973002, 3.0), (0.95, 1.959963984540054)])
def test_confidence_level_of_limits(confidence, n_sigma):
    # two-sided normal: 0.9544997 and 0.9973002 are 2 and 3 sigma, 0.95 is 1.96 sigma (any table of the normal law)
    table = plain_table()
    table.meta["UL_CONF"] = confidence
    assert_allclose(FluxPoints.from_table(table).n_sigma_ul, n_sigma, rtol=1e-12)


def test_scan_without_its_reference_is_left_out():
    table = make_points().to_table("dnde")
    del table.meta["META"]
    with pytest.warns(GammaxWarning, match="GX-FLUX-127"):
        assert not hasattr(FluxPoints.from_table(table), "norm_scan")
    assert_array_equal(FluxPoints.from_table(table, reference_model=power_law()).norm_scan, make_points().norm_scan)


def test_unknown_columns_are_named():
    with pytest.warns(GammaxWarning, match="columns not read: colour"):
        FluxPoints.from_table(plain_table(colour=["red", "blue"]))


def test_table_without_a_name(tmp_path):
    # older files have one table without EXTNAME
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.table_to_hdu(plain_table())])
    hdus.writeto(tmp_path / "old.fits")
    assert len(FluxPoints.read(tmp_path / "old.fits")) == 2


@pytest.mark.data
def test_lat_points_in_mev(data_dir):
    # first rows as they stand in the ECSV files, 1 MeV-1 = 1e6 TeV-1
    folder = data_dir / "tests/spectrum/flux_points"
    for suffix in ("fits", "ecsv"):
        points = FluxPoints.read(folder / f"diff_flux_points.{suffix}")
        assert_allclose(points.dnde[0].value, 1.15069456054e-04, rtol=1e-12)
        assert_allclose(points.energy_ref[0], 115.478198469e-6, rtol=1e-12)
        assert points.is_ul.sum() == 5
        points = FluxPoints.read(folder / f"flux_points.{suffix}")
        assert_allclose(points.flux[0].value, 3.84363636364e-09, rtol=1e-12)
        assert_allclose(points.dnde[0].value, 3.84363636364e-09 / 33.352143216e-6, rtol=1e-9)
        assert points.is_ul.sum() == 5


@pytest.mark.data
def test_hess_points_of_the_peer(data_dir):
    # written by Gammapy with a power law as reference: two of the file's ref_dnde give its index and amplitude, and
    # our integrals of it must be the file's ref_flux and ref_eflux
    path = data_dir / "estimators/crab_hess_fp/crab_hess_fp.fits"
    points = FluxPoints.read(path)
    x, y = points.energy_ref, points.dnde_ref.value
    index = -np.log(y[3] / y[1]) / np.log(x[3] / x[1])
    model = PowerLawSpectralModel(index=index, amplitude=y[1] * x[1] ** index * u.Unit("TeV-1 s-1 cm-2"))
    with_model = FluxPoints.read(path, reference_model=model)
    for kind in KINDS:
        assert_allclose(getattr(points, kind).value, getattr(with_model, kind).value, rtol=1e-10)
    assert points.n_sigma_ul == 3.0
    assert points.stat_scan.shape == (5, 11)
    # the doc string of Gammapy's FluxPoints.recompute_ul prints this limit
    assert f"{points.flux_ul[1].value:.2e}" == "3.99e-11"


@pytest.mark.data
def test_light_curves_are_refused(data_dir):
    with pytest.raises(SchemaError, match="light curve"):
        FluxPoints.read(data_dir / "estimators/pks2155_hess_lc/pks2155_hess_lc.fits")


# -- what is wrong --------------------------------------------------------------------------------------------------


def with_meta(**meta):
    table = plain_table()
    table.meta.update(meta)
    return table


def with_unit(name, unit):
    table = plain_table()
    table[name].unit = unit
    return table


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (plain_table()[["e_ref"]], SchemaError, "cannot tell"),
        (with_meta(SED_TYPE="flux"), SchemaError, "column e_min is missing"),
        (with_meta(SED_TYPE="dnd"), SchemaError, "did you mean 'dnde'"),
        (with_meta(UL_CONF=95), DataValueError, "UL_CONF"),
        (with_meta(UL_CONF="high"), DataValueError, "UL_CONF"),
        (with_meta(META="{"), SchemaError, "META"),
        (with_meta(META='{"colour": 1}'), SchemaError, "colour"),
        (with_meta(META='{"reference_model": {"type": "MyModel"}}'), SchemaError, "import the module"),
        (with_unit("dnde", None), UnitError, "has no unit"),
        (with_unit("dnde", "s-1 cm-2"), UnitError, "wrong unit"),
        (with_unit("dnde", "furlong"), UnitError, "furlong"),
        (with_unit("e_ref", None), UnitError, "has no unit"),
        (with_unit("e_ref", "cm"), UnitError, "wrong unit"),
        (plain_table(e_ref=[1.0, -1.0] * u.TeV), DataValueError, "positive"),
        (plain_table(e_ref=[1.0, np.nan] * u.TeV), DataValueError, "positive"),
        (plain_table(dnde=["a", "b"]), DataValueError, "does not hold numbers"),
        (plain_table(dnde=np.ones((2, 3)) * u.Unit("TeV-1 s-1 cm-2")), GeometryError, "holds vectors"),
        (plain_table(stat_scan=np.ones(2), norm_scan=np.ones((2, 3))), GeometryError, "stat_scan"),
        (plain_table(ts=[1.0, 2.0] * u.TeV), UnitError, "wrong unit"),
        (plain_table(is_ul=["yes", "no"]), DataValueError, "truth values"),
        (plain_table(dnde_errn=[-1e-12, 1e-14] * u.Unit("TeV-1 s-1 cm-2")), DataValueError, "absolute value"),
        (plain_table(e_min=[2.0, 2.0] * u.TeV, e_max=[1.0, 20.0] * u.TeV), DataValueError, "not below"),
        (plain_table()[:0], SchemaError, "no rows"),
        (plain_table(time_min=[1.0, 2.0]), SchemaError, "light curve"),
    ],
)
def test_malformed_tables(table, error, message):
    with pytest.raises(error, match=message):
        FluxPoints.from_table(table, reference_model=None if "norm_scan" not in table.colnames else power_law())


@pytest.mark.parametrize("suffix", ["fits", "ecsv"])
def test_errors_name_the_file(tmp_path, suffix):
    path = tmp_path / f"bad.{suffix}"
    plain_table(e_ref=[1.0, -1.0] * u.TeV).write(path)
    with pytest.raises(DataValueError, match=rf"bad\.{suffix}"):
        FluxPoints.read(path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileFormatError, match="no such file"):
        FluxPoints.read(tmp_path / "nothing.fits")
    (tmp_path / "text.fits").write_text("hello")
    with pytest.raises(FileFormatError, match="neither"):
        FluxPoints.read(tmp_path / "text.fits")
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones(3), name="FLUXPOINTS")]).writeto(tmp_path / "image.fits")
    with pytest.raises(SchemaError, match="HDU FLUXPOINTS is missing"):
        FluxPoints.read(tmp_path / "image.fits")


@pytest.mark.parametrize("suffix", ["fits", "ecsv"])
@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.6, 0.85])
def test_truncated_files(tmp_path, suffix, fraction):
    path = make_points().write(tmp_path / f"points.{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(fraction * len(content))])
    with warnings.catch_warnings():
        # astropy says of its own that the file is short; what counts is what the reader does
        warnings.simplefilter("ignore")
        with pytest.raises(GammaxError, match="points"):
            FluxPoints.read(path)


def test_files_that_cannot_be_written(tmp_path):
    points = make_points()
    with pytest.raises(FileFormatError, match=r"\.fits or \.ecsv"):
        points.write(tmp_path / "points.dat")
    with pytest.raises(SchemaError, match="unknown SED type"):
        points.write(tmp_path / "points.fits", "dndE")
    points.write(tmp_path / "points.fits")
    with pytest.raises(FileFormatError, match="exists"):
        points.write(tmp_path / "points.fits")
    points.write(tmp_path / "points.fits", overwrite=True)
    with pytest.raises(SchemaError, match="meta cannot be written"):
        make_points(meta={"when": object()}).to_table()
    with pytest.raises(SchemaError, match="no edges"):
        make_points(energy_min=np.full(3, np.nan)).to_table("flux")


def test_a_model_of_the_users_own(tmp_path):
    class FluxPointsTestModel(PowerLawSpectralModel):
        """A power law by another name."""

    points = make_points(reference_model=FluxPointsTestModel(index=2.2))
    again = FluxPoints.read(points.write(tmp_path / "points.fits"))
    assert isinstance(again.reference_model, SpectralModel)
    assert type(again.reference_model).__name__ == "FluxPointsTestModel"
    assert_allclose(again.norm, points.norm, rtol=1e-12)
    assert_allclose(again.energy_max, EDGES[1:])
