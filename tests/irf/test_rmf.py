"""OGIP redistribution matrices: the published files, channel numbering, round trips, damaged files."""

import io

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from gammax.errors import DataValueError, GammaxWarning, SchemaError, UnitError
from gammax.irf import EDispKernel
from gammax.maps import MapAxis

PUBLISHED = [
    "fact/rmf_stacked", "fermi/rmf_obs0", "hess/rmf_obs23523", "hess/rmf_obs23526", "hess/rmf_obs23559",
    "hess/rmf_obs23592", "magic/rmf_obs5029747", "magic/rmf_obs5029748", "veritas/rmf_obs54809", "veritas/rmf_obs57993",
]  # fmt: skip


@pytest.fixture
def kernel():
    true = MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", nbin=4, name="energy_true")
    reco = MapAxis.from_energy_bounds("0.2 TeV", "50 TeV", nbin=5)
    data = [[0.5, 0.25, 0, 0, 0], [0.1, 0, 0.6, 0.2, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0.5, 0.5]]
    return EDispKernel((true, reco), data)


@pytest.mark.data
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files(data_dir, name, tmp_path):
    path = data_dir / f"joint-crab/spectra/{name}.fits"
    kernel = EDispKernel.read(path)
    raw = fits.getdata(path, "MATRIX")
    # nothing is lost, and every row keeps its sum and its edges
    assert_allclose(kernel.data.sum(axis=1), [np.sum(row, dtype=float) for row in raw["MATRIX"]], rtol=1e-12)
    assert kernel.energy_axis_true.unit == "keV"
    assert_array_equal(kernel.energy_axis_true.nodes[:-1], raw["ENERG_LO"])
    # neighbouring channels are 12 % apart: numbering off by one would show as a bias of -0.11
    bias = kernel.get_bias(kernel.energy_axis_true.center)
    full = kernel.data.sum(axis=1) > 0.99
    assert abs(np.median(bias[full])) < 0.06
    back = EDispKernel.read(kernel.write(tmp_path / "rmf.fits"))
    assert_array_equal(back.data, kernel.data)
    assert_array_equal(back.energy_axis_true.nodes, kernel.energy_axis_true.nodes)
    assert_array_equal(back.energy_axis.nodes, kernel.energy_axis.nodes)


@pytest.mark.data
def test_peer_numbers(data_dir):
    # printed by Gammapy 2.1 for this file
    kernel = EDispKernel.read(data_dir / "joint-crab/spectra/hess/rmf_obs23523.fits")
    energy = [0.3, 1.2, 30] * u.TeV
    assert_allclose(kernel.data.sum(), 59.9846112983237, rtol=1e-12)
    assert_allclose(kernel.data[30].max(), 0.20232003927230835, rtol=1e-12)
    assert kernel.data[30].argmax() == 36
    assert_allclose(kernel.get_mean(energy).value, [6.80720639e08, 1.24665868e09, 3.02483803e10], rtol=1e-8)
    assert_allclose(kernel.get_bias(energy), [1.2801788, 0.04893255, 0.01321621], rtol=1e-6)
    assert_allclose(kernel.get_resolution(energy), [0.53090936, 0.37380803, 0.22603219], rtol=1e-7)


def test_groups_of_a_row(kernel):
    matrix = kernel.to_hdulist()["MATRIX"]
    assert_array_equal(matrix.data["N_GRP"], [1, 2, 0, 1])
    assert_array_equal(matrix.data["F_CHAN"][1], [0, 2])
    assert_array_equal(matrix.data["N_CHAN"][1], [1, 2])
    assert_array_equal(matrix.data["MATRIX"][1], [0.1, 0.6, 0.2])
    assert (matrix.header["NUMGRP"], matrix.header["NUMELT"], matrix.header["TLMIN4"]) == (4, 7, 0)


@settings(max_examples=25, deadline=None)
@given(shape=st.tuples(st.integers(1, 6), st.integers(1, 6)), fill=st.floats(0, 1), seed=st.integers(0, 2**20))
def test_round_trip(shape, fill, seed):
    rng = np.random.default_rng(seed)
    data = rng.uniform(size=shape) * (rng.uniform(size=shape) < fill) / shape[1]
    true = MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", nbin=shape[0], name="energy_true").to_unit("keV")
    reco = MapAxis.from_energy_bounds("0.2 TeV", "50 TeV", nbin=shape[1])
    kernel = EDispKernel((true, reco), data)
    stream = io.BytesIO()
    kernel.to_hdulist().writeto(stream)
    back = EDispKernel.from_hdulist(fits.HDUList.fromstring(stream.getvalue()))
    assert_array_equal(back.data, data)
    assert_array_equal(back.energy_axis_true.nodes, true.nodes)
    assert back.energy_axis_true.unit == "keV"


def renumbered(kernel, tlmin, channel, name="MATRIX"):
    """HDUs with channels that count from `channel`, and a TLMIN keyword that says `tlmin` (None: says nothing)."""
    hdus = kernel.to_hdulist()
    for row in hdus["MATRIX"].data["F_CHAN"]:
        row += channel
    hdus["EBOUNDS"].data["CHANNEL"] += channel
    del hdus["MATRIX"].header["TLMIN4"]
    if tlmin is not None:
        hdus["MATRIX"].header["TLMIN4"] = tlmin
    hdus["MATRIX"].name = name
    return hdus


@pytest.mark.parametrize("channel", [0, 1, 100])
def test_first_channel_by_keyword_or_by_ebounds(kernel, channel):
    for tlmin in (channel, None):
        back = EDispKernel.from_hdulist(renumbered(kernel, tlmin, channel, "SPECRESP MATRIX"))
        assert_array_equal(back.data, kernel.data)


def test_first_channel_is_1_where_nothing_tells(kernel):
    # CAL/GEN/92-002: 1 is assumed without TLMIN
    hdus = renumbered(kernel, None, 1)
    hdus["EBOUNDS"] = fits.BinTableHDU.from_columns(hdus["EBOUNDS"].columns[1:], name="EBOUNDS")
    assert_array_equal(EDispKernel.from_hdulist(hdus).data, kernel.data)


def test_contradicting_channels_are_told(kernel):
    hdus = renumbered(kernel, 0, 0)
    hdus["EBOUNDS"].data["CHANNEL"] += 1
    with pytest.warns(GammaxWarning, match="TLMIN4 = 0, but EBOUNDS starts at channel 1"):
        assert_array_equal(EDispKernel.from_hdulist(hdus).data, kernel.data)


def test_fixed_length_columns(kernel):
    # one group per row, stored without variable-length arrays (Swift)
    columns = kernel.to_hdulist()["MATRIX"].columns[:2]
    columns += fits.Column("N_GRP", "I", array=[1, 1, 0, 1])
    columns += fits.Column("F_CHAN", "I", array=[0, 0, 0, 0])
    columns += fits.Column("N_CHAN", "I", array=[5, 5, 0, 5])
    columns += fits.Column("MATRIX", "5E", array=kernel.data)
    hdus = kernel.to_hdulist()
    hdus["MATRIX"] = fits.BinTableHDU.from_columns(columns, name="MATRIX")
    hdus["MATRIX"].header["TLMIN4"] = 0
    assert_array_equal(EDispKernel.from_hdulist(hdus).data, kernel.data.astype(np.float32))


def test_negative_values_are_cut_and_told(kernel):
    hdus = kernel.to_hdulist()
    hdus["MATRIX"].data["MATRIX"][0][0] = -1e-4
    with pytest.warns(GammaxWarning, match=r"1 negative values \(smallest -0.0001\) set to 0"):
        assert EDispKernel.from_hdulist(hdus).data[0, 0] == 0


def drop(hdus, name, column):
    table = hdus[name]
    hdus[name] = fits.BinTableHDU.from_columns([c for c in table.columns if c.name != column], header=table.header)


def change(hdus, case):
    matrix, ebounds = hdus["MATRIX"], hdus["EBOUNDS"]
    if case == "no matrix":
        del hdus["MATRIX"]
    elif case == "no ebounds":
        del hdus["EBOUNDS"]
    elif case.startswith("no "):
        drop(hdus, "EBOUNDS" if case == "no E_MIN" else "MATRIX", case[3:])
    elif case == "unit":
        matrix.columns["ENERG_LO"].unit = "deg"
        matrix.columns["ENERG_HI"].unit = "deg"
    elif case == "no unit":
        ebounds.columns["E_MAX"].unit = None
    elif case == "nan edge":
        matrix.data["ENERG_HI"][1] = np.nan
    elif case == "order":
        ebounds.data["E_MIN"][2] = 1e-3
    elif case == "zero":
        matrix.data["ENERG_LO"][0] = 0
    elif case == "gap":
        ebounds.data["E_MIN"][2] *= 1.01
    elif case == "channels":
        matrix.data["F_CHAN"][0][0] = 4
    elif case == "before":
        matrix.data["F_CHAN"][0][0] = -1
    elif case == "groups":
        matrix.data["N_GRP"][0] = 2
    elif case == "negative groups":
        matrix.data["N_GRP"][1] = -1
    elif case == "TLMIN":
        matrix.header["TLMIN4"] = "a"
    elif case == "half TLMIN":
        matrix.header["TLMIN4"] = 0.5
    elif case == "rows":
        ebounds.data["CHANNEL"][:2] = [1, 0]
    elif case == "values":
        matrix.data["N_CHAN"][0][0] = 3
    elif case == "nan":
        matrix.data["MATRIX"][0][0] = np.nan
    elif case == "full":
        matrix.data["MATRIX"][0][0] = 1e5


@pytest.mark.parametrize(
    ("case", "error", "code"),
    [
        ("no matrix", SchemaError, "GX-FITS-004"),
        ("no ebounds", SchemaError, "GX-FITS-004"),
        ("no F_CHAN", SchemaError, "GX-IRF-010"),
        ("no N_GRP", SchemaError, "GX-FITS-005"),
        ("no MATRIX", SchemaError, "GX-FITS-005"),
        ("no ENERG_HI", SchemaError, "GX-FITS-005"),
        ("no E_MIN", SchemaError, "GX-FITS-005"),
        ("unit", UnitError, "GX-FITS-007"),
        ("nan edge", DataValueError, "GX-MAPS-051"),
        ("order", DataValueError, "GX-MAPS-052"),
        ("zero", DataValueError, "GX-MAPS-054"),
        ("gap", DataValueError, "GX-MAPS-053"),
        ("channels", DataValueError, "GX-IRF-012"),
        ("before", DataValueError, "GX-IRF-012"),
        ("groups", DataValueError, "GX-IRF-011"),
        ("negative groups", DataValueError, "GX-IRF-011"),
        ("TLMIN", DataValueError, "GX-IRF-014"),
        ("half TLMIN", DataValueError, "GX-IRF-014"),
        ("rows", DataValueError, "GX-MAPS-056"),
        ("values", DataValueError, "GX-IRF-013"),
        ("nan", DataValueError, "GX-IRF-005"),
        ("full", DataValueError, "GX-IRF-006"),
    ],
)
def test_damaged_files(kernel, case, error, code, tmp_path):
    hdus = kernel.to_hdulist()
    change(hdus, case)
    path = tmp_path / "damaged.fits"
    hdus.writeto(path)
    with pytest.raises(error, match=code) as info:
        EDispKernel.read(path)
    assert "damaged.fits" in str(info.value)
