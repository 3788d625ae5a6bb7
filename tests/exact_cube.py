"""Point sources in cubes by brute force: the table of the PSF summed over many points of every pixel.

The oracle of the parity tests: no mixture of Gaussians, no splitting over pixels, no kernel, no truncation. It takes
from gammax what it reads files with, and the integrals of spectra.
"""

from dataclasses import dataclass, field

import numpy as np
from astropy.coordinates import SkyCoord

from gammax.folding import total_flux
from gammax.models import n_panels
from gammax.stats import cash

# points per pixel and direction: in the middle of the PSF, near it, and beyond; pixels that each reaches
POINTS = ((81, 1), (31, 4), (9, 10), (3, 10**6))


@dataclass
class ExactPoint:
    """A point source near an anchor in a cube, exposure taken at the reconstructed position, as the peer has it."""

    dataset: object
    anchor: SkyCoord
    spectrum: object
    half: int = 60
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

    def fractions(self, lon, lat):
        """Fractions of the source in the pixels about it, (T, ny, nx)."""
        key = (round(lon, 12), round(lat, 12))
        if key not in self.kept:
            self.kept[key] = self._fractions(SkyCoord(lon, lat, unit="deg", frame=self.anchor.frame.name))
        return self.kept[key]

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
        basis = self.fractions(lon, lat) * self.exposure
        counts[:, self.rows, self.columns] = np.einsum("rt,tyx->ryx", self.response * flux, basis)
        return counts


@dataclass
class ExactFit:
    """-2 ln L of a cube with an exact point source and backgrounds that are scaled, and its minimum nearby.

    Parameters
    ----------
    names : of the parameters: of the spectrum, "lon_0", "lat_0", then one per background.
    backgrounds : predicted counts for a norm of 1, (R, ny, nx) each.
    """

    point: ExactPoint
    names: list
    backgrounds: list

    def __post_init__(self):
        arrays = self.point.dataset.arrays
        self.mask, self.counts = arrays.mask, arrays.counts[arrays.mask]
        self.masked = [background[arrays.mask] for background in self.backgrounds]
        self.split = len(self.names) - len(self.backgrounds)

    def statistic(self, values):
        source = dict(zip(self.names[: self.split], map(float, values[: self.split]), strict=True))
        lon, lat = source.pop("lon_0"), source.pop("lat_0")
        mu = self.point.signal(source, lon, lat)[self.mask]
        for norm, background in zip(values[self.split :], self.masked, strict=True):
            mu = mu + norm * background
        return float(np.sum(cash(self.counts, mu)))

    def newton(self, values, errors, step=0.1):
        """One Newton step from differences: values of the minimum, their errors, and the statistic there."""
        n, unit = len(values), np.diag(step * np.asarray(errors))
        here = self.statistic(values)
        up = np.array([self.statistic(values + unit[i]) for i in range(n)])
        down = np.array([self.statistic(values - unit[i]) for i in range(n)])
        slope, curvature = (up - down) / 2 / step, np.diag(up - 2 * here + down) / step**2
        for i in range(n):
            for j in range(i):
                corners = self.statistic(values + unit[i] + unit[j]) + self.statistic(values - unit[i] - unit[j])
                mixed = (corners - up[i] - up[j] + 2 * here - down[i] - down[j]) / 2 / step**2
                curvature[i, j] = curvature[j, i] = mixed
        shift = -np.linalg.solve(curvature, slope)
        covariance = np.linalg.inv(curvature / 2)
        return values + shift * errors, np.sqrt(np.diag(covariance)) * errors, here + slope @ shift / 2
