"""Pictures of flux points."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gammax.errors import GammaxWarning, SchemaError, did_you_mean
from gammax.estimators._sed_quantities import KINDS
from gammax.maps._plot import get_axes
from gammax.units import parse_unit, unit_string

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gammax.estimators._flux_points import FluxPoints

_LABELS = {
    "dnde": r"$\mathrm{d}N/\mathrm{d}E$  [TeV$^{-1}$ cm$^{-2}$ s$^{-1}$]",
    "flux": r"Flux  [cm$^{-2}$ s$^{-1}$]",
    "eflux": r"Energy flux  [erg cm$^{-2}$ s$^{-1}$]",
    "e2dnde": r"$E^2\,\mathrm{d}N/\mathrm{d}E$  [erg cm$^{-2}$ s$^{-1}$]",
}
# length of the arrow of an upper limit, as a fraction of its value
_ARROW = 0.45
# rows of the picture of the profiles, and norms at which their extent is looked for
_N_ROWS = 400
_N_NORMS = 2000


def plot_points(points: FluxPoints, ax: Axes | None, sed_type: str, energy_unit: str, **kwargs: Any) -> Axes:
    """See `FluxPoints.plot`."""
    _check_kind(sed_type)
    ax = get_axes(ax)
    points = replace(points, energy_unit=energy_unit)
    value, (lower, upper) = getattr(points, sed_type).value, _errors(points, sed_type)
    is_ul = _shown_limits(points)
    shown = (value > 0) & ~points.is_ul
    hidden = np.isfinite(value) & ~shown & ~is_ul
    if hidden.any():
        warnings.warn(
            f"GX-FLUX-150 {hidden.sum()} flux points do not show: not positive, or upper limits without a value",
            GammaxWarning,
            stacklevel=3,
        )
    ax.set(xscale="log", xlabel=f"Energy  [{unit_string(energy_unit)}]", ylabel=_LABELS[sed_type])
    ax.set_yscale("log", nonpositive="clip")
    energy = points.e_ref.value
    width = np.nan_to_num([energy - points.e_min.value, points.e_max.value - energy])
    style = {"fmt": "o", "markersize": 4, "linewidth": 1.2} | kwargs
    if shown.any():
        bars = [lower[shown], upper[shown]]
        drawn = ax.errorbar(energy[shown], value[shown], yerr=bars, xerr=width[:, shown], **style)
        style |= {"color": drawn.lines[0].get_color(), "label": None}
    if is_ul.any():
        limit = getattr(points, f"{sed_type}_ul").value[is_ul]
        style |= {"fmt": "_", "markersize": 7}
        ax.errorbar(energy[is_ul], limit, yerr=_ARROW * limit, xerr=width[:, is_ul], uplims=True, **style)
    return ax


def plot_ts_profiles(points: FluxPoints, ax: Axes | None, sed_type: str, energy_unit: str, **kwargs: Any) -> Axes:
    """See `FluxPoints.plot_ts_profiles`."""
    _check_kind(sed_type)
    columns = (points.norm_scan, points.stat_scan, points.norm.value, points.stat)
    reference = getattr(points, f"{sed_type}_ref").value
    kwargs = {"cmap": "Blues_r", "vmin": 0.0, "vmax": 9.0, "rasterized": True, "zorder": 0} | kwargs
    height = kwargs["vmax"]
    profiles = [_profile(*row) for row in zip(*columns, strict=True)]
    spans = [_span(profile, scan, height) for profile, scan in zip(profiles, points.norm_scan, strict=True)]
    fluxes = np.array(spans) * reference[:, np.newaxis]
    ax = plot_points(points, ax, sed_type, energy_unit, color="black", markersize=3, linewidth=0.8)
    bins = np.stack([points.e_min, points.e_max], axis=1).to_value(parse_unit(energy_unit))
    shown = np.isfinite(fluxes).all(axis=1) & np.isfinite(bins).all(axis=1)
    if not shown.any():
        return ax
    edges = np.geomspace(fluxes[shown].min(), fluxes[shown].max(), _N_ROWS + 1)
    rows = np.sqrt(edges[:-1] * edges[1:])
    for i in np.flatnonzero(shown):
        rise = profiles[i](rows / reference[i])
        # what is above the scale, or beyond the scan, stays white
        shades = np.ma.masked_where(~(rise <= height), rise)
        image = ax.pcolormesh(bins[i], edges, shades[:, np.newaxis], **kwargs)
    ax.figure.colorbar(image, ax=ax, label="Fit statistic above its minimum")
    return ax


def _check_kind(sed_type: str) -> None:
    if sed_type not in KINDS:
        raise SchemaError("GX-FLUX-151", f"cannot plot SED type {sed_type!r}", do=did_you_mean(sed_type, KINDS))


def _shown_limits(points: FluxPoints) -> np.ndarray:
    """Which points are drawn as upper limits."""
    if "norm_ul" not in points.quantities:
        return np.zeros(len(points), dtype=bool)
    return points.is_ul & (points.norm_ul.value > 0)


def _errors(points: FluxPoints, sed_type: str) -> tuple[np.ndarray, np.ndarray]:
    """Lengths of the error bars down and up: asymmetric ones where there are, else symmetric ones, else 0."""
    lengths = []
    for suffix in ("_errn", "_errp"):
        names = [name for name in (suffix, "_err") if f"norm{name}" in points.quantities]
        length = np.full(len(points), np.nan)
        for name in names:
            length = np.where(np.isnan(length), getattr(points, f"{sed_type}{name}").value, length)
        lengths.append(np.nan_to_num(length))
    return lengths[0], lengths[1]


def _profile(scan: np.ndarray, stat_scan: np.ndarray, norm: float, stat: float) -> Callable[[np.ndarray], np.ndarray]:
    """Rise of the statistic above its minimum over the norm, NaN beyond the scan.

    Interpolated as its square root with the sign of the side, which is nearly a straight line.
    """
    from scipy.interpolate import PchipInterpolator

    known = np.isfinite(scan) & np.isfinite(stat_scan)
    if known.sum() < 2:
        return lambda norms: np.full(np.shape(norms), np.nan)
    scan, stat_scan = scan[known], stat_scan[known]
    if not np.isfinite(norm + stat):
        norm, stat = scan[np.argmin(stat_scan)], np.min(stat_scan)
    roots = np.sign(scan - norm) * np.sqrt(np.maximum(stat_scan - stat, 0.0))
    knots, first = np.unique(np.append(scan, norm), return_index=True)
    root = PchipInterpolator(knots, np.append(roots, 0.0)[first], extrapolate=False)
    return lambda norms: root(norms) ** 2


def _span(profile: Callable[[np.ndarray], np.ndarray], scan: np.ndarray, height: float) -> tuple[float, float]:
    """Smallest and largest positive norm of a scan at which a profile is below `height`."""
    positive = scan[scan > 0]
    if positive.size == 0:
        return np.nan, np.nan
    norms = np.geomspace(positive.min(), positive.max(), _N_NORMS)
    inside = norms[profile(norms) <= height]
    return (inside.min(), inside.max()) if inside.size else (np.nan, np.nan)
