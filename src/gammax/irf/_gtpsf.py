"""PSF files of the Fermi tool gtpsf: tables PSF (energy, exposure, density) and THETA (distance to the source)."""

from __future__ import annotations

import numpy as np
from astropy.io import fits

from gammax._fits import file_of, get_column, get_hdu
from gammax.errors import SchemaError
from gammax.maps import MapAxis, RegionGeom, RegionNDMap
from gammax.maps._columns import column_unit

# the tool writes no units, or these
_UNITS = {"Energy": "MeV", "Exposure": "cm2 s", "Psf": "sr-1", "Theta": "deg"}


def _column(hdu: fits.BinTableHDU, name: str, file: str | None) -> np.ndarray:
    values = np.asarray(get_column(hdu, name, None, file), float)
    return get_column(hdu, name, _UNITS[name], file) if column_unit(hdu, name, file) else values


def read_gtpsf(hdus: fits.HDUList) -> tuple[RegionNDMap, RegionNDMap]:
    """Density and exposure, for all positions, at the nodes of the file.

    Raises
    ------
    SchemaError : HDU or column missing. UnitError, DataValueError : as for every table and axis.
    """
    file = file_of(hdus)
    table, theta = get_hdu(hdus, "PSF"), get_hdu(hdus, "THETA")
    rad = MapAxis.from_nodes(_column(theta, "Theta", file), "rad", "lin", _UNITS["Theta"])
    energy = MapAxis.from_nodes(_column(table, "Energy", file), "energy_true", "log", _UNITS["Energy"])
    geom = RegionGeom(None, (rad, energy))
    psf = _column(table, "Psf", file)
    if psf.shape != (energy.nbin, rad.nbin):
        raise SchemaError(
            "GX-IRF-131", "the tables do not fit", file=file, found=psf.shape, expected=(energy.nbin, rad.nbin)
        )
    exposure = _column(table, "Exposure", file).reshape(energy.nbin, 1, 1, 1)
    return (
        RegionNDMap(geom, psf[..., np.newaxis, np.newaxis], _UNITS["Psf"]),
        RegionNDMap(geom.squash("rad"), exposure, _UNITS["Exposure"]),
    )


def gtpsf_hdus(psf: RegionNDMap, exposure: RegionNDMap) -> list[fits.BinTableHDU]:
    """Tables of a density and its exposure; inverse of `read_gtpsf`."""
    rad, energy = psf.geom.axes["rad"], psf.geom.axes["energy_true"]
    values = {
        "Energy": energy.center_value(_UNITS["Energy"]),
        "Exposure": exposure.values(_UNITS["Exposure"])[:, 0],
        "Psf": psf.values(_UNITS["Psf"]),
    }
    columns = [
        fits.Column(name, f"{column[0].size}D", unit=_UNITS[name], array=column) for name, column in values.items()
    ]
    theta = fits.Column("Theta", "D", unit=_UNITS["Theta"], array=rad.center_value(_UNITS["Theta"]))
    return [
        fits.BinTableHDU.from_columns(columns, name="PSF"),
        fits.BinTableHDU.from_columns([theta], name="THETA"),
    ]
