"""Region maps in gadf FITS: a data table, its bands (axes) and its regions."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from astropy.io import fits

from gammax._fits import file_of, get_column, get_hdu, read_meta
from gammax.errors import GeometryError
from gammax.maps._axes import MapAxes
from gammax.maps._bands import axis_cards, bands_hdu, read_bands
from gammax.maps._columns import column_unit
from gammax.maps._region_geom import RegionGeom


def map_hdus(geom: RegionGeom, data: np.ndarray, unit: str, meta: dict[str, Any], hdu: str) -> list[fits.BinTableHDU]:
    """Data table (one row per bin of the last axis, the other axes in the cell), bands table, region table."""
    rows = data if geom.axes else data[np.newaxis]
    columns = [
        fits.Column("CHANNEL", "J", array=np.arange(len(rows))),
        fits.Column(
            "DATA",
            f"{rows[0].size}{'L' if rows.dtype == bool else 'D'}",
            unit=unit or None,
            dim=str(rows.shape[:0:-1]).replace(" ", ""),
            array=rows,
        ),
    ]
    table = fits.BinTableHDU.from_columns(columns, name=hdu.upper())
    table.header.update(axis_cards(geom.axes))
    if meta:
        table.header["META"] = json.dumps(meta, default=_plain)
    hdus = [table]
    if geom.axes:
        hdus.append(bands_hdu(geom.axes, f"{hdu.upper()}_BANDS"))
    if geom.region is not None:
        hdus.append(geom.to_region_hdu(f"{hdu.upper()}_REGION"))
    return hdus


def _plain(value: Any) -> Any:
    """What JSON does not know: numpy numbers as numbers, anything else (a Quantity) as text."""
    return value.item() if isinstance(value, np.generic) else str(value)


def read_map(hdus: fits.HDUList, hdu: str) -> tuple[RegionGeom, np.ndarray, str, dict[str, Any]]:
    """Geometry, data, unit and meta of a map; errors as `RegionNDMap.from_hdulist`."""
    file, name = file_of(hdus), hdu.upper()
    table = get_hdu(hdus, name)
    data = get_column(table, "DATA", None, file)
    has_axes = f"{name}_BANDS" in hdus or "AXCOLS1" in table.header
    axes = read_bands(get_hdu(hdus, f"{name}_BANDS"), file) if has_axes else MapAxes()
    has_region = f"{name}_REGION" in hdus
    geom = RegionGeom.from_hdulist(hdus, f"{name}_REGION", axes) if has_region else RegionGeom(None, axes)
    shape = geom.data_shape
    # lengths of 1 come and go with TDIM; longer ones must agree in order. The Fermi-LAT cubes of Gammapy's data have
    # one row for each bin of all axes, as the bands table has
    one_per_row = data.size == len(data) == np.prod(shape)
    if not one_per_row and [n for n in data.shape if n > 1] != [n for n in shape if n > 1]:
        raise GeometryError(
            "GX-MAPS-080",
            "data and bands table have different shapes",
            file=file,
            hdu=name,
            column="DATA",
            found=data.shape,
            expected=shape,
        )
    unit = column_unit(table, "DATA", file)
    return geom, data.reshape(shape), unit, read_meta(table, file)
