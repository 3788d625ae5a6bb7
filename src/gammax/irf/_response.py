"""What all DL3 responses share: axes, reading, writing, evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import astropy.units as u
import numpy as np
from astropy.io import fits

from gammax._fits import file_of, get_hdu, open_fits, write_fits
from gammax.errors import GeometryError, SchemaError, UnitError
from gammax.irf._dl3_axes import AXES, axis_columns, cell, is_point, read_axis
from gammax.irf._dl3_class import hdu_class_of
from gammax.irf._dl3_table import (
    check_unit,
    cref,
    is_pointlike,
    read_cube,
    read_meta,
    response_header,
    without_negative_cells,
)
from gammax.irf._grid import multilinear
from gammax.maps import MapAxes
from gammax.units import parse_unit, to_value, unit_string

_GADF = {
    "HDUCLASS": "GADF",
    "HDUDOC": "https://github.com/open-gamma-ray-astro/gamma-astro-data-formats",
    "HDUVERS": "0.2",
    "HDUCLAS1": "RESPONSE",
}


@dataclass(frozen=True, eq=False, repr=False)
class Response:
    """Axes and metadata of a response, and how it is kept in a file.

    Class attributes: `tag`, the GADF class; `axis_names`, in the order of the arrays; `extname` and `hduclas2`, of the
    HDU that is written.
    """

    tag: ClassVar[str]
    axis_names: ClassVar[tuple[str, ...]]
    extname: ClassVar[str]
    hduclas2: ClassVar[str]

    axes: MapAxes

    def _check_axes(self) -> MapAxes:
        axes = MapAxes(self.axes)
        if axes.names != self.axis_names:
            raise GeometryError(
                "GX-IRF-040",
                f"wrong axes of {type(self).__name__}",
                found=", ".join(axes.names) or "none",
                expected=", ".join(self.axis_names),
            )
        for axis in axes:
            if not check_unit(axis.unit, AXES[axis.name].unit):
                raise UnitError(
                    "GX-IRF-041",
                    f"axis {axis.name!r} has the wrong unit",
                    found=axis.unit or "no unit",
                    expected=AXES[axis.name].unit,
                )
        return axes

    @property
    def _shape(self) -> tuple[int, ...]:
        return tuple(axis.nbin for axis in self.axes)

    def _nodes(self, name: str) -> np.ndarray:
        """Bin centres in the scale in which responses are interpolated: ln E, else the coordinate itself."""
        center = self.axes[name].center_value(AXES[name].unit)
        return np.log(center) if AXES[name].interp == "log" else center

    def _scaled(self, name: str, x: Any) -> np.ndarray:
        x = np.asarray(x, float)
        if AXES[name].interp == "lin":
            return x
        return np.log(np.where(x > 0, x, np.finfo(float).tiny))

    def _inside(self, name: str, x: Any) -> np.ndarray:
        """Whether coordinates lie on the axis, its outer edges included; always, where it stands for one value."""
        if is_point(self.axes[name]):
            return np.ones(np.shape(x), bool)
        low, high = self.axes[name].edges_value(AXES[name].unit)[[0, -1]]
        return (np.asarray(x) >= low) & (np.asarray(x) <= high)

    def _clipped(self, name: str, x: Any) -> np.ndarray:
        """Coordinates moved onto the axis."""
        low, high = self.axes[name].edges_value(AXES[name].unit)[[0, -1]]
        return np.clip(np.asarray(x, float), low, high)

    def _plain(self, coords: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Coordinates as plain numbers in canonical units."""
        if set(coords) != set(names):
            raise SchemaError(
                "GX-IRF-042",
                f"wrong coordinates of {type(self).__name__}",
                found=", ".join(coords) or "none",
                expected=", ".join(names),
            )
        return {name: to_value(coords[name], AXES[name].unit, name) for name in names}

    @classmethod
    def read(cls, path: str | Path, hdu: str | None = None) -> Self:
        """Response from a file: from the HDU named, else from the first one that holds such a response.

        Raises
        ------
        SchemaError : no such HDU. Others as `from_hdu`; `FileFormatError` where it is no FITS file.
        """
        with open_fits(path) as hdus:
            if hdu is not None:
                return cls.from_hdu(get_hdu(hdus, hdu), file_of(hdus))
            for found in hdus[1:]:
                if hdu_class_of(found) == cls.tag:
                    return cls.from_hdu(found, file_of(hdus))
            raise SchemaError(
                "GX-IRF-043",
                f"no HDU holds a response of class {cls.tag}",
                file=file_of(hdus),
                found=", ".join(f"{h.name} ({hdu_class_of(h) or 'no response'})" for h in hdus[1:]),
            )

    @classmethod
    def from_hdu(cls, hdu: fits.BinTableHDU, file: str | None = None) -> Self:
        """Response from a table HDU; `file` is for messages."""
        raise NotImplementedError

    def to_hdu(self) -> fits.BinTableHDU:
        """Table of one row, axes and arrays in the recommended order of GADF 0.2, told by ``CREFn`` as well."""
        raise NotImplementedError

    def write(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write a file with this response alone."""
        return write_fits(fits.HDUList([fits.PrimaryHDU(), self.to_hdu()]), path, overwrite)

    @classmethod
    def _read_axes(cls, hdu: fits.BinTableHDU, file: str | None) -> MapAxes:
        found = hdu_class_of(hdu)
        if found not in (None, cls.tag):
            raise SchemaError(
                "GX-IRF-044", "the HDU holds another response", file=file, hdu=hdu.name, found=found, expected=cls.tag
            )
        return MapAxes(read_axis(hdu, name, file) for name in cls.axis_names)

    def _make_hdu(
        self, columns: Mapping[str, tuple[np.ndarray, str]], meta: Mapping[str, Any], cards: Mapping[str, Any]
    ) -> fits.BinTableHDU:
        axis_part = [column for axis in self.axes for column in axis_columns(axis)]
        arrays = [cell(name, values.T, unit) for name, (values, unit) in columns.items()]
        hdu = fits.BinTableHDU.from_columns([*axis_part, *arrays], name=self.extname)
        order = {f"CREF{len(axis_part) + k + 1}": cref(self.axis_names) for k in range(len(arrays))}
        classes = {"HDUCLAS2": self.hduclas2, "HDUCLAS3": cards["HDUCLAS3"], "HDUCLAS4": self.tag.upper()}
        response_header(hdu.header, meta, {**_GADF, **classes, **cards, **order})
        return hdu

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.axes))})"


@dataclass(frozen=True, eq=False, repr=False)
class TableResponse(Response):
    """Response that is one array over its axes.

    Parameters
    ----------
    axes : axes in the order of the array. data : float64, held read-only.
    unit : unit of `data`.
    is_pointlike : whether a cut on the distance to the source is in the response.
    meta : header cards.
    """

    column: ClassVar[str]
    default_unit: ClassVar[str]
    canonical_unit: ClassVar[str]
    column_needs_unit: ClassVar[bool] = True

    data: np.ndarray
    unit: str = ""
    is_pointlike: bool = False
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        axes = self._check_axes()
        data = np.array(self.data, dtype=np.float64)
        shape = tuple(axis.nbin for axis in axes)
        if data.shape != shape:
            raise GeometryError(
                "GX-IRF-045", f"{type(self).__name__}: array and axes differ", found=data.shape, expected=shape
            )
        unit = unit_string(self.unit or self.default_unit)
        if not check_unit(unit, self.canonical_unit):
            raise UnitError(
                "GX-IRF-046", f"{type(self).__name__} has the wrong unit", found=unit, expected=self.default_unit
            )
        data.setflags(write=False)
        for name, value in {"axes": axes, "data": data, "unit": unit}.items():
            object.__setattr__(self, name, value)

    @property
    def quantity(self) -> u.Quantity:
        """Array with its unit."""
        return u.Quantity(self.data, parse_unit(self.unit))

    @property
    def _factor(self) -> float:
        """Of the canonical unit."""
        return float(parse_unit(self.unit).to(parse_unit(self.canonical_unit)))

    def evaluate(self, **coords: Any) -> u.Quantity:
        """Value at coordinates, one Quantity per axis (``energy_true="1 TeV", offset=[0.5, 1] * u.deg``).

        Linear between bin centres in ln E and in all other coordinates, continued to the outer edges; 0 outside.
        """
        plain = self._plain(coords, self.axis_names)
        return u.Quantity(self.values(**plain) / self._factor, parse_unit(self.unit))

    def values(self, **coords: Any) -> np.ndarray:
        """As `evaluate`, with plain numbers in TeV and deg; the result in cm2, sr-1, s-1 TeV-1 sr-1 or deg."""
        inside = np.ones((), bool)
        for name in self.axis_names:
            inside = inside & self._inside(name, coords[name])
        value = self._interpolate([self._scaled(name, coords[name]) for name in self.axis_names])
        return np.where(inside, np.maximum(value, 0.0), 0.0) * self._factor

    def _interpolate(self, scaled: list[np.ndarray]) -> np.ndarray:
        return multilinear([self._nodes(name) for name in self.axis_names], self.data, scaled)

    @classmethod
    def from_hdu(cls, hdu: fits.BinTableHDU, file: str | None = None) -> Self:
        """Response from a table HDU; `file` is for messages.

        Few and small negative cells, which published files hold, are set to 0 with one warning.

        Raises
        ------
        SchemaError : columns missing, or another response. UnitError : unit missing or wrong. GeometryError : array
        and axes differ. DataValueError : cells that cannot be right, or axes that do not increase.
        """
        axes = cls._read_axes(hdu, file)
        data, unit = cls._read_data(hdu, axes, file)
        return cls(
            axes=axes,
            data=data,
            unit=unit,
            is_pointlike=is_pointlike(hdu.header),
            meta=read_meta(hdu.header),
            **cls._extra_fields(hdu, file),
        )

    @classmethod
    def _read_data(cls, hdu: fits.BinTableHDU, axes: MapAxes, file: str | None) -> tuple[np.ndarray, str]:
        expected = cls.canonical_unit if cls.column_needs_unit else None
        data, unit = read_cube(hdu, cls.column, expected, axes, file)
        return without_negative_cells(data, axes, hdu, cls.column, file), unit

    @classmethod
    def _extra_fields(cls, hdu: fits.BinTableHDU, file: str | None) -> dict[str, Any]:
        return {}

    def _cards(self) -> dict[str, Any]:
        return {"HDUCLAS3": "POINT-LIKE" if self.is_pointlike else "FULL-ENCLOSURE"}

    def to_hdu(self) -> fits.BinTableHDU:
        """Table of one row, axes and array in the recommended order of GADF 0.2, told by ``CREFn`` as well."""
        return self._make_hdu({self.column: (self.data, self.unit)}, self.meta, self._cards())

    def is_allclose(self, other: Any, rtol: float = 1e-6, atol: float = 0.0) -> bool:
        """Whether two responses agree in class, axes and values, whatever their units."""
        return (
            type(self) is type(other)
            and self.axes.is_allclose(other.axes)
            and np.allclose(other.data * other._factor, self.data * self._factor, rtol=rtol, atol=atol)
        )
