"""Background that the responses expect in the pixels of an image."""

from __future__ import annotations

import numpy as np

from gammax.data import Observation
from gammax.irf import Background2D
from gammax.irf._background import BackgroundBase
from gammax.irf._grid import multilinear
from gammax.makers._background import TINY, divided_edges, filled_in_energy, power_law_integral
from gammax.makers._field_of_view import camera_axes, field_coordinates, unit_vectors
from gammax.makers._responses import require
from gammax.maps import WcsGeom, WcsNDMap


def make_map_background(
    observation: Observation, geom: WcsGeom, oversampling: int = 1, rotation_step: float = 1.0
) -> WcsNDMap:
    """Expected background counts in the pixels and reconstructed energies, dead time not taken off (GADF 0.2).

    The rate is taken at the pixel centres and at the edges of the energy bins, and goes as a power law between them;
    cells of rate 0 between others of the same place are filled by interpolation in the energy. In the outer half of the
    outermost cells it goes on as `BackgroundBase` tells, in a radial background stays that of the centre; beyond it is
    0. All of this is as the peer has it, but for cells whose neighbour has no rate.

    Parameters
    ----------
    geom : image with the axis "energy".
    oversampling : parts (equal in ln E) into which each energy bin is divided.
    rotation_step : largest angle [deg] by which the sky may turn in the field of view of an ALTAZ background between
        the times at which that is looked at.

    Raises
    ------
    SchemaError : there is no background.
    """
    bkg = filled_in_energy(require(observation, "bkg", "leave background out of the selection"))
    axis = geom.axes["energy"]
    edges = divided_edges(axis, oversampling)
    rate = _rate(observation, bkg, edges, unit_vectors(geom.to_image().get_coord()["skycoord"]), rotation_step)
    known = bkg._inside("energy", edges[:-1])
    parts = np.where(known, power_law_integral(edges, rate, TINY * bkg._factor), 0.0)
    counts = parts.reshape(*geom.image_shape, axis.nbin, oversampling).sum(axis=-1)
    factor = np.nan_to_num(geom.solid_angle().value) * float(observation.ontime.to_value("s"))
    return WcsNDMap(geom, np.moveaxis(counts, -1, 0) * factor)


def _rate(
    observation: Observation, bkg: BackgroundBase, energy: np.ndarray, vectors: np.ndarray, rotation_step: float
) -> np.ndarray:
    """Rate [s-1 TeV-1 sr-1] at directions (3, ny, nx) and energies [TeV], averaged over time, shape (ny, nx, n)."""
    nodes, table = bkg._log_table
    # all coordinates are independent: first to the energies, once for all pixels
    at_energies = np.ascontiguousarray(
        np.moveaxis(multilinear(nodes[:1], table, [bkg._scaled("energy", energy)]), 0, -1)
    )
    is_radial = isinstance(bkg, Background2D)
    rate = np.zeros((*vectors.shape[1:], len(energy)))
    for share, axes in camera_axes(observation, "RADEC" if is_radial else bkg.fov_alignment, rotation_step):
        coords = [_offset(bkg, axes[2], vectors)] if is_radial else list(field_coordinates(axes, vectors))
        seen = np.logical_and.reduce([bkg._inside(n, x) for n, x in zip(bkg.axis_names[1:], coords, strict=True)])
        rate[seen] += share * np.exp(multilinear(nodes[1:], at_energies, [x[seen] for x in coords]))
    return np.where(bkg._inside("energy", energy), rate * bkg._factor, 0.0)


def _offset(bkg: BackgroundBase, pointing: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Offsets [deg]; between the outermost nodes and the outer edges the rate stays that of the node."""
    chord = np.linalg.norm(vectors - pointing[:, np.newaxis, np.newaxis], axis=0)
    offset, nodes = np.degrees(2 * np.arcsin(np.minimum(chord / 2, 1))), bkg.axes["offset"].center_value("deg")
    return np.where(bkg._inside("offset", offset), np.clip(offset, nodes[0], nodes[-1]), offset)
