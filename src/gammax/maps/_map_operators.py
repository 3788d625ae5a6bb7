"""Arithmetic, comparison and logic of maps over one geometry."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import astropy.units as u
import numpy as np

from gammax.errors import DataValueError, GeometryError, UnitError
from gammax.units import parse_unit, same_dimension, unit_string


class MapOperators:
    """Operators for a class with ``geom``, ``data``, ``unit``, ``is_mask`` and ``replace``."""

    geom: Any
    data: np.ndarray
    unit: str
    is_mask: bool
    replace: Callable

    # numbers, arrays and Quantities on the left leave the work to the map
    __array_ufunc__ = None

    def __add__(self, other: Any) -> Any:
        return self._same_unit(operator.add, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._same_unit(operator.sub, other)

    def __mul__(self, other: Any) -> Any:
        return self._product(operator.mul, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return self._product(operator.truediv, other)

    def __lt__(self, other: Any) -> Any:
        return self._same_unit(operator.lt, other)

    def __le__(self, other: Any) -> Any:
        return self._same_unit(operator.le, other)

    def __gt__(self, other: Any) -> Any:
        return self._same_unit(operator.gt, other)

    def __ge__(self, other: Any) -> Any:
        return self._same_unit(operator.ge, other)

    def __and__(self, other: Any) -> Any:
        return self._logic(operator.and_, other)

    def __or__(self, other: Any) -> Any:
        return self._logic(operator.or_, other)

    def __xor__(self, other: Any) -> Any:
        return self._logic(operator.xor, other)

    def __invert__(self) -> Any:
        return self._logic(operator.xor, np.True_)

    def _operand(self, other: Any) -> tuple[Any, str]:
        """Plain data and unit of the other side."""
        if isinstance(other, MapOperators):
            if difference := self.geom.difference(other.geom):
                raise GeometryError("GX-MAPS-130", "the maps have different geometries", found=difference)
            return other.data, other.unit
        if isinstance(other, u.Quantity):
            return other.value, unit_string(other.unit)
        return other, ""

    def _same_unit(self, function: Callable, other: Any) -> Any:
        data, unit = self._operand(other)
        if not same_dimension(unit, self.unit):
            raise UnitError(
                "GX-MAPS-131", "the units do not fit", found=unit or "no unit", expected=self.unit or "no unit"
            )
        factor = 1.0 if unit == self.unit else float(parse_unit(unit).to(parse_unit(self.unit)))
        result = function(self._numbers(), np.asarray(data) * factor)
        return self.replace(data=result, unit="" if result.dtype == bool else self.unit)

    def _product(self, function: Callable, other: Any) -> Any:
        """Product or quotient; a mask on the right counts as 0 and 1, which cuts a map out."""
        data, unit = self._operand(other)
        with np.errstate(divide="ignore", invalid="ignore"):
            result = function(self._numbers(), np.asarray(data, float))
        return self.replace(data=result, unit=unit_string(function(parse_unit(self.unit), parse_unit(unit))))

    def _numbers(self) -> np.ndarray:
        if self.is_mask:
            raise DataValueError("GX-MAPS-132", "a mask is no map of numbers", do="use &, | and ~")
        return self.data

    def _logic(self, function: Callable, other: Any) -> Any:
        data, _ = self._operand(other)
        if not self.is_mask or np.asarray(data).dtype != bool:
            raise DataValueError("GX-MAPS-133", "only masks combine with &, |, ^ and ~", do="compare first: map > 0")
        return self.replace(data=function(self.data, data))
