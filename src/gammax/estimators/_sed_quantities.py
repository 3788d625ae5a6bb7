"""What flux points can hold: names, shapes and units of their quantities."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import numpy as np

from gammax.errors import DataValueError, GeometryError, SchemaError, did_you_mean

# the unit of each kind of spectral energy distribution, on the user's side and in files
SED_UNITS = {
    "dnde": "TeV-1 s-1 cm-2",
    "flux": "s-1 cm-2",
    "eflux": "erg s-1 cm-2",
    "e2dnde": "erg s-1 cm-2",
    "likelihood": "",
}
KINDS = ("dnde", "flux", "eflux", "e2dnde")
SUFFIXES = ("", "_err", "_errp", "_errn", "_ul", "_sensitivity")
NORMS = tuple(f"norm{suffix}" for suffix in SUFFIXES)

BY_DATASET = ("npred", "npred_excess", "counts")
SCANS = ("norm_scan", "stat_scan")
FLAGS = ("is_ul", "success")
TEXTS = ("status",)
# the quantities that are the same in every kind, in the order of the columns of a file
PLAIN = (
    *("ts", "sqrt_ts", "npred", "npred_excess", "stat", "stat_null", "stat_scan", "niter", "is_ul", "counts"),
    *("success", "n_dof", "norm_scan", "status"),
)


def value_name(sed_type: str) -> str:
    """Name of the main column: the kind itself, ``norm`` for "likelihood".

    Raises
    ------
    SchemaError : unknown kind.
    """
    if sed_type not in SED_UNITS:
        raise SchemaError("GX-FLUX-101", f"unknown SED type {sed_type!r}", do=did_you_mean(sed_type, SED_UNITS))
    return "norm" if sed_type == "likelihood" else sed_type


def as_energy(name: str, value: Any, size: int | None = None) -> np.ndarray:
    """Read-only energies [TeV], shape (K,).

    Raises
    ------
    GeometryError : no list of energies, or of another length. DataValueError : an energy that is not positive.
    """
    energy = np.array(value.to_value("TeV") if isinstance(value, u.Quantity) else value, dtype=np.float64)
    if energy.ndim != 1 or energy.size == 0 or size not in (None, energy.size):
        expected = f"({size},)" if size else "(K,) with K > 0"
        raise GeometryError("GX-FLUX-102", f"{name} has the wrong shape", found=energy.shape, expected=expected)
    if np.any(energy <= 0) or np.any(np.isinf(energy)) or (name == "energy_ref" and np.any(np.isnan(energy))):
        raise DataValueError("GX-FLUX-103", f"{name} must be positive and finite", found=f"{energy} TeV")
    energy.setflags(write=False)
    return energy


def as_quantity_array(name: str, value: Any, size: int) -> np.ndarray:
    """Read-only array of a quantity: (K,), or (K, n) for scans and for counts by dataset.

    Raises
    ------
    SchemaError : unknown name. GeometryError : wrong shape. DataValueError : wrong type, a negative error.
    """
    if name not in (*NORMS, *PLAIN):
        raise SchemaError(
            "GX-FLUX-104", f"flux points have no quantity {name!r}", do=did_you_mean(name, (*NORMS, *PLAIN))
        )
    array = np.array(value)
    wanted = "U" if name in TEXTS else "b" if name in FLAGS else "biuf"
    if array.dtype.kind not in wanted:
        raise DataValueError(
            "GX-FLUX-105",
            f"{name} has the wrong type",
            found=array.dtype,
            expected={"U": "text", "b": "bool"}.get(wanted, "real numbers"),
        )
    array = array.astype(np.float64) if wanted == "biuf" else array
    ndim = 2 if name in (*BY_DATASET, *SCANS) else 1
    if array.ndim != ndim or len(array) != size:
        raise GeometryError(
            "GX-FLUX-106",
            f"{name} has the wrong shape",
            found=array.shape,
            expected=(size, "n") if ndim == 2 else (size,),
        )
    if name in ("norm_err", "norm_errp", "norm_errn") and np.any(array < 0):
        raise DataValueError(
            "GX-FLUX-107",
            f"{name} is negative",
            found=f"rows {np.flatnonzero(array < 0).tolist()}",
            do="the errors of flux points are lengths: take their absolute value",
        )
    array.setflags(write=False)
    return array


def as_reference_fluxes(fluxes: dict[str, Any], size: int) -> dict[str, np.ndarray]:
    """Read-only dnde, flux and eflux, each (K,).

    Raises
    ------
    SchemaError : one is missing, or something else is there. GeometryError : wrong shape.
    """
    if set(fluxes) != {"dnde", "flux", "eflux"}:
        raise SchemaError(
            "GX-FLUX-108", "reference_fluxes are not complete", found=", ".join(fluxes), expected="dnde, flux, eflux"
        )
    arrays = {name: np.array(flux, dtype=np.float64) for name, flux in fluxes.items()}
    for name, array in arrays.items():
        if array.shape != (size,):
            raise GeometryError(
                "GX-FLUX-109", f"reference {name} has the wrong shape", found=array.shape, expected=(size,)
            )
        array.setflags(write=False)
    return arrays
