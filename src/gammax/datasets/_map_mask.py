"""Masks carried into the numbers of a cube, responses included.

With w[i, p] the mask of reconstructed bin i and pixel p, and m[p] whether any bin of a pixel is in it:

    counts, background x w      exposure x m      edisp[t, i] x w[i] / m (and its exposure x m)

so that exposure x energy dispersion predicts w x npred. Responses have pixels of their own, larger as a rule: there w
and m are the fractions of their area that the mask holds, so that what it cuts is right on the average over a pixel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gammax.irf import EDispKernelMap
from gammax.maps import RegionGeom, WcsNDMap


def masked(dataset: Any, weights: np.ndarray, name: str) -> Any:
    """Dataset with a mask `weights` (bool, shape of its values) in its numbers; mask_safe is that, mask_fit stays."""
    kept = weights.any(axis=0)
    changes: dict[str, Any] = {"mask_safe": dataset._to_map(weights)}
    for field in dataset.counted_fields:
        if (data := getattr(dataset, field)) is not None:
            changes[field] = data.replace(data=np.where(weights, data.values(), 0.0))
    if (exposure := dataset.exposure) is not None:
        changes["exposure"] = exposure.replace(data=np.where(kept, exposure.values(), 0.0))
    return dataset.replace(name=name, **changes, **_masked_responses(dataset, weights))


def _masked_responses(dataset: Any, weights: np.ndarray) -> dict[str, Any]:
    """Fields psf and edisp, where there are any, with a mask in them."""
    changes = {}
    if (psf := dataset.psf) is not None:
        bins, kept = response_weights(dataset, weights, psf.geom)
        if "energy" in psf.geom.axes:
            kept = bins[:, np.newaxis]
        data = psf.psf_map.replace(data=np.where(kept > 0, psf.psf_map.data, 0.0))
        changes["psf"] = psf._with(data, _scaled(psf.exposure_map, kept))
    if (edisp := dataset.edisp) is not None:
        if is_cut_in_energy(weights) and not isinstance(edisp, EDispKernelMap):
            edisp = edisp.to_edisp_kernel_map(dataset.energy_axis)
        share, kept = energy_shares(dataset, weights, edisp.geom)
        share = share if isinstance(edisp, EDispKernelMap) else (kept > 0).astype(float)
        data = edisp.edisp_map.replace(data=edisp.edisp_map.data * share)
        changes["edisp"] = edisp._with(data, _scaled(edisp.exposure_map, kept))
    return changes


def energy_shares(dataset: Any, weights: np.ndarray, geom: Any) -> tuple[np.ndarray, np.ndarray]:
    """Of what a mask holds of the pixels of a response, the part that it holds at each reconstructed energy.

    Returns
    -------
    share : shape (R, ny, nx) of the response, 0 where the mask holds nothing.
    kept : the fraction of each pixel that it holds at any energy, shape (ny, nx).
    """
    bins, kept = response_weights(dataset, weights, geom)
    return np.divide(bins, kept, out=np.zeros(bins.shape), where=kept > 0), kept


def is_cut_in_energy(weights: np.ndarray) -> bool:
    """Whether some pixel is inside a mask at one energy and outside at another."""
    return bool(np.any(weights != weights.any(axis=0)))


def _scaled(exposure: Any, factor: np.ndarray) -> Any:
    return None if exposure is None else exposure.replace(data=exposure.data * factor)


def response_weights(dataset: Any, weights: np.ndarray, geom: Any) -> tuple[np.ndarray, np.ndarray]:
    """Fractions of the pixels of a response that a mask holds.

    Returns
    -------
    bins : for each reconstructed energy, shape (R, ny, nx) of the response.
    kept : for any energy, shape (ny, nx).
    """
    values = np.concatenate([weights, weights.any(axis=0, keepdims=True)]).reshape(len(weights) + 1, -1).astype(float)
    if isinstance(geom, RegionGeom) or not isinstance(dataset.counts, WcsNDMap):
        mean = np.broadcast_to(values.mean(axis=1)[:, np.newaxis, np.newaxis], (len(values), *geom.data_shape[-2:]))
    else:
        mean = _footprint_means(values, dataset.geom.to_image(), geom.to_image())
    return mean[:-1], mean[-1]


def _footprint_means(values: np.ndarray, fine: Any, coarse: Any) -> np.ndarray:
    """Means, shape (n, ny, nx), of values (n, pixels) of an image over the pixels of another.

    A pixel of the image belongs to that one whose centre is nearest. Those that get none take the pixel nearest to
    their own centre.
    """
    nearest = _nearest_pixels(fine, coarse).ravel()
    own = nearest >= 0
    size = coarse.npix[0] * coarse.npix[1]
    number = np.bincount(nearest[own], minlength=size)
    back = _nearest_pixels(coarse, fine).ravel()
    means = np.empty((len(values), size))
    for k, row in enumerate(values):
        total = np.bincount(nearest[own], row[own], minlength=size)
        single = np.where(back >= 0, row[np.maximum(back, 0)], 0.0)
        means[k] = np.where(number > 0, total / np.maximum(number, 1), single)
    return means.reshape(len(values), *coarse.image_shape)


def _nearest_pixels(source: Any, target: Any) -> np.ndarray:
    """Flat number of the pixel of `target` nearest to each pixel of `source`, -1 off the sky."""
    x, y = target.coord_to_pix(source.get_coord()["skycoord"])
    on_sky = np.isfinite(x) & np.isfinite(y)
    nx, ny = target.npix
    column = np.clip(np.floor(np.where(on_sky, x, 0.0) + 0.5), 0, nx - 1).astype(int)
    row = np.clip(np.floor(np.where(on_sky, y, 0.0) + 0.5), 0, ny - 1).astype(int)
    return np.where(on_sky, row * nx + column, -1)
