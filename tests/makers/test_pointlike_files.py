"""Point-like DL3 files in the dialects of many writers: all are reduced to the same spectrum."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from numpy.testing import assert_allclose, assert_array_equal
from regions import CircleSkyRegion, PointSkyRegion

from gammax.data import DataStore, Observation
from gammax.datasets import SpectrumDataset
from gammax.errors import DataValueError, GammaxWarning, GeometryError, SchemaError
from gammax.makers import (
    DatasetsMaker,
    ReflectedRegionsBackgroundMaker,
    SafeMaskMaker,
    SpectrumDatasetMaker,
    WobbleRegionsFinder,
)
from gammax.maps import MapAxis, RegionGeom

POINTING = SkyCoord(83.63, 22.41, unit="deg")
SOURCE = POINTING.directional_offset_by(180 * u.deg, 0.4 * u.deg)
MIRROR = POINTING.directional_offset_by(0 * u.deg, 0.4 * u.deg)
ENERGY = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=2)
TRUE = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=6, name="energy_true")
CUT = 0.15
EDGES = np.geomspace(0.05, 50, 13)
MIGRA = np.linspace(0, 3, 61)
# 0.3 and 3 TeV at 0.05, 0.12, 0.18 deg from the source, once from the mirrored position
DISTANCES, EVENT_ENERGIES = np.tile([0.05, 0.12, 0.18], 2), np.repeat([0.3, 3.0], 3)


def axis_columns(prefix, low, high, unit, scale=1.0, lower=False):
    names = [f"{prefix}_{side}" for side in ("LO", "HI")]
    return [
        fits.Column(name.lower() if lower else name, f"{len(values)}E", unit, array=[values * scale])
        for name, values in zip(names, (low, high), strict=True)
    ]


def array_column(name, data, unit, layout):
    """Column of an array whose axes are (energy, ..., offset); energy fastest unless `layout` says otherwise."""
    data = np.asarray(data, float)
    if layout == "flat":
        values = data.T.ravel()
        return fits.Column(name, f"{values.size}E", unit, array=[values])
    stored = data if layout == "reversed" else data.T
    if layout == "squeezed":
        stored = stored.squeeze()
    dim = "(" + ",".join(str(n) for n in reversed(stored.shape)) + ")"
    return fits.Column(name, f"{stored.size}E", unit, dim=dim if stored.ndim > 1 else None, array=[stored.ravel()])


def table(name, columns, clas2, clas4, cards):
    hdu = fits.BinTableHDU.from_columns(columns, name=name)
    hdu.header.update({"HDUCLASS": "GADF", "HDUCLAS1": "RESPONSE", "HDUCLAS2": clas2, "HDUCLAS4": clas4, **cards})
    return hdu


def offsets(kind):
    nodes = {"one node": [0.4], "nodes": [0.0, 0.4, 1.0]}
    if kind in nodes:
        return np.array(nodes[kind]), np.array(nodes[kind])
    edges = np.array({"bins": [0.0, 0.5, 1.0, 2.0], "one bin": [0.3, 0.5]}[kind])
    return edges[:-1], edges[1:]


def responses(kind="bins", scale=1.0, unit="TeV", layout="", prefix="ENERG", area=("m2", 1e5), cards=None, lower=False):
    """Effective area of 1e5 m2 and a dispersion of one bin about 1, the same everywhere."""
    low, high = offsets(kind)
    n, m = len(EDGES) - 1, len(MIGRA) - 1
    energy = axis_columns(prefix, EDGES[:-1], EDGES[1:], unit, scale, lower)
    theta = axis_columns("THETA", low, high, "deg", lower=lower)
    migra = axis_columns("MIGRA", MIGRA[:-1], MIGRA[1:], "", lower=lower)
    cards = {"HDUCLAS3": "POINT-LIKE", **(cards or {})}
    if layout == "reversed":
        cref = {"CREF5": f"(THETA_LO:THETA_HI,{prefix}_LO:{prefix}_HI)"}
        cref_edisp = {"CREF7": f"(THETA_LO:THETA_HI,MIGRA_LO:MIGRA_HI,{prefix}_LO:{prefix}_HI)"}
    else:
        cref = cref_edisp = {}
    effarea = array_column("EFFAREA", np.full((n, len(low)), area[1]), area[0], layout)
    density = np.zeros((n, m, len(low)))
    density[:, 19:21] = 10.0
    matrix = array_column("MATRIX", density, "", layout)
    return [
        table("EFFECTIVE AREA", [*energy, *theta, effarea], "EFF_AREA", "AEFF_2D", cards | cref),
        table("ENERGY DISPERSION", [*energy, *migra, *theta, matrix], "EDISP", "EDISP_2D", cards | cref_edisp),
    ]


def cut_table(cuts=(0.15, 0.1), kind="bins", unit="deg", energy_unit="TeV", scale=1.0, layout=""):
    """RAD_MAX_2D: one cut below 1 TeV, another above."""
    low, high = offsets(kind)
    edges = np.geomspace(0.01, 100, len(cuts) + 1) if len(cuts) != 2 else np.array([0.01, 1.0, 100.0])
    columns = [
        *axis_columns("ENERG", edges[:-1], edges[1:], energy_unit, scale),
        *axis_columns("THETA", low, high, "deg"),
    ]
    data = np.repeat(np.array(cuts)[:, None], len(low), axis=1) * u.deg.to(unit)
    cards = {"HDUCLAS3": "POINT-LIKE"}
    if layout == "reversed":
        cards["CREF5"] = "(THETA_LO:THETA_HI,ENERG_LO:ENERG_HI)"
    return table("RAD_MAX", [*columns, array_column("RAD_MAX", data, unit, layout)], "RAD_MAX", "RAD_MAX_2D", cards)


def write(path, parts, energy_unit="TeV", scale=1.0, **cards):
    """File with events around the source and its mirror image, and responses."""
    sky = SOURCE.directional_offset_by(90 * u.deg, DISTANCES * u.deg)
    other = MIRROR.directional_offset_by(90 * u.deg, 0.05 * u.deg)
    energy = np.append(EVENT_ENERGIES, 0.3) * scale
    ra, dec = np.append(sky.ra.deg, other.ra.deg), np.append(sky.dec.deg, other.dec.deg)
    columns = [
        fits.Column("EVENT_ID", "K", array=np.arange(7)),
        fits.Column("TIME", "D", "s", array=np.linspace(1, 999, 7)),
        fits.Column("RA", "D", "deg", array=ra),
        fits.Column("DEC", "D", "deg", array=dec),
        fits.Column("ENERGY", "D", energy_unit, array=energy),
    ]
    events = fits.BinTableHDU.from_columns(columns, name="EVENTS")
    times = {"MJDREFI": 57000, "MJDREFF": 0.0, "TIMEUNIT": "s", "TIMESYS": "tt"}
    pointing = {"RA_PNT": POINTING.ra.deg, "DEC_PNT": POINTING.dec.deg}
    events.header.update({"HDUCLASS": "GADF", "HDUCLAS1": "EVENTS", "OBS_ID": 5, "DEADC": 0.9, **pointing, **times})
    events.header.update(cards)
    ends = [fits.Column("START", "D", "s", array=[0.0]), fits.Column("STOP", "D", "s", array=[1000.0])]
    gti = fits.BinTableHDU.from_columns(ends, name="GTI")
    gti.header.update(times)
    fits.HDUList([fits.PrimaryHDU(), events, gti, *parts]).writeto(path)
    return path


def reduced(path, region=None, **kwargs):
    region = CircleSkyRegion(SOURCE, CUT * u.deg) if region is None else region
    empty = SpectrumDataset.create(RegionGeom.create(region, [ENERGY]), TRUE, "empty")
    return SpectrumDatasetMaker().run(empty, Observation.read(path))


KEYWORD = {"RAD_MAX": CUT}
DIALECTS = {
    "deg on both": responses(cards=KEYWORD),
    "text with unit": responses(cards={"RAD_MAX": "0.15 deg"}),
    "text": responses(cards={"RAD_MAX": "0.15"}),
    "arcmin": responses(cards={"RAD_MAX": "9 arcmin"}),
    "on the area": [responses(cards=KEYWORD)[0], responses()[1]],
    "on the dispersion": [responses()[0], responses(cards=KEYWORD)[1]],
    "spelling of the class": responses(cards={**KEYWORD, "HDUCLAS3": "point-like  "}),
    "GeV": responses(scale=1e3, unit="GeV", cards=KEYWORD),
    "one node (VERITAS)": responses("one node", cards=KEYWORD),
    "nodes (VERITAS)": responses("nodes", cards=KEYWORD),
    "one bin (LST)": responses("one bin", cards=KEYWORD),
    "flat arrays": responses(layout="flat", cards=KEYWORD),
    "squeezed arrays": responses("one bin", layout="squeezed", cards=KEYWORD),
    "CREF": responses(layout="reversed", cards=KEYWORD),
    "CREF, one bin": responses("one bin", layout="reversed", cards=KEYWORD),
    "ETRUE (CTA)": responses(prefix="ETRUE", cards=KEYWORD),
    "small letters": responses(lower=True, cards=KEYWORD),
    "cm2": responses(area=("cm**2", 1e9), cards=KEYWORD),
    "table of one bin": [*responses(), cut_table((CUT,), "one bin")],
    "table of one node": [*responses("one node"), cut_table((CUT,), "one node")],
    "table of equal cuts": [*responses(), cut_table((CUT, CUT))],
    "table before keyword": [*responses(cards={"RAD_MAX": 0.3}), cut_table((CUT,), "one bin")],
}


@pytest.mark.parametrize("parts", DIALECTS.values(), ids=DIALECTS)
def test_fixed_cut(parts, tmp_path):
    dataset = reduced(write(tmp_path / "run.fits", parts))
    assert_array_equal(dataset.counts.values(), [2, 2])
    assert_allclose(dataset.exposure.values("m2 s"), 1e5 * 900, rtol=1e-6)
    assert_allclose(dataset.edisp.pdf_matrix.sum(axis=1)[1:-1], 1, rtol=1e-6)
    with pytest.raises(GeometryError, match="is not the RAD_MAX"):
        reduced(tmp_path / "run.fits", CircleSkyRegion(SOURCE, 0.2 * u.deg))


def test_keyword_in_the_events_and_energies_in_gev(tmp_path):
    path = write(tmp_path / "run.fits", responses(), "GeV", 1e3, RAD_MAX=CUT)
    assert_array_equal(reduced(path).counts.values(), [2, 2])
    with pytest.raises(GeometryError, match="is not the RAD_MAX"):
        reduced(path, CircleSkyRegion(SOURCE, 0.2 * u.deg))


KINDS, LAYOUTS, UNITS = ("bins", "one bin", "one node", "nodes"), ("", "flat", "reversed"), (("TeV", 1.0), ("GeV", 1e3))


@pytest.mark.parametrize("seed", range(16))
def test_mixed_dialects(seed, tmp_path):
    pick = np.random.default_rng(seed).integers
    (unit, scale), (cut_unit, cut_scale) = UNITS[pick(2)], UNITS[pick(2)]
    options = {"kind": KINDS[pick(4)], "layout": LAYOUTS[pick(3)], "prefix": ("ENERG", "ETRUE")[pick(2)]}
    parts = responses(**options, unit=unit, scale=scale, lower=bool(pick(2)))
    cut = cut_table((CUT, 0.1), KINDS[pick(4)], ("deg", "rad")[pick(2)], cut_unit, cut_scale, LAYOUTS[pick(3)])
    order = np.random.default_rng(seed).permutation(3)
    path = write(tmp_path / "run.fits", [[*parts, cut][k] for k in order], *UNITS[pick(2)])
    dataset = reduced(path, PointSkyRegion(SOURCE))
    assert_array_equal(dataset.counts.values(), [2, 1])
    assert_allclose(dataset.exposure.values("m2 s"), 1e5 * 900, rtol=1e-6)


TABLES = {
    "deg": {},
    "rad": {"unit": "rad"},
    "arcmin": {"unit": "arcmin"},
    "GeV": {"energy_unit": "GeV", "scale": 1e3},
    "one node (MAGIC)": {"kind": "one node"},
    "nodes": {"kind": "nodes"},
    "one bin (LST)": {"kind": "one bin"},
    "flat": {"layout": "flat"},
    "squeezed": {"kind": "one bin", "layout": "squeezed"},
    "CREF": {"layout": "reversed"},
}


@pytest.mark.parametrize("options", TABLES.values(), ids=TABLES)
def test_energy_dependent_cut(options, tmp_path):
    path = write(tmp_path / "run.fits", [*responses(options.get("kind", "bins")), cut_table(**options)])
    dataset = reduced(path, PointSkyRegion(SOURCE))
    # 0.15 deg below 1 TeV, 0.1 deg above
    assert_array_equal(dataset.counts.values(), [2, 1])
    assert_allclose(dataset.exposure.values("m2 s"), 1e5 * 900, rtol=1e-6)
    with pytest.raises(GeometryError, match="RAD_MAX depends on energy"):
        reduced(path)


@pytest.mark.filterwarnings("ignore:observation 5.* no LO_THRES:gammax.errors.GammaxWarning")
def test_whole_chain(tmp_path):
    path = write(tmp_path / "run.fits", [*responses("one bin"), cut_table(kind="one bin")])
    observations = DataStore.from_events_files([path]).get_observations(required_irf="point-like")
    empty = SpectrumDataset.create(RegionGeom.create(PointSkyRegion(SOURCE), [ENERGY]), TRUE, "empty")
    background = ReflectedRegionsBackgroundMaker(WobbleRegionsFinder(1))
    dataset = DatasetsMaker([SpectrumDatasetMaker(), background, SafeMaskMaker()]).run(empty, observations)[0]
    assert_array_equal(dataset.counts.values(), [2, 1])
    assert_array_equal(dataset.counts_off.values(), [1, 0])


def test_without_rad_max_the_region_is_taken(tmp_path):
    path = write(tmp_path / "run.fits", responses())
    with pytest.warns(GammaxWarning, match="point-like but say no RAD_MAX"):
        assert_array_equal(reduced(path).counts.values(), [2, 2])
    with pytest.raises(SchemaError, match="without RAD_MAX"):
        reduced(path, PointSkyRegion(SOURCE))


@pytest.mark.parametrize("value", ["wide", "0.1 m", -0.1, 0.0])
def test_cuts_that_are_none(value, tmp_path):
    path = write(tmp_path / "run.fits", responses(cards={"RAD_MAX": value}))
    with pytest.raises(DataValueError, match="RAD_MAX"):
        reduced(path)


def test_a_table_that_does_not_reach_the_source(tmp_path):
    low_energy = table(
        "RAD_MAX",
        [*axis_columns("ENERG", np.array([1e-3]), np.array([1e-2]), "TeV"),
         *axis_columns("THETA", np.array([0.0, 0.5]), np.array([0.5, 1.0]), "deg"),
         array_column("RAD_MAX", [[0.1, 0.2]], "deg", "")],
        "RAD_MAX", "RAD_MAX_2D", {"HDUCLAS3": "POINT-LIKE"},
    )  # fmt: skip
    path = write(tmp_path / "run.fits", [*responses(), low_energy])
    with pytest.raises(GeometryError, match="RAD_MAX is zero at all energies"):
        reduced(path, PointSkyRegion(SOURCE))
