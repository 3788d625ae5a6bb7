"""Numbers of a template map, ready to be interpolated by numpy or JAX."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from gammax.errors import GammaxWarning, ModelError
from gammax.maps import WcsNDMap
from gammax.maps._wcs_projection import pixel_period
from gammax.units import canonical_factor, same_dimension

_UNITS = ("sr-1", "TeV-1 s-1 cm-2 sr-1")
_TINY = np.finfo(float).tiny
_SCALES = {"lin": lambda xp, x: x, "log": lambda xp, x: xp.log(x), "sqrt": lambda xp, x: xp.sqrt(x)}


@dataclass(frozen=True, eq=False)
class MapTable:
    """A map in logarithms.

    Attributes
    ----------
    logs : (ny, nx), or (T, ny, nx).
    unit : canonical unit of the values. factor : to it.
    nodes : centres of the energy bins in the scale `interp` of the axis [TeV], (T,); None for an image.
    closed : whether the image goes around the sky.
    """

    logs: np.ndarray
    unit: str
    factor: float
    nodes: np.ndarray | None
    interp: str
    closed: bool

    def sample(self, xp: Any, x: Any, y: Any, energy: Any = None) -> Any:
        """Values at pixel numbers x, y and energies [TeV], linear in the logarithm; 0 outside. `xp`: numpy or JAX."""
        ny, nx = self.logs.shape[-2:]
        table = xp.asarray(self.logs)
        inside = (x >= -0.5) & (x < nx - 0.5) & (y >= -0.5) & (y < ny - 0.5)
        x, y = xp.where(inside, x, 0.0), xp.where(inside, y, 0.0)
        left, right, across = _cell(xp, x, nx, self.closed)
        low, high, up = _cell(xp, y, ny, False)

        def plane(*index: Any) -> Any:
            bottom = table[(*index, low, left)] * (1.0 - across) + table[(*index, low, right)] * across
            top = table[(*index, high, left)] * (1.0 - across) + table[(*index, high, right)] * across
            return bottom * (1.0 - up) + top * up

        if self.nodes is None:
            logs = plane()
        elif len(self.nodes) == 1:
            logs = plane(0)
        else:
            first, part = self._between(xp, energy)
            inside = inside & (part + first >= -0.5) & (part + first < len(self.nodes) - 0.5)
            logs = plane(first) * (1.0 - part) + plane(first + 1) * part
        values = xp.exp(xp.where(inside, logs, 0.0))
        return xp.where(inside & (values > 2.0 * _TINY), values, 0.0) * self.factor

    def _between(self, xp: Any, energy: Any) -> tuple[Any, Any]:
        """Number of the node below an energy and the fraction of the way to the next, beyond [0, 1] outside."""
        nodes = xp.asarray(self.nodes)
        place = _SCALES[self.interp](xp, energy)
        first = xp.clip(xp.searchsorted(nodes, place, side="right") - 1, 0, len(self.nodes) - 2)
        return first, (place - nodes[first]) / (nodes[first + 1] - nodes[first])


def _cell(xp: Any, place: Any, n: int, closed: bool) -> tuple[Any, Any, Any]:
    """Pixels to either side, and the fraction of the way between them."""
    if closed:
        first = xp.floor(place).astype(int)
        return first % n, (first + 1) % n, place - first
    first = xp.clip(xp.floor(place), 0, max(n - 2, 0)).astype(int)
    return first, xp.minimum(first + 1, n - 1), place - first


def template_table(template: WcsNDMap, normalize: bool) -> MapTable:
    """Table of a map; parameters, errors and warnings as `TemplateSpatialModel`."""
    axes = template.geom.axes
    if axes and axes.names != ("energy_true",) and list(axes.names) != ["energy_true"]:
        raise ModelError(
            "GX-MODEL-047",
            "a template is an image or a cube in true energy",
            found=f"axes {', '.join(axes.names)}",
            expected="no axis, or energy_true",
        )
    data = template.values()
    if not np.all(np.isfinite(data) & (data >= 0)):
        warnings.warn(
            "GX-MODEL-048 the template map has negative values or NaN, which count as zero", GammaxWarning, stacklevel=4
        )
        data = np.where(np.isfinite(data) & (data > 0), data, 0.0)
    unit, factor = _unit_of(template.unit)
    if normalize:
        total = data.sum(axis=(-2, -1), keepdims=True)
        data = data / np.where(total > 0, total, 1.0) / template.geom.solid_angle().value
        unit, factor = "sr-1", 1.0
    axis = axes["energy_true"] if axes else None
    period = pixel_period(template.geom.wcs)
    return MapTable(
        logs=np.log(np.maximum(np.nan_to_num(data), _TINY)),
        unit=unit,
        factor=factor,
        nodes=None if axis is None else _SCALES[axis.interp](np, axis.center_value("TeV")),
        interp="lin" if axis is None else axis.interp,
        closed=period is not None and abs(period - template.geom.npix[0]) < 1e-6,
    )


def _unit_of(unit: str) -> tuple[str, float]:
    """Canonical unit of a map's values, and the factor to it."""
    if same_dimension(unit, ""):
        warnings.warn("GX-MODEL-049 the template map has no unit: taken as sr-1", GammaxWarning, stacklevel=5)
        return _UNITS[0], canonical_factor(unit)
    for known in _UNITS:
        if same_dimension(unit, known):
            return known, canonical_factor(unit)
    raise ModelError("GX-MODEL-050", "not the unit of a surface brightness", found=unit, expected=" or ".join(_UNITS))
