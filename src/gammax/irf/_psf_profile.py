"""Radial densities: tables over the distance to the source that are linear between their nodes.

The solid angle is that of the tangential plane, 2 pi r dr, as the field has it; the sphere differs by 1e-5 at 0.66 deg.
"""

from __future__ import annotations

import numpy as np

# steradian per square degree
SR = np.deg2rad(1.0) ** 2


def closed_profile(rad: np.ndarray, values: np.ndarray, edge: float) -> tuple[np.ndarray, np.ndarray]:
    """Density from 0 to the outer edge of its table: continued as a line to both, nowhere negative.

    Parameters
    ----------
    rad : centres [deg], shape (n,), increasing, not negative. values : densities, shape (T, n).
    edge : outer edge of the table [deg].

    Returns
    -------
    Nodes [deg], shape (n + 2,) or less where the table has these nodes already; densities there.
    """
    if len(rad) == 1:
        return np.array([0.0, edge]), np.maximum(np.repeat(values, 2, axis=1), 0.0)
    if rad[0] > 0:
        inner = values[:, :1] - np.diff(values[:, :2], axis=1) * rad[0] / (rad[1] - rad[0])
        rad, values = np.append(0.0, rad), np.concatenate([inner, values], axis=1)
    if rad[-1] < edge:
        outer = values[:, -1:] + np.diff(values[:, -2:], axis=1) * (edge - rad[-1]) / (rad[-1] - rad[-2])
        rad, values = np.append(rad, edge), np.concatenate([values, outer], axis=1)
    return rad, np.maximum(values, 0.0)


def integral_to(rad: np.ndarray, values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Integral over solid angle from 0 to x of densities [sr-1] that are linear between nodes and 0 beyond, exact.

    Parameters
    ----------
    rad : nodes [deg], shape (n,), from 0. values : shape (T, n). x : radii [deg], shape (m,) or (T, m).

    Returns
    -------
    Array of shape (T, m).
    """
    slope = np.diff(values, axis=1) / np.diff(rad)
    level = values[:, :-1] - slope * rad[:-1]
    steps = level * np.diff(rad**2) / 2 + slope * np.diff(rad**3) / 3
    whole = np.concatenate([np.zeros((len(values), 1)), np.cumsum(steps, axis=1)], axis=1)
    x = np.clip(np.broadcast_to(x, (len(values), np.shape(x)[-1])), rad[0], rad[-1])
    k = np.clip(np.searchsorted(rad, x, side="right") - 1, 0, len(rad) - 2)
    below, here, rise = (np.take_along_axis(table, k, axis=1) for table in (whole, level, slope))
    return 2 * np.pi * SR * (below + here * (x**2 - rad[k] ** 2) / 2 + rise * (x**3 - rad[k] ** 3) / 3)


def radius_of(rad: np.ndarray, values: np.ndarray, fraction: float) -> np.ndarray:
    """Radius [deg] that holds a fraction of each density, shape (T,); NaN where there is none."""
    total = integral_to(rad, values, rad[-1:])[:, 0]
    low, high = np.zeros(len(values)), np.full(len(values), rad[-1])
    for _ in range(50):
        middle = (low + high) / 2
        short = integral_to(rad, values, middle[:, np.newaxis])[:, 0] < fraction * total
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return np.where(total > 0, (low + high) / 2, np.nan)


def ring_sums(centers: np.ndarray, edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Running sum of 2 pi r dr density [sr-1] at the upper edges [deg] of the rings, shape (..., n)."""
    return np.cumsum(values * 2 * np.pi * centers * np.diff(edges) * SR, axis=-1)
