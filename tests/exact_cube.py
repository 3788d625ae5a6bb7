"""Point sources in cubes by brute force: the table of the PSF summed over many points of every pixel.

The oracle of the parity tests: no mixture of Gaussians, no splitting over pixels, no kernel, no truncation. It takes
from gammax what it reads files with, and the integrals of spectra.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from astropy.coordinates import SkyCoord
from scipy.ndimage import map_coordinates
from scipy.optimize import minimize_scalar

from gammax.folding import total_flux
from gammax.models import n_panels
from gammax.stats import cash

# points per pixel and direction: in the middle of the PSF, near it, and beyond; pixels that each reaches
POINTS = ((81, 1), (31, 4), (9, 10), (3, 10**6))
# steps of differences, in errors. The points of the middle pixel are half a percent of an error of a position apart,
# and the PSF has a cusp there: over a whole error that averages out (errors noisy to 1 %, over 0.3 errors to 4 %).
# Errors of spectra need small steps: over 0.3 errors the statistic of a cutoff is no parabola (7 %)
STEPS = {"lon_0": 1.0, "lat_0": 1.0}
SMALL = 0.1


@dataclass
class ExactPoint:
    """A point source near an anchor in a cube.

    order : "psf-first", the exposure at the reconstructed position, as the peer has it; "exposure-first", at the true
    one.
    """

    dataset: object
    anchor: SkyCoord
    spectrum: object
    half: int = 60
    order: str = "psf-first"
    kept: dict = field(default_factory=dict)

    def __post_init__(self):
        arrays, geom = self.dataset.arrays, self.dataset.geom.to_image()
        self.rad, table = self.dataset.psf.profile(self.anchor, self.dataset.energy_axis_true.center)
        fine = np.linspace(0, self.rad[-1], 20001)
        norm = [np.trapezoid(2 * np.pi * fine * np.interp(fine, self.rad, row), fine) for row in table]
        self.table = np.array([row / n if n > 0 else row for row, n in zip(table, norm, strict=True)])
        self.response = self.dataset.edisp.get_edisp_kernel(
            energy_axis=self.dataset.energy_axis, position=self.anchor
        ).pdf_matrix.T
        x, y = (round(float(p)) for p in geom.coord_to_pix(self.anchor))
        ny, nx = geom.image_shape
        self.rows = slice(max(y - self.half, 0), min(y + self.half + 1, ny))
        self.columns = slice(max(x - self.half, 0), min(x + self.half + 1, nx))
        self.center, self.geom = (y, x), geom
        self.exposure, self.edges = arrays.exposure[:, self.rows, self.columns], arrays.energy_true

    def basis(self, lon, lat):
        """Exposure times fraction of the source in the pixels about it, (T, ny, nx)."""
        key = (round(lon, 12), round(lat, 12))
        if key not in self.kept:
            source = SkyCoord(lon, lat, unit="deg", frame=self.anchor.frame.name)
            self.kept[key] = self._fractions(source) * self._exposure(source)
        return self.kept[key]

    def _exposure(self, source):
        if self.order == "psf-first":
            return self.exposure
        x, y = self.geom.coord_to_pix(source)
        there = [map_coordinates(image, [[y], [x]], order=1)[0] for image in self.dataset.arrays.exposure]
        return np.array(there)[:, None, None]

    def _fractions(self, source):
        y, x = np.mgrid[self.rows, self.columns]
        distance = np.maximum(abs(y - self.center[0]), abs(x - self.center[1]))
        found, done = np.zeros((len(self.table), *y.shape)), np.zeros(y.shape, bool)
        for points, reach in POINTS:
            chosen = ~done & (distance <= reach)
            done |= chosen
            steps = (np.arange(points) + 0.5) / points - 0.5
            v, u = (a.ravel() for a in np.meshgrid(steps, steps, indexing="ij"))
            sky = self.geom.pix_to_coord((x[chosen][:, None] + u, y[chosen][:, None] + v))["skycoord"]
            apart = sky.transform_to(source.frame).separation(source).deg
            area = np.rad2deg(np.rad2deg(self.geom.solid_angle().value[self.rows, self.columns][chosen]))
            for t, row in enumerate(self.table):
                found[t][chosen] = np.interp(apart, self.rad, row, right=0.0).mean(axis=1) * area
        return found

    def signal(self, spectral, lon, lat):
        """Predicted counts of the whole cube, (R, ny, nx), for values of the free spectral parameters by name."""
        flux = np.asarray(total_flux([self.spectrum.replace(**spectral)], self.edges, n_panels(self.edges)))
        counts = np.zeros(self.dataset.arrays.counts.shape)
        counts[:, self.rows, self.columns] = np.einsum("rt,tyx->ryx", self.response * flux, self.basis(lon, lat))
        return counts

    def at(self, source):
        """Predicted counts of a `SkyModel`, (R, ny, nx)."""
        spectral = {name: getattr(source.spectral_model, name).canonical for name in _free(source.spectral_model)}
        return self.signal(spectral, source.spatial_model.lon_0.canonical, source.spatial_model.lat_0.canonical)


def _free(spectrum):
    return [name for name in ("index", "amplitude", "lambda_") if hasattr(spectrum, name)]


@dataclass
class ExactFit:
    """-2 ln L of a cube with an exact point source and backgrounds that are scaled.

    Parameters
    ----------
    names : of the parameters: of the spectrum, "lon_0", "lat_0", then one per background.
    backgrounds : predicted counts for a norm of 1, (R, ny, nx) each. held : those of what is not scaled.
    """

    point: ExactPoint
    names: list
    backgrounds: list
    held: object = 0.0

    def __post_init__(self):
        arrays = self.point.dataset.arrays
        self.mask, self.counts = arrays.mask, arrays.counts[arrays.mask]
        self.masked = [background[arrays.mask] for background in self.backgrounds]
        self.constant = np.broadcast_to(self.held, arrays.mask.shape)[arrays.mask]
        self.split = len(self.names) - len(self.backgrounds)

    def statistic(self, values):
        source = dict(zip(self.names[: self.split], map(float, values[: self.split]), strict=True))
        lon, lat = source.pop("lon_0"), source.pop("lat_0")
        mu = self.point.signal(source, lon, lat)[self.mask] + self.constant
        for norm, background in zip(values[self.split :], self.masked, strict=True):
            mu = mu + norm * background
        return float(np.sum(cash(self.counts, mu)))


@dataclass
class ExactJointFit:
    """Cubes with one exact point source in common, each with one background of its own."""

    fits: list

    @property
    def names(self):
        return [*self.fits[0].names[:-1], *(fit.names[-1] for fit in self.fits)]

    def statistic(self, values):
        shared = len(values) - len(self.fits)
        return sum(
            fit.statistic([*values[:shared], norm]) for fit, norm in zip(self.fits, values[shared:], strict=True)
        )


class Minimum(NamedTuple):
    """Values and errors (n,), and the statistic there."""

    values: np.ndarray
    errors: np.ndarray
    statistic: float


def newton(statistic: Callable, names: list, values: np.ndarray, errors: np.ndarray) -> Minimum:
    """Minimum of a statistic by one Newton step from differences, `STEPS` apart, about values near it."""
    n, steps = len(names), np.array([STEPS.get(name, SMALL) for name in names])
    unit = np.diag(steps * errors)
    here = statistic(values)
    up = np.array([statistic(values + unit[i]) for i in range(n)])
    down = np.array([statistic(values - unit[i]) for i in range(n)])
    slope, curvature = (up - down) / 2 / steps, np.diag((up - 2 * here + down) / steps**2)
    for i in range(n):
        for j in range(i):
            corners = statistic(values + unit[i] + unit[j]) + statistic(values - unit[i] - unit[j])
            mixed = (corners - up[i] - up[j] + 2 * here - down[i] - down[j]) / 2 / steps[i] / steps[j]
            curvature[i, j] = curvature[j, i] = mixed
    shift = -np.linalg.solve(curvature, slope)
    covariance = np.linalg.inv(curvature / 2)
    return Minimum(values + shift * errors, np.sqrt(np.diag(covariance)) * errors, here + slope @ shift / 2)


def norm_ts(dataset, signal, background, points):
    """TS of flux points: the norm of a signal fitted in the bins of every point, all else held."""
    arrays, edges, found = dataset.arrays, np.asarray(dataset.arrays.energy), []
    for low, high in zip(points.energy_min, points.energy_max, strict=True):
        inside = (edges[:-1] > low * (1 - 1e-6)) & (edges[1:] < high * (1 + 1e-6))
        mask = arrays.mask & inside[:, None, None]
        s, b, n = signal[mask], background[mask], arrays.counts[mask]
        best = minimize_scalar(lambda norm: float(np.sum(cash(n, b + norm * s))), bracket=(0.8, 1.2), tol=1e-9)  # noqa: B023
        found.append(float(np.sum(cash(n, b))) - best.fun)
    return np.array(found)


class Comparison(NamedTuple):
    """A fit against exact sums: differences of the minima in errors (n,), ratios of errors (n,), of the statistics."""

    pulls: np.ndarray
    ratios: np.ndarray
    rise: float


def compare(
    exact: ExactFit | ExactJointFit, likelihood: Callable, values: np.ndarray, errors: np.ndarray
) -> Comparison:
    """Minima and errors of exact sums and of a likelihood of the same parameters, by the same differences."""
    theirs = newton(exact.statistic, exact.names, values, errors)
    ours = newton(lambda v: float(likelihood(likelihood.from_values(v))), exact.names, values, errors)
    return Comparison(
        (ours.values - theirs.values) / errors, ours.errors / theirs.errors, ours.statistic - theirs.statistic
    )
