"""Cubes on common pixels as one: images of counts and prediction, and their sums over energy in a region."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.signal import fftconvolve
from scipy.special import xlogy

from gammax.datasets import Datasets
from gammax.maps import WcsGeom, WcsNDMap
from gammax.models import Models

# of a pixel
_ALIGNED = 1e-3


@dataclass(frozen=True)
class SkyImages:
    """Sums over cubes inside their masks.

    Attributes
    ----------
    names : of the datasets.
    geom : image that holds all.
    counts, npred : (ny, nx). covered : pixels that any mask holds.
    edges : of reconstructed energy [TeV], (R + 1,).
    on, on_npred, on_background : in the region, (R,); on_bins : energies inside the masks there.
    """

    names: tuple[str, ...]
    geom: WcsGeom
    counts: np.ndarray
    npred: np.ndarray
    covered: np.ndarray
    edges: np.ndarray
    on: np.ndarray
    on_npred: np.ndarray
    on_background: np.ndarray
    on_bins: np.ndarray

    @classmethod
    def of(cls, datasets: Iterable[Any], models: Models | None, region: Any) -> list[Self]:
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
        return [cls._sum(group, models, region) for group in groups]

    @classmethod
    def _sum(cls, group: list[tuple[Any, tuple[int, int]]], models: Models | None, region: Any) -> Self:
        first = group[0][0]
        low = np.min([place for _, place in group], axis=0)
        high = np.max([np.add(place, dataset.geom.npix) for dataset, place in group], axis=0)
        # as many pixels on both sides, out of which `box` cuts what is covered
        margin = np.maximum(np.maximum(-low, high - first.geom.npix), 0)
        geom = first.geom.to_image().pad((int(margin[0]), int(margin[1])))
        counts, npred = np.zeros(geom.image_shape), np.zeros(geom.image_shape)
        covered = np.zeros(geom.image_shape, bool)
        spectra = np.zeros((4, first.energy_axis.nbin))
        for dataset, place in group:
            x, y = np.add(place, margin)
            nx, ny = dataset.geom.npix
            part = np.s_[y : y + ny, x : x + nx]
            mask, total, background = dataset.mask, *_predicted(dataset, models)
            cubes = [np.where(mask, cube, 0.0) for cube in (dataset.counts.data, total, background)]
            counts[part] += cubes[0].sum(axis=0)
            npred[part] += cubes[1].sum(axis=0)
            covered[part] |= mask.any(axis=0)
            inside = np.zeros((ny, nx), bool) if region is None else dataset.geom.to_image().region_mask(region).data
            spectra += [cube[:, inside].sum(axis=1) for cube in (*cubes, mask)]
        on, on_npred, on_background, on_bins = spectra
        names, edges = tuple(dataset.name for dataset, _ in group), first.energy_axis.edges_value("TeV")
        return cls(names, geom, counts, npred, covered, edges, on, on_npred, on_background, on_bins > 0)

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

    def significance(self, radius: float) -> np.ndarray:
        """Residual of the counts within a radius [deg] of each pixel in standard deviations, NaN outside of the masks.

        For more than a few counts it is (counts - prediction) / sqrt(prediction).
        """
        x, y = np.asarray(self.geom.pixel_scales.to_value("deg"))
        rows, columns = (np.arange(-int(radius / size), int(radius / size) + 1) * size for size in (y, x))
        disk = (np.hypot(rows[:, np.newaxis], columns) <= radius).astype(float)
        # counts are whole numbers, and a convolution by Fourier transforms knows zero to 1e-12 only
        counts = np.round(fftconvolve(self.counts, disk, mode="same"), 6)
        npred = fftconvolve(self.npred, disk, mode="same")
        return np.where(self.covered, signed_root(counts, npred), np.nan)


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
