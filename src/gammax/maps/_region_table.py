"""Regions as rows of a FITS table, positions and sizes in pixels of the projection in its header.

Pixels count from 0, as Gammapy writes them, while the reference pixel CRPIX of the header counts from 1: a region at
the reference position has ``X = CRPIX1 - 1``.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS

from gammax import _regions as sky_regions
from gammax.errors import FileFormatError, GeometryError, SchemaError
from gammax.maps._columns import column_units
from gammax.maps._region import parts_of, union_of
from gammax.maps._wcs_region import region_to_pixel, region_to_sky

_UNITS = {"X": u.pix, "Y": u.pix, "R": u.pix, "ROTANG": u.deg}


def region_hdu(region: sky_regions.SkyRegion, wcs: WCS, name: str) -> fits.BinTableHDU:
    """Table with one row per part of the region.

    Raises
    ------
    GeometryError : a shape that FITS region tables do not know, or a part that the projection does not reach.
    """
    pixel_regions = [region_to_pixel(part, wcs) for part in parts_of(region)]
    if any(part is None for part in pixel_regions):
        raise GeometryError("GX-MAPS-061", "the region lies outside its projection", hdu=name, do="pass another wcs")
    with warnings.catch_warnings():
        # regions warns and leaves a shape out; a file without it would be wrong
        warnings.simplefilter("error")
        try:
            table = sky_regions.Regions(pixel_regions).serialize(format="fits")
        except Warning as error:
            raise GeometryError("GX-MAPS-060", f"the region cannot be written: {error}", hdu=name) from error
    hdu = fits.table_to_hdu(table)
    hdu.name = name
    hdu.header.update(wcs.to_header())
    if wcs.pixel_shape is not None:
        hdu.header["WCSSHAPE"] = "({},{})".format(*(int(n) for n in wcs.pixel_shape))
    return hdu


def read_region_hdu(hdu: fits.BinTableHDU, file: str | None = None) -> tuple[sky_regions.SkyRegion | None, WCS]:
    """Union of the regions in a table (None for a table without rows) and their projection.

    Raises
    ------
    SchemaError : a column is missing, or the header holds no celestial projection. FileFormatError : rows that are
        no regions.
    """
    wcs = _read_wcs(hdu, file)
    missing = {"SHAPE", "X", "Y"} - set(column_units(hdu))
    if missing:
        raise SchemaError("GX-MAPS-062", f"column {min(missing)} is missing", file=file, hdu=hdu.name)
    if len(hdu.data) == 0:
        return None, wcs
    known = [name for name in column_units(hdu) if name in ("SHAPE", "X", "Y", "R", "ROTANG", "COMPONENT")]
    columns = tuple((name, _hashable(np.asarray(hdu.data[name]).tolist())) for name in known)
    try:
        return union_of(_sky_regions(columns, wcs.to_header_string())), wcs
    except Exception as error:
        raise FileFormatError("GX-MAPS-063", f"cannot read the regions: {error}", file=file, hdu=hdu.name) from error


# every map of a dataset repeats the same one or two tables, and a region costs 8 ms to place on the sky
@lru_cache(maxsize=64)
def _sky_regions(columns: tuple[tuple[str, tuple], ...], projection: str) -> tuple[sky_regions.SkyRegion, ...]:
    """Regions of table columns (name, rows) in a projection, given as header text."""
    table = QTable()
    for name, rows in columns:
        table[name] = np.array(rows) if name in ("SHAPE", "COMPONENT") else np.array(rows) * _UNITS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wcs = WCS(fits.Header.fromstring(projection))
        return tuple(region_to_sky(part, wcs) for part in sky_regions.Regions.parse(table, format="fits"))


def _hashable(rows: list) -> tuple:
    """Rows of a table column with vector cells as tuples."""
    return tuple(tuple(row) if isinstance(row, list) else row for row in rows)


def _read_wcs(hdu: fits.BinTableHDU, file: str | None) -> WCS:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # FITSFixedWarning: astropy tells that it read an old spelling
            wcs = WCS(hdu.header).celestial
    except Exception as error:
        raise SchemaError("GX-MAPS-064", f"cannot read the projection: {error}", file=file, hdu=hdu.name) from error
    if not wcs.has_celestial:
        raise SchemaError(
            "GX-MAPS-065",
            "the region table has no projection",
            file=file,
            hdu=hdu.name,
            expected="CTYPE1, CTYPE2 and their companions in the header",
        )
    shape = re.fullmatch(r"\((\d+),\s*(\d+)\)", str(hdu.header.get("WCSSHAPE", "")).strip())
    if shape:
        wcs.pixel_shape = (int(shape[1]), int(shape[2]))
    return wcs
