"""Responses of one observation in the pixels of an image: pure functions of DL3 responses and a pointing.

Offsets are distances of the pixel centres (or of the centre of a region) to the pointing direction.
"""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord

from gammax.errors import GeometryError
from gammax.irf import EffectiveAreaTable2D, EnergyDispersion2D
from gammax.irf._edisp_kernel_map import EDispKernelMap
from gammax.irf._edisp_map import THRESHOLD, EDispMap, migra_to_bins
from gammax.irf._grid import multilinear
from gammax.irf._psf_map import PSFMap
from gammax.maps import RegionGeom, RegionNDMap, WcsNDMap
from gammax.units import to_value


def _offsets(geom: Any, pointing: SkyCoord) -> np.ndarray:
    """Offsets [deg] of the pixels, shape (ny, nx)."""
    if isinstance(geom, RegionGeom):
        if geom.center_skydir is None:
            raise GeometryError("GX-MAKERS-070", "a response needs a place on the sky", found=geom)
        return np.array([[float(geom.center_skydir.separation(pointing).deg)]])
    return geom.separation(pointing).to_value("deg")


def _map(geom: Any, data: np.ndarray, unit: str, meta: dict[str, Any] | None = None) -> Any:
    make = RegionNDMap if isinstance(geom, RegionGeom) else WcsNDMap
    return make(geom, data, unit, meta or {})


def _require_axes(geom: Any, *names: str) -> None:
    if geom.axes.names != names:
        raise GeometryError(
            "GX-MAKERS-071", "wrong axes of a response map", found=", ".join(geom.axes.names), expected=", ".join(names)
        )


def make_map_exposure_true_energy(
    pointing: SkyCoord, livetime: Any, aeff: EffectiveAreaTable2D, geom: Any
) -> WcsNDMap | RegionNDMap:
    """Exposure [m2 s]: effective area at the centres of the true energy bins, times `livetime`.

    Parameters
    ----------
    geom : image or region with the axis energy_true, alone or behind an axis of one bin (`squash`).
    livetime : time without dead time.

    Raises
    ------
    GeometryError : other axes, or a region without place.
    """
    seconds = float(to_value(livetime, "s", "livetime"))
    if "energy_true" not in geom.axes or any(axis.nbin > 1 for axis in geom.axes if axis.name != "energy_true"):
        _require_axes(geom, "energy_true")
    offset = np.nan_to_num(_offsets(geom, pointing), nan=np.inf)
    energy = geom.axes["energy_true"].center_value("TeV")[:, np.newaxis, np.newaxis]
    area = aeff.values(energy_true=energy, offset=offset) / 1e4
    meta = {"livetime": str(u.Quantity(seconds, "s")), "is_pointlike": aeff.is_pointlike}
    return _map(geom, (area * seconds).reshape(geom.data_shape), "m2 s", meta)


def make_psf_map(psf: Any, pointing: SkyCoord, geom: Any, exposure_map: Any = None) -> PSFMap:
    """PSF at the centres of rings and true energies, normalised to a running sum of 1 (`PSFMap.normalize`).

    Energies and offsets without density give 0.

    Parameters
    ----------
    psf : DL3 PSF. geom : image or region with the axes (rad, energy_true). exposure_map : over them, rad in one bin.

    Raises
    ------
    GeometryError : other axes, or a region without place.
    """
    _require_axes(geom, "rad", "energy_true")
    offset = np.nan_to_num(_offsets(geom, pointing), nan=np.inf)
    rad = geom.axes["rad"].center_value("deg")[:, np.newaxis, np.newaxis]
    data = np.array(
        [
            psf.values(rad=rad, energy_true=np.asarray(energy), offset=offset)
            for energy in geom.axes["energy_true"].center_value("TeV")
        ]
    )
    return PSFMap(_map(geom, data, "sr-1"), exposure_map).normalize()


def make_edisp_map(edisp: EnergyDispersion2D, pointing: SkyCoord, geom: Any, exposure_map: Any = None) -> EDispMap:
    """Density of migra at the centres of its bins and of the true energies, normalised.

    Energies beyond the table use its last edge, as in `EnergyDispersion2D.to_edisp_kernel`; offsets beyond it, and
    energies without density, give 0.

    Parameters
    ----------
    geom : image or region with the axes (migra, energy_true). exposure_map : over them, migra in one bin.

    Raises
    ------
    GeometryError : other axes, or a region without place.
    """
    _require_axes(geom, "migra", "energy_true")
    offset = np.nan_to_num(_offsets(geom, pointing), nan=np.inf)
    energy = edisp._clipped("energy_true", geom.axes["energy_true"].center_value("TeV"))
    migra = geom.axes["migra"].center_value("")[:, np.newaxis, np.newaxis]
    data = np.array([edisp.values(energy_true=e, migra=migra, offset=offset) for e in energy])
    return EDispMap(_map(geom, data, ""), exposure_map).normalize()


def make_edisp_kernel_map(
    edisp: EnergyDispersion2D, pointing: SkyCoord, geom: Any, exposure_map: Any = None, threshold: float = THRESHOLD
) -> EDispKernelMap:
    """Probabilities of reconstructed bins in every pixel, by the rule of `EnergyDispersion2D.to_edisp_kernel`.

    Parameters
    ----------
    geom : image or region with the axes (energy, energy_true). exposure_map : over them, energy in one bin.
    threshold : smaller probabilities are set to 0.

    Raises
    ------
    GeometryError : other axes, or a region without place.
    """
    _require_axes(geom, "energy", "energy_true")
    offset = np.nan_to_num(_offsets(geom, pointing), nan=np.inf)
    true, migra = geom.axes["energy_true"], edisp.axes["migra"]
    width = np.diff(migra.edges_value(""))
    energy = edisp._scaled("energy_true", edisp._clipped("energy_true", true.center_value("TeV")))
    nodes = [edisp._nodes("energy_true"), edisp._nodes("offset")]
    table = np.moveaxis(edisp.data, 1, 2)
    inside = edisp._inside("offset", offset)
    data = np.zeros((true.nbin, geom.axes["energy"].nbin, *offset.shape))
    # one energy at a time: the densities of all would need hundreds of megabytes
    for t in range(true.nbin):
        density = np.zeros((*offset.shape, migra.nbin))
        density[inside] = np.maximum(multilinear(nodes, table, [energy[t], offset[inside]]), 0.0)
        total = density @ width
        density /= np.where(total > 0, total, 1.0)[..., np.newaxis]
        rows = migra_to_bins(density[np.newaxis], migra, true.slice(slice(t, t + 1)), geom.axes["energy"], threshold)
        data[t] = np.moveaxis(rows[0], -1, 0)
    return EDispKernelMap(_map(geom, data, ""), exposure_map)
