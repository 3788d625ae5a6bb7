"""DL3 responses in files: axis order, spellings, refusals, round trips."""

import numpy as np
import pytest
from dl3_cases import background, gauss_table, king, linear_area, multi_gauss, offset_axis, tampered, true_axis
from numpy.testing import assert_allclose, assert_array_equal

from gammax.errors import DataValueError, GammaxError, GammaxWarning, GeometryError, SchemaError, UnitError
from gammax.irf import (
    DL3_IRFS,
    PSF3D,
    Background2D,
    Background3D,
    EffectiveAreaTable2D,
    EnergyDispersion2D,
    PSFKing,
    RadMax2D,
    hdu_class_of,
)
from gammax.maps import MapAxes, MapAxis


def edisp():
    migra = MapAxis.from_bounds(0.2, 5, 48, "migra")
    return EnergyDispersion2D.from_gauss(true_axis(), migra, offset_axis(), 0.0, 0.2)


def background_2d():
    axes = MapAxes([MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=2), offset_axis()])
    return Background2D(axes, 1.0 + np.arange(6).reshape(2, 3))


def rad_max():
    axes = MapAxes([MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=3), offset_axis((0.4, 0.8))])
    return RadMax2D(axes, [[0.3, 0.3], [0.2, 0.25], [0.1, 0.15]])


CASES = {
    "aeff_2d": linear_area,
    "edisp_2d": edisp,
    "psf_table": lambda: gauss_table(np.linspace(0, 0.6, 13), 0.06),
    "psf_3gauss": multi_gauss,
    "psf_king": king,
    "bkg_2d": background_2d,
    "bkg_3d": background,
    "rad_max_2d": rad_max,
}


@pytest.mark.parametrize("tag", DL3_IRFS)
def test_round_trip(tag, tmp_path):
    response = CASES[tag]()
    path = response.write(tmp_path / "irf.fits")
    back = DL3_IRFS[tag].read(path)
    assert back.is_allclose(response, rtol=0)
    assert [axis.node_type for axis in back.axes] == [axis.node_type for axis in response.axes]
    assert back.is_pointlike == response.is_pointlike
    assert not back.is_allclose(CASES["aeff_2d" if tag != "aeff_2d" else "psf_king"]())
    with pytest.raises(GammaxError, match="the file exists"):
        response.write(path)


def test_meta_survives(tmp_path):
    back = EffectiveAreaTable2D.read(linear_area().write(tmp_path / "a.fits"))
    assert back.meta["OBS_ID"] == 7
    assert back.meta["LO_THRES"] == 0.3


@pytest.mark.parametrize("tag", DL3_IRFS)
def test_class_is_told_by_the_columns(tag):
    hdu = CASES[tag]().to_hdu()
    hdu.header["HDUCLAS4"] = "2D"
    assert hdu_class_of(hdu) == tag
    other = EffectiveAreaTable2D if tag != "aeff_2d" else PSFKing
    with pytest.raises(SchemaError, match=r"GX-IRF-044[^$]*found: " + tag):
        other.from_hdu(hdu)


def test_read_by_name_and_not_found(tmp_path):
    path = linear_area().write(tmp_path / "a.fits")
    assert EffectiveAreaTable2D.read(path, hdu="EFFECTIVE AREA").is_allclose(linear_area())
    with pytest.raises(SchemaError, match=r"GX-IRF-043[^$]*EFFECTIVE AREA \(aeff_2d\)"):
        PSF3D.read(path)


@pytest.mark.parametrize("nodes", [[0.4], [0.0]])
def test_single_node_has_no_limits(nodes, tmp_path):
    # LO = HI with one bin: the response is known at one offset, and holds at all
    hdu = linear_area().to_hdu()
    area = hdu.data["EFFAREA"][0][:1]
    table = tampered(hdu, arrays={"THETA_LO": nodes, "THETA_HI": nodes, "EFFAREA": area}.items())
    aeff = EffectiveAreaTable2D.from_hdu(table)
    assert_allclose(aeff.axes["offset"].center_value("deg"), nodes, atol=1e-12)
    expected = linear_area().values(energy_true=1.0, offset=0.0)
    assert_allclose(aeff.values(energy_true=1.0, offset=[0, 0.4, 3]), np.full(3, expected), rtol=1e-12)
    written = aeff.to_hdu()
    assert_array_equal(written.data["THETA_LO"], written.data["THETA_HI"])


def test_cref_tells_the_order():
    # the same array, stored with the offset fastest
    hdu = linear_area().to_hdu()
    swapped = tampered(
        hdu,
        arrays={"EFFAREA": hdu.data["EFFAREA"][0].T}.items(),
        header={"CREF5": "(THETA_LO:THETA_HI,ENERG_LO:ENERG_HI)"}.items(),
    )
    assert EffectiveAreaTable2D.from_hdu(swapped).is_allclose(linear_area(), rtol=0)


def test_cref_that_does_not_fit():
    hdu = linear_area().to_hdu()
    wrong = tampered(hdu, header={"CREF5": "(THETA_LO:THETA_HI,ENERG_LO:ENERG_HI)"}.items())
    with pytest.warns(GammaxWarning, match="CREF of column EFFAREA .* the recommended order is used"):
        assert EffectiveAreaTable2D.from_hdu(wrong).is_allclose(linear_area(), rtol=0)
    with pytest.raises(SchemaError, match="GX-IRF-032"):
        EffectiveAreaTable2D.from_hdu(tampered(hdu, header={"CREF5": "(RAD_LO:RAD_HI)"}.items()))


def test_flat_array_has_energy_fastest():
    hdu = linear_area().to_hdu()
    flat = tampered(hdu, arrays={"EFFAREA": hdu.data["EFFAREA"][0].ravel()}.items())
    assert EffectiveAreaTable2D.from_hdu(flat).is_allclose(linear_area(), rtol=0)


@pytest.mark.parametrize("n_energy_last", [True, False])
def test_background_stored_energy_slowest(n_energy_last):
    # H.E.S.S. and CTA 1DC: energy is the slowest axis and its columns come last, DETY the fastest
    bkg = background(4, 4)
    hdu = bkg.to_hdu()
    axes = ["DETX_LO", "DETX_HI", "DETY_LO", "DETY_HI", "ENERG_LO", "ENERG_HI"]
    order = [*axes, "BKG"] if n_energy_last else hdu.columns.names
    stored = tampered(hdu, arrays={"BKG": bkg.data}.items(), order=order, rename={"BKG": "BGD"}.items())
    assert Background3D.from_hdu(stored).is_allclose(bkg, rtol=0)


@pytest.mark.parametrize("n_energy_last", [True, False])
def test_equal_lengths_are_told_by_the_columns(n_energy_last):
    energy = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=3)
    bkg = Background3D(background().axes.replace(energy), 1.0 + np.arange(27).reshape(3, 3, 3))
    hdu = bkg.to_hdu()
    axes = ["DETX_LO", "DETX_HI", "DETY_LO", "DETY_HI", "ENERG_LO", "ENERG_HI", "BKG"]
    data = bkg.data if n_energy_last else bkg.data.T
    stored = tampered(hdu, arrays={"BKG": data}.items(), order=axes if n_energy_last else None)
    assert Background3D.from_hdu(stored).is_allclose(bkg, rtol=0)


@pytest.mark.parametrize(
    ("column", "unit"), [("EFFAREA", "m**2"), ("EFFAREA", "m^2"), ("ENERG_LO", "TeV"), ("THETA_HI", "deg")]
)
def test_unit_spellings(column, unit):
    table = tampered(linear_area().to_hdu(), units={column: unit}.items())
    assert EffectiveAreaTable2D.from_hdu(table).is_allclose(linear_area())


@pytest.mark.parametrize("unit", ["s^-1 MeV^-1 sr^-1", "1/s/MeV/sr", "MeV-1 s-1 sr-1"])
def test_background_unit_spellings(unit):
    assert Background3D.from_hdu(tampered(background().to_hdu(), units={"BKG": unit}.items())).is_allclose(background())


def test_units_are_converted():
    hdu = linear_area().to_hdu()
    energies = {f"ENERG_{s}": hdu.data[f"ENERG_{s}"][0] * 1e3 for s in ("LO", "HI")}
    table = tampered(hdu, arrays=energies.items(), units={"ENERG_LO": "GeV", "ENERG_HI": "GeV"}.items())
    aeff = EffectiveAreaTable2D.from_hdu(table)
    assert aeff.axes["energy_true"].unit == "GeV"
    assert aeff.is_allclose(linear_area())
    assert_allclose(aeff.values(energy_true=1.0, offset=1.0), linear_area().values(energy_true=1.0, offset=1.0))


@pytest.mark.parametrize("column", ["ENERG_LO", "THETA_HI", "EFFAREA"])
@pytest.mark.parametrize("unit", ["", "s"])
def test_units_are_not_guessed(column, unit):
    with pytest.raises(UnitError, match=column):
        EffectiveAreaTable2D.from_hdu(tampered(linear_area().to_hdu(), units={column: unit}.items()))


def test_background_without_unit():
    table = tampered(background().to_hdu(), units={"BKG": ""}.items())
    with pytest.warns(GammaxWarning, match="has no unit; s-1 MeV-1 sr-1 is taken"):
        assert Background3D.from_hdu(table, "f.fits").is_allclose(background())
    with pytest.raises(UnitError, match="GX-IRF-082"):
        Background3D.from_hdu(tampered(background().to_hdu(), units={"BKG": "m"}.items()))


@pytest.mark.parametrize(
    ("low", "high", "code"),
    [
        ([0.1, np.nan, 10, 100], [1, 10, 100, 1000], "GX-IRF-023.*energy_true[^$]*index 1"),
        ([0.1, 10, 1, 100], [1, 100, 10, 1000], "GX-IRF-024[^$]*index 1"),
        ([1, 1, 10, 100], [1, 10, 100, 1000], "GX-IRF-024[^$]*index 0"),
        ([0, 1, 10, 100], [1, 10, 100, 1000], "GX-IRF-025[^$]*index 0"),
        ([0.1, 1, 10, 100], [1, 10, 99, 1000], "GX-IRF-027[^$]*index 2"),
        ([0.1, 1, 10, 100], [1, 11, 100, 1000], "GX-IRF-027[^$]*index 1"),
        ([0.1, 1, 10, 100], [1, 10, 10, 1000], "GX-IRF-026[^$]*index 2"),
    ],
)
def test_energy_edges_that_cannot_be(low, high, code):
    table = tampered(linear_area().to_hdu(), arrays={"ENERG_LO": low, "ENERG_HI": high}.items())
    with pytest.raises(DataValueError, match=code):
        EffectiveAreaTable2D.from_hdu(table, "f.fits")


def test_edges_in_32_bits_are_no_gap():
    table = tampered(linear_area().to_hdu(), arrays={"ENERG_HI": np.array([1, 10, 100, 1000]) * (1 + 6e-7)}.items())
    assert EffectiveAreaTable2D.from_hdu(table).is_allclose(linear_area(), rtol=1e-5)


def test_columns_missing_and_shapes():
    hdu = linear_area().to_hdu()
    with pytest.raises(SchemaError, match="EFFAREA is missing"):
        EffectiveAreaTable2D.from_hdu(tampered(hdu, drop=("EFFAREA",)))
    with pytest.raises(SchemaError, match=r"GX-IRF-020 .*THETA_LO"):
        EffectiveAreaTable2D.from_hdu(tampered(hdu, drop=("THETA_LO",)))
    with pytest.raises(GeometryError, match=r"GX-IRF-031[^$]*expected: \(3, 4\) or \(4, 3\)"):
        EffectiveAreaTable2D.from_hdu(tampered(hdu, arrays={"EFFAREA": np.ones((3, 5))}.items()))
    with pytest.raises(GeometryError, match="GX-IRF-022"):
        EffectiveAreaTable2D.from_hdu(tampered(hdu, arrays={"THETA_HI": [0, 1]}.items()))
    with pytest.raises(GeometryError, match="GX-IRF-040"):
        EffectiveAreaTable2D(MapAxes([offset_axis(), true_axis()]), np.ones((3, 4)))
    with pytest.raises(GeometryError, match="GX-IRF-045"):
        EffectiveAreaTable2D(MapAxes([true_axis(), offset_axis()]), np.ones((3, 4)))


@pytest.mark.parametrize("tag", [tag for tag in DL3_IRFS if tag != "rad_max_2d"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_cells_are_refused(tag, bad):
    hdu = CASES[tag]().to_hdu()
    column = next(name for name in hdu.columns.names if not name.endswith(("_LO", "_HI")))
    array = np.array(hdu.data[column][0], dtype=float)
    array.flat[[1, 2]] = bad
    with pytest.raises(DataValueError, match=rf"has 2 NaN or infinite of {array.size}[^$]*cell energy"):
        DL3_IRFS[tag].from_hdu(tampered(hdu, arrays={column: array}.items()))


def with_cell(response, value):
    hdu = response.to_hdu()
    array = np.array(hdu.data[response.column][0], dtype=float)
    array.flat[0] = value
    return tampered(hdu, arrays={response.column: array}.items())


def test_small_negative_cells_are_clipped_with_one_warning():
    with pytest.warns(GammaxWarning, match="1 negative of 12 cells .smallest -52.5., set to 0") as seen:
        aeff = EffectiveAreaTable2D.from_hdu(with_cell(linear_area(), -52.5), "f.fits")
    assert len(seen) == 1
    assert aeff.data[0, 0] == 0
    assert_array_equal(aeff.data.flat[1:], linear_area().data.flat[1:])


def test_large_negative_cells_are_refused():
    with pytest.raises(DataValueError, match="GX-IRF-034"):
        EffectiveAreaTable2D.from_hdu(with_cell(linear_area(), -5e4))
    with pytest.raises(DataValueError, match="GX-IRF-081"):
        Background3D.from_hdu(with_cell(background(), -1e-9))
    hdu = linear_area().to_hdu()
    with pytest.raises(DataValueError, match="GX-IRF-033"):
        EffectiveAreaTable2D.from_hdu(tampered(hdu, arrays={"EFFAREA": np.zeros((3, 4))}.items()))


def test_area_in_a_wrong_unit_is_noticed():
    table = tampered(linear_area().to_hdu(), units={"EFFAREA": "mm2"}.items())
    with pytest.warns(GammaxWarning, match="is its unit right"):
        EffectiveAreaTable2D.from_hdu(table)


def test_psf_that_integrates_to_three():
    table = gauss_table(np.linspace(0, 0.6, 13), 0.06, norm=3.0)
    with pytest.raises(DataValueError, match=r"GX-IRF-062[^$]*found: 3"):
        PSF3D.from_hdu(table.to_hdu())


def test_alignment_of_the_field_of_view():
    bkg = background()
    assert Background3D.from_hdu(tampered(bkg.to_hdu(), header={"FOVALIGN": "ALTAZ"}.items())).fov_alignment == "ALTAZ"
    with pytest.raises(SchemaError, match="GX-IRF-080"):
        Background3D.from_hdu(tampered(bkg.to_hdu(), header={"FOVALIGN": "GALACTIC"}.items()))
    archived = {"CREATOR": "SASH FITS::EventListWriter", "HDUVERS": "0.2"}
    assert bkg.with_events_header(archived).fov_alignment == "REVERSE_LON_RADEC"
    assert bkg.with_events_header(archived | {"HDUVERS": "0.3"}) is bkg
    assert bkg.with_events_header(archived).to_hdu().header["FOVALIGN"] == "REVERSE_LON_RADEC"
