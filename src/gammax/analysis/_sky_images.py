"""Cubes on common pixels as one: images of counts and prediction, and their sums in regions over energy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.signal import fftconvolve
from scipy.special import xlogy

from gammax.datasets import Datasets
from gammax.maps import WcsGeom, WcsNDMap
from gammax.models import Models

# of a pixel
_ALIGNED = 1e-3


class RegionSums(NamedTuple):
    """Sums in a region for each reconstructed energy, (R,); `bins` : energies that the masks hold there."""

    counts: np.ndarray
    npred: np.ndarray
    background: np.ndarray
    bins: np.ndarray


@dataclass(frozen=True)
class SkyImages:
    """Sums over cubes inside their masks.

    Attributes
    ----------
    names : of the datasets.
    geom : image that holds all.
    counts, npred, background : (ny, nx). covered : pixels that any mask holds.
    edges : of reconstructed energy [TeV], (R + 1,).
    regions : sums in each of the regions.
    """

    names: tuple[str, ...]
    geom: WcsGeom
    counts: np.ndarray
    npred: np.ndarray
    background: np.ndarray
    covered: np.ndarray
    edges: np.ndarray
    regions: tuple[RegionSums, ...]

    @classmethod
    def of(cls, datasets: Iterable[Any], models: Models | None, regions: Sequence[Any] = ()) -> list[Self]:
        """Images of cubes; those whose pixels or energies do not match are kept apart."""
        groups: list[list[tuple[Any, tuple[int, int]]]] = []
        for dataset in datasets:
            for group in groups:
                place = _offset(group[0][0], dataset)
                if place is not None:
                    group.append((dataset, place))
                    break
            else:
                groups.append([(dataset, (0, 0))])
        return [cls._sum(group, models, regions) for group in groups]

    @classmethod
    def _sum(cls, group: list[tuple[Any, tuple[int, int]]], models: Models | None, regions: Sequence[Any]) -> Self:
        first = group[0][0]
        low = np.min([place for _, place in group], axis=0)
        high = np.max([np.add(place, dataset.geom.npix) for dataset, place in group], axis=0)
        # as many pixels on both sides, out of which `box` cuts what is covered
        margin = np.maximum(np.maximum(-low, high - first.geom.npix), 0)
        geom = first.geom.to_image().pad((int(margin[0]), int(margin[1])))
        images = np.zeros((3, *geom.image_shape))
        covered = np.zeros(geom.image_shape, bool)
        spectra = np.zeros((len(regions), 4, first.energy_axis.nbin))
        for dataset, place in group:
            x, y = np.add(place, margin)
            nx, ny = dataset.geom.npix
            part = np.s_[y : y + ny, x : x + nx]
            mask, total, background = dataset.mask, *_predicted(dataset, models)
            cubes = np.where(mask, [dataset.counts.data, total, background], 0.0)
            images[(slice(None), *part)] += cubes.sum(axis=1)
            covered[part] |= mask.any(axis=0)
            for k, region in enumerate(regions):
                inside = dataset.geom.to_image().region_mask(region).data
                spectra[k] += [cube[:, inside].sum(axis=1) for cube in (*cubes, mask)]
        names, edges = tuple(dataset.name for dataset, _ in group), first.energy_axis.edges_value("TeV")
        sums = tuple(RegionSums(*values[:3], values[3] > 0) for values in spectra)
        return cls(names, geom, *images, covered, edges, sums)

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of the pixels that are covered; all where none is."""
        rows, columns = (np.flatnonzero(self.covered.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return slice(0, self.covered.shape[0]), slice(0, self.covered.shape[1])
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)

    def smoothed(self, sigma: float) -> tuple[WcsNDMap, WcsNDMap]:
        """Counts and prediction smoothed with a Gaussian [deg], as means over the pixels that are covered."""
        images = [
            WcsNDMap(self.geom, image.astype(float)).smooth(f"{sigma} deg", mode="constant")
            for image in (self.counts, self.npred, self.covered)
        ]
        weight = np.where(self.covered, images[2].data, 1.0)
        counts, npred = (image.replace(data=np.where(self.covered, image.data / weight, 0.0)) for image in images[:2])
        return counts, npred

    def significance(self, radius: float, image: str = "counts", above: str = "npred") -> np.ndarray:
        """Difference of two images in standard deviations, both summed within a radius [deg] of each pixel.

        NaN outside of the masks. For more than a few counts it is (counts - prediction) / sqrt(prediction).
        """
        x, y = np.asarray(self.geom.pixel_scales.to_value("deg"))
        rows, columns = (np.arange(-int(radius / size), int(radius / size) + 1) * size for size in (y, x))
        disk = (np.hypot(rows[:, np.newaxis], columns) <= radius).astype(float)
        sums = [fftconvolve(getattr(self, name), disk, mode="same") for name in (image, above)]
        # counts are whole numbers, and a convolution by Fourier transforms knows zero to 1e-12 only
        sums[0] = np.round(sums[0], 6)
        return np.where(self.covered, signed_root(*sums), np.nan)


def signed_root(counts: np.ndarray, npred: np.ndarray) -> np.ndarray:
    """Residuals in standard deviations: sign(n - mu) sqrt(Cash statistic above its minimum)."""
    npred = np.maximum(npred, 1e-9)
    stat = 2.0 * (npred - counts + xlogy(counts, counts / npred))
    return np.sign(counts - npred) * np.sqrt(np.maximum(stat, 0.0))


def cubes_of(datasets: Datasets) -> Datasets:
    """The datasets that are cubes of an image."""
    return Datasets(dataset for dataset in datasets if isinstance(dataset.counts, WcsNDMap))


def _predicted(dataset: Any, models: Models | None) -> tuple[np.ndarray, np.ndarray]:
    """Predicted counts, all and of the background; of ON-OFF cubes the background as measured."""
    background = dataset.background if dataset.stat_type == "wstat" else dataset.npred_background(models)
    signal = 0.0 if models is None else dataset.npred_signal(models).data
    return background.data + signal, background.data


def _offset(first: Any, other: Any) -> tuple[int, int] | None:
    """Column and row of the first pixel of one cube in another's image; None where pixels or energies differ."""
    if not first.energy_axis.is_allclose(other.energy_axis):
        return None
    nx, ny = other.geom.npix
    x, y = first.geom.to_image().coord_to_pix(
        other.geom.to_image().pix_to_coord(([0, nx - 1], [0, ny - 1]))["skycoord"]
    )
    column, row = int(np.round(x[0])), int(np.round(y[0]))
    expected = [[column, column + nx - 1], [row, row + ny - 1]]
    return (column, row) if np.allclose([x, y], expected, rtol=0.0, atol=_ALIGNED) else None
