"""Layouts of image files beside gadf's own: the energy tables of Fermi-LAT files, and tables of single pixels."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from astropy.io import fits

from gammax._fits import get_column, get_keyword
from gammax.errors import DataValueError, GeometryError, SchemaError, UnitError, did_you_mean
from gammax.maps._axes import MapAxes
from gammax.maps._axis import MapAxis
from gammax.maps._columns import column_unit, column_units
from gammax.maps._energy_table import read_energy_axis

FERMI_BANDS = ("EBOUNDS", "ENERGIES")
# what the Fermi-LAT tools mean by no unit: energies of templates, exposures of gtexpcube2, values of templates
_ENERGY_UNIT, _EXPOSURE_UNIT, _BRIGHTNESS_UNIT = "MeV", "cm2 s", "cm-2 s-1 MeV-1 sr-1"
_FORMATS = {"gadf": "", "fgst-ccube": "EBOUNDS", "fgst-template": "ENERGIES"}


def fermi_bands(format: str, axes: MapAxes, unit: str) -> str:
    """Name of the table of energies in a Fermi-LAT format, "" in gadf.

    Raises
    ------
    SchemaError : unknown format. GeometryError : axes that the format does not know. UnitError : a template without
    unit, which readers would take for a surface brightness.
    """
    if format not in _FORMATS:
        raise SchemaError("GX-MAPS-205", f"unknown format {format!r}", do=did_you_mean(format, _FORMATS))
    bands = _FORMATS[format]
    name, node_type = ("energy", "edges") if bands == "EBOUNDS" else ("energy_true", "center")
    if bands and (axes.names != (name,) or axes[0].node_type != node_type):
        raise GeometryError(
            "GX-MAPS-206",
            f"format {format!r} knows one axis of energy alone",
            found=repr(axes),
            expected=f"an axis {name!r} with node type {node_type!r}",
        )
    if bands == "ENERGIES" and not unit:
        raise UnitError("GX-MAPS-209", f"format {format!r} needs a unit", expected=f"such as {_BRIGHTNESS_UNIT!r}")
    return bands


def read_fermi_axis(hdu: Any, file: str | None) -> MapAxis:
    """Axis of ``EBOUNDS`` (bins of energy) or ``ENERGIES`` (nodes of true energy); both logarithmic.

    Raises
    ------
    SchemaError, UnitError, DataValueError : as `read_energy_axis`.
    """
    if hdu.name == "EBOUNDS":
        return read_energy_axis(hdu, "E_MIN", "E_MAX", "energy", file)
    columns = column_units(hdu)
    name = next((name for name in ("ENERGY", "ENERGY_TRUE") if name in columns), "ENERGY")
    nodes = get_column(hdu, name, None, file)
    if not columns.get(name):
        return MapAxis(nodes, "energy_true", "log", _ENERGY_UNIT, "center")
    get_column(hdu, name, _ENERGY_UNIT, file)  # says so where it is no energy
    return MapAxis(nodes, "energy_true", "log", column_unit(hdu, name, file), "center")


def energies_hdu(axis: MapAxis) -> fits.BinTableHDU:
    """Table ``ENERGIES`` of the nodes of an axis, in MeV, which readers take for granted."""
    columns = [fits.Column("Energy", "D", unit=_ENERGY_UNIT, array=axis.center_value(_ENERGY_UNIT))]
    return fits.BinTableHDU.from_columns(columns, name="ENERGIES")


def fermi_unit(hdus: fits.HDUList) -> str:
    """Unit of the values of a cube with ``ENERGIES`` that names none: exposures come with good time intervals."""
    return _EXPOSURE_UNIT if "GTI" in hdus else _BRIGHTNESS_UNIT


def is_sparse(hdu: Any) -> bool:
    """Whether an HDU is a table of single pixels."""
    return isinstance(hdu, fits.BinTableHDU) and {"PIX", "VALUE"} <= set(column_units(hdu))


def sparse_hdu(data: np.ndarray, header: fits.Header, name: str) -> fits.BinTableHDU:
    """Table of the values that are not zero: PIX in their image, CHANNEL of all axes together, VALUE."""
    flat = data.reshape(-1, data.shape[-2] * data.shape[-1])
    channel, pix = np.nonzero(flat)
    columns = [fits.Column("PIX", "K", array=pix)]
    if data.ndim > 2:
        columns.append(fits.Column("CHANNEL", "K", array=channel))
    columns.append(fits.Column("VALUE", "K" if data.dtype.kind == "i" else "D", array=flat[channel, pix]))
    return fits.BinTableHDU.from_columns(columns, header=header, name=name)


def sparse_shape(hdu: Any, file: str | None) -> tuple[tuple[int, int], int]:
    """Number of pixels and of axes, from the card WCSSHAPE of a table of pixels.

    Raises
    ------
    SchemaError : it is missing or no shape.
    """
    text = str(get_keyword(hdu, "WCSSHAPE", file))
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if len(numbers) < 2:
        raise SchemaError("GX-MAPS-207", "keyword WCSSHAPE is no shape", file=file, hdu=hdu.name, found=text)
    return (numbers[0], numbers[1]), len(numbers) - 2


def sparse_data(hdu: Any, shape: tuple[int, ...], file: str | None) -> np.ndarray:
    """Image or cube of a table of pixels.

    Raises
    ------
    SchemaError : a column is missing. DataValueError : a pixel outside of the image.
    """
    pix, value = get_column(hdu, "PIX", None, file), get_column(hdu, "VALUE", None, file)
    channel = get_column(hdu, "CHANNEL", None, file) if len(shape) > 2 else np.zeros_like(pix)
    n_pix = int(np.prod(shape[-2:]))
    data = np.zeros((int(np.prod(shape)) // n_pix, n_pix), value.dtype)
    bad = (pix < 0) | (pix >= data.shape[1]) | (channel < 0) | (channel >= data.shape[0])
    if bad.any():
        raise DataValueError(
            "GX-MAPS-208", "a pixel lies outside of the image", file=file, hdu=hdu.name, row=int(np.argmax(bad))
        )
    data[channel, pix] = value
    return data.reshape(shape)
