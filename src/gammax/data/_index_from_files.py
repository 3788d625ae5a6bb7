"""Index tables made from the headers of event files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord

from gammax._fits import get_hdu, open_fits
from gammax._paths import resolve_path
from gammax.data._hdu_index import HDU_COLUMNS, HDU_TYPES, IRF_TYPES, HDUIndexTable, HDULocation
from gammax.data._hdu_sniff import find_parts
from gammax.data._header import obs_number, read_meta
from gammax.data._obs_table import ObservationTable
from gammax.data._pointing import FixedPointingInfo
from gammax.data._tables import whole_numbers
from gammax.data._times import TimeReference
from gammax.errors import DataValueError, FileFormatError, SchemaError

_GADF = {"HDUCLASS": "GADF", "HDUVERS": "0.2", "HDUCLAS1": "INDEX"}


def index_tables(events_paths: Iterable[str | Path], irfs_paths: Any) -> tuple[HDUIndexTable, ObservationTable]:
    """HDU index and observation index of event files; see `DataStore.from_events_files`."""
    if isinstance(events_paths, (str, Path)):
        events_paths = [events_paths]
    paths = [resolve_path(path).absolute() for path in events_paths]
    if not paths:
        raise SchemaError("GX-DATA-100", "no event files")
    headers = [_header(path) for path in paths]
    irfs = _irf_paths(irfs_paths, paths, headers)
    ids = [int(whole_numbers([obs_number(header, str(path))])[0]) for header, path in zip(headers, paths, strict=True)]
    if len(set(ids)) < len(ids):
        twice = next(number for number in ids if ids.count(number) > 1)
        raise DataValueError("GX-DATA-101", "two files hold the same observation", obs_id=twice)
    rows = [
        _row(place) for number, path, irf in zip(ids, paths, irfs, strict=True) for place in _parts(number, path, irf)
    ]
    hdu_table = HDUIndexTable(rows=rows, names=HDU_COLUMNS, meta={**_GADF, "HDUCLAS2": "HDU", "BASE_DIR": "/"})
    return hdu_table, _obs_table(ids, paths, headers)


def _header(path: Path) -> dict[str, Any]:
    with open_fits(path, verify=False) as hdus:
        hdu = get_hdu(hdus, "EVENTS")
        return {**read_meta(hdu.header), "EVENT_COUNT": hdu.header["NAXIS2"]}


def _irf_paths(irfs_paths: Any, paths: list[Path], headers: list[dict[str, Any]]) -> list[Path]:
    if irfs_paths is None:
        return [_calibration(header, path) for header, path in zip(headers, paths, strict=True)]
    given = [irfs_paths] * len(paths) if isinstance(irfs_paths, (str, Path)) else list(irfs_paths)
    if len(given) != len(paths):
        raise DataValueError(
            "GX-DATA-102", "one file of responses for each of events", found=len(given), expected=len(paths)
        )
    return [resolve_path(path).absolute() for path in given]


def _calibration(header: Mapping[str, Any], path: Path) -> Path:
    """File of responses that the keywords name, the file itself if there are none."""
    if "CALDB" not in header or "IRF" not in header:
        return path
    telescope = str(header.get("TELESCOP", "")).strip().lower()
    if "aeff" in find_parts(path):
        return path
    folder = resolve_path(f"$CALDB/data/{telescope}/{header['CALDB']}/bcf/{header['IRF']}").absolute()
    files = sorted(item for item in folder.glob("*.fits*") if item.is_file())
    if len(files) != 1:
        raise FileFormatError(
            "GX-DATA-103",
            "the calibration folder does not hold one file of responses",
            file=folder,
            found=", ".join(item.name for item in files) or "none",
            do="check CALDB, or pass irfs_paths",
        )
    return files[0]


def _parts(obs_id: int, path: Path, irf_path: Path) -> list[HDULocation]:
    found = find_parts(path, obs_id)
    if irf_path != path:
        others = find_parts(irf_path, obs_id)
        found |= {name: others[name] for name in IRF_TYPES if name in others}
    return [found[name] for name in HDU_TYPES if name in found]


def _row(place: HDULocation) -> tuple:
    folder = str(place.path.parent)
    return place.obs_id, place.hdu_type, place.hdu_class, folder, place.path.name, place.hdu_name


def _obs_table(ids: list[int], paths: list[Path], headers: list[dict[str, Any]]) -> ObservationTable:
    first = TimeReference.from_header(headers[0], str(paths[0]), "EVENTS")
    rows = []
    for number, path, header in zip(ids, paths, headers, strict=True):
        shift = first.shift_from(TimeReference.from_header(header, str(path), "EVENTS"))
        times = {name: _float(header, name) + shift for name in ("TSTART", "TSTOP")}
        lengths = {name: _float(header, name) for name in ("ONTIME", "LIVETIME", "DEADC")}
        texts = {name: str(header.get(name, "")) for name in ("TELESCOP", "OBJECT")}
        sky = _pointing(header, path)
        rows.append({"OBS_ID": number, **times, **lengths, **sky, **texts, "EVENT_COUNT": header["EVENT_COUNT"]})
    table = ObservationTable(rows=rows, meta={**_GADF, "HDUCLAS2": "OBS", **first.header()})
    for name in table.colnames:
        if name in ("TSTART", "TSTOP", "ONTIME", "LIVETIME"):
            table[name].unit = "s"
        elif name.endswith("_PNT"):
            table[name].unit = "deg"
    return table


def _float(header: Mapping[str, Any], name: str) -> float:
    return float(header.get(name, np.nan))


def _pointing(header: Mapping[str, Any], path: Path) -> dict[str, float]:
    """The same columns for every file, NaN where a telescope drifts or does not say."""
    pointing = FixedPointingInfo.from_header(header, str(path))
    nan = dict.fromkeys(("RA_PNT", "DEC_PNT", "GLON_PNT", "GLAT_PNT"), np.nan)
    angles = {name: _float(header, name) for name in ("ALT_PNT", "AZ_PNT")}
    if pointing.fixed_icrs is None:
        return {**nan, **angles}
    icrs: SkyCoord = pointing.fixed_icrs
    sky = (icrs.ra.deg, icrs.dec.deg, icrs.galactic.l.deg, icrs.galactic.b.deg)
    return {**dict(zip(nan, map(float, sky), strict=True)), **angles}
