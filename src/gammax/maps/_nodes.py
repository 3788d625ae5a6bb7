"""Nodes of an axis: read from what users write, checked, spaced and interpolated."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np

from gammax.errors import DataValueError, GeometryError, UnitError
from gammax.units import parse_unit, to_quantity, unit_string


def read_nodes(nodes: Any, unit: str | None, name: str) -> tuple[np.ndarray, str]:
    """Numbers and unit string of nodes given as Quantity, strings, list of both, or numbers in `unit`."""
    if isinstance(nodes, (list, tuple)) and any(isinstance(node, (str, u.Quantity)) for node in nodes):
        nodes = _join([_parse(node, name) for node in nodes], name)
    if isinstance(nodes, u.Quantity):
        target = unit_string(nodes.unit if unit is None else unit)
        return np.asarray(to_quantity(nodes, target, name).to_value(parse_unit(target)), float), target
    try:
        return np.asarray(nodes, dtype=float), "" if unit is None else unit_string(unit)
    except (TypeError, ValueError) as error:
        raise DataValueError("GX-MAPS-013", f"nodes of axis {name!r} are not numbers", found=repr(nodes)) from error


def _parse(node: Any, name: str) -> Any:
    if not isinstance(node, str):
        return node
    try:
        return u.Quantity(node, dtype=float)
    except (TypeError, ValueError) as error:
        raise UnitError(
            "GX-MAPS-014", f"cannot read a node of axis {name!r}", found=repr(node), expected="such as '1 TeV'"
        ) from error


def _join(nodes: list[Any], name: str) -> u.Quantity:
    """One Quantity in the unit of the last node."""
    bare = [node for node in nodes if not isinstance(node, u.Quantity)]
    if bare:
        raise UnitError("GX-MAPS-007", f"some nodes of axis {name!r} have a unit and some have not", found=bare[0])
    unit = unit_string(nodes[-1].unit)
    return u.Quantity([to_quantity(node, unit, name).to(parse_unit(unit)) for node in nodes])


def check_nodes(nodes: np.ndarray, name: str, interp: str) -> None:
    """Raise DataValueError unless nodes are finite, increasing, and in the domain of `interp`."""
    finite = np.isfinite(nodes)
    if not finite.all():
        k = int(np.argmin(finite))
        raise DataValueError("GX-MAPS-008", f"nodes of axis {name!r} are not finite", axis=name, index=k)
    falls = np.diff(nodes) <= 0
    if falls.any():
        k = int(np.argmax(falls))
        raise DataValueError(
            "GX-MAPS-009",
            f"nodes of axis {name!r} do not increase",
            axis=name,
            index=k,
            found=f"{nodes[k]:.9g} then {nodes[k + 1]:.9g}",
        )
    if (interp != "lin" and nodes[0] < 0) or (interp == "log" and nodes[0] == 0):
        raise DataValueError(
            "GX-MAPS-010", f"axis {name!r} with interp {interp!r} must be positive", axis=name, found=nodes[0]
        )


def spaced(low: float, high: float, nbin: int, interp: str, name: str) -> np.ndarray:
    """Edges of equal bins in the scale of `interp`, the outer ones to the bit."""
    if nbin < 1:
        raise GeometryError("GX-MAPS-012", f"axis {name!r} needs at least one bin", found=nbin)
    if interp == "log":
        check_nodes(np.array([low, high]), name, interp)
        return np.geomspace(low, high, nbin + 1)
    if interp == "sqrt":
        check_nodes(np.array([low, high]), name, interp)
        edges = np.square(np.linspace(np.sqrt(low), np.sqrt(high), nbin + 1))
        edges[[0, -1]] = low, high
        return edges
    return np.linspace(low, high, nbin + 1)


def interpolate(x: np.ndarray, xp: np.ndarray, fp: np.ndarray) -> np.ndarray:
    """Piecewise linear, continued outside with the slope of the last piece."""
    k = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, len(xp) - 2)
    return fp[k] + (x - xp[k]) * (fp[k + 1] - fp[k]) / (xp[k + 1] - xp[k])
