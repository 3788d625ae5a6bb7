"""Header of an event list as plain metadata: where the telescope stood, what it lost to dead time."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import Angle, EarthLocation
from astropy.io import fits

from gammax.errors import DataValueError, GammaxWarning, SchemaError

# cards that describe the table and not what it holds
_STRUCTURE = re.compile(
    r"(XTENSION|SIMPLE|EXTEND|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|TFIELDS|THEAP|CHECKSUM|DATASUM|COMMENT|HISTORY|"
    r"T(TYPE|FORM|UNIT|NULL|SCAL|ZERO|DISP|DIM|COMM|LMIN|LMAX|DMIN|DMAX)\d+|)$"
)
LIVETIME_RTOL = 0.01


def read_meta(header: fits.Header) -> dict[str, Any]:
    """Cards that say something about the observation."""
    return {key: value for key, value in header.items() if not _STRUCTURE.match(key)}


def read_deadc(meta: Mapping[str, Any], **where: Any) -> float:
    """Live time over on time.

    Raises
    ------
    SchemaError : DEADC is missing. DataValueError : it lies outside (0, 1].
    """
    if "DEADC" not in meta:
        raise SchemaError(
            "GX-DATA-010", "keyword DEADC is missing", keyword="DEADC", do="without it there is no live time", **where
        )
    deadc = _as_float(meta["DEADC"])
    if not 0 < deadc <= 1:
        raise DataValueError(
            "GX-DATA-011",
            "DEADC is no fraction of the time",
            keyword="DEADC",
            found=meta["DEADC"],
            expected="a number in (0, 1]",
            **where,
        )
    _compare_livetime(meta, deadc, where)
    return deadc


def _compare_livetime(meta: Mapping[str, Any], deadc: float, where: Mapping[str, Any]) -> None:
    livetime, ontime = _as_float(meta.get("LIVETIME")), _as_float(meta.get("ONTIME"))
    if abs(livetime - ontime * deadc) > LIVETIME_RTOL * ontime:
        warnings.warn(
            f"{where.get('file')}: LIVETIME = {livetime:g} s, but ONTIME * DEADC = {ontime * deadc:g} s; "
            "good time intervals and DEADC are used",
            GammaxWarning,
            stacklevel=2,
        )


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def read_location(meta: Mapping[str, Any]) -> EarthLocation | None:
    """Site from GEOLON, GEOLAT and ALTITUDE (or GEOALT), as numbers [deg, m] or as texts; None if one is missing.

    Raises
    ------
    DataValueError : one cannot be read.
    """
    height = meta.get("ALTITUDE", meta.get("GEOALT"))
    if height is None or "GEOLON" not in meta or "GEOLAT" not in meta:
        return None
    try:
        lon, lat = (Angle(meta[key], unit="deg") for key in ("GEOLON", "GEOLAT"))
        return EarthLocation.from_geodetic(lon, lat, u.Quantity(_as_length(height), "m"))
    except (ValueError, TypeError) as error:
        raise DataValueError(
            "GX-DATA-012",
            f"cannot read the site: {error}",
            found={key: meta.get(key) for key in ("GEOLON", "GEOLAT", "ALTITUDE", "GEOALT")},
        ) from error


def _as_length(value: Any) -> Any:
    number = _as_float(value)
    return value if np.isnan(number) else number


def location_header(location: EarthLocation | None) -> dict[str, float]:
    """Keywords of a site."""
    if location is None:
        return {}
    geodetic = location.to_geodetic()
    return {
        "GEOLON": float(geodetic.lon.deg),
        "GEOLAT": float(geodetic.lat.deg),
        "ALTITUDE": float(geodetic.height.to_value(u.m)),
    }


def obs_number(header: Mapping[str, Any], file: str | None = None) -> int | str:
    """OBS_ID as a number where it is one, however the file spells it; else its text.

    Raises
    ------
    SchemaError : OBS_ID is missing.
    """
    if "OBS_ID" not in header:
        raise SchemaError("GX-DATA-013", "keyword OBS_ID is missing", file=file, keyword="OBS_ID")
    text = str(header["OBS_ID"]).strip()
    try:
        return int(text)
    except ValueError:
        return text
