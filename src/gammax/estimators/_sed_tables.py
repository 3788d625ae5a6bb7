"""The gadf-sed layout: flux points as a table and back.

https://gamma-astro-data-formats.readthedocs.io/en/latest/spectra/flux_points/index.html
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import Column, Table

from gammax.errors import GammaxWarning, SchemaError
from gammax.estimators._flux_points import FluxPoints
from gammax.estimators._sed_columns import read_flags, read_texts, read_values
from gammax.estimators._sed_meta import SedMeta, confidence_level, dump_meta, n_sigma_of, read_meta, read_model
from gammax.estimators._sed_quantities import (
    BY_DATASET,
    FLAGS,
    KINDS,
    PLAIN,
    SCANS,
    SED_UNITS,
    SUFFIXES,
    TEXTS,
    value_name,
)
from gammax.models import PowerLawSpectralModel, SpectralModel
from gammax.units import parse_unit, unit_string

_ENERGIES = ("e_ref", "e_min", "e_max")
_REFERENCES = {"ref_dnde": "TeV-1 s-1 cm-2", "ref_flux": "s-1 cm-2", "ref_eflux": "TeV s-1 cm-2"}
_REQUIRED = {
    "dnde": ("e_ref", "dnde"),
    "e2dnde": ("e_ref", "e2dnde"),
    "flux": ("e_min", "e_max", "flux"),
    "eflux": ("e_min", "e_max", "eflux"),
    "likelihood": (*_ENERGIES, *_REFERENCES, "norm"),
}
# the user's line, seen from a function that `points_from_table` calls on behalf of `FluxPoints.read`
_STACK = 5


def points_to_table(points: FluxPoints, sed_type: str, formatted: bool) -> Table:
    """See `FluxPoints.to_table`."""
    name, unit = value_name(sed_type), SED_UNITS[sed_type]
    confidence = {} if points.n_sigma_ul is None else {"UL_CONF": confidence_level(points.n_sigma_ul)}
    table = Table(meta={"SED_TYPE": sed_type, **confidence, "META": dump_meta(points)})
    for energy in _ENERGIES if points.has_energy_range else ("e_ref",):
        table[energy] = _column(getattr(points, energy), points.energy_unit)
    if sed_type == "likelihood":
        for kind in ("dnde", "flux", "eflux"):
            table[f"ref_{kind}"] = _column(getattr(points, f"{kind}_ref"), SED_UNITS[kind])
    for suffix in SUFFIXES:
        if f"norm{suffix}" in points.quantities:
            table[f"{name}{suffix}"] = _column(getattr(points, f"{name}{suffix}"), unit)
    derived = {"is_ul"} if "norm_ul" in points.quantities else set()
    derived |= {"sqrt_ts"} if "ts" in points.quantities else set()
    for plain in PLAIN:
        if plain in points.quantities or plain in derived:
            table[plain] = Column(getattr(points, plain))
    if formatted:
        for column in table.columns.values():
            column.format = _number_format(column)
    return table


def _column(quantity: u.Quantity, unit: str) -> np.ndarray:
    return Column(quantity.to_value(parse_unit(unit)), unit=unit_string(unit) if unit else None)


def _number_format(column: Column) -> str | None:
    if column.dtype.kind != "f":
        return None
    return ".4g" if column.name in _ENERGIES else ".3e" if column.unit else ".3f"


def points_from_table(
    table: Table, sed_type: str | None, reference_model: SpectralModel | None, file: Any = None
) -> FluxPoints:
    """See `FluxPoints.from_table`; `file` is for messages."""
    table = Table(table, copy=False)
    keywords = dict(table.meta or {})
    sed_type = _sed_type(table, sed_type or keywords.get("SED_TYPE"), file)
    meta = read_meta(keywords.get("META"), file)
    n_sigma_ul = meta.n_sigma_ul
    if n_sigma_ul is None and keywords.get("UL_CONF") is not None:
        n_sigma_ul = n_sigma_of(keywords["UL_CONF"], file)
    # norms of 1 first: the points know their reference fluxes, which turn the columns into norms
    points = FluxPoints(
        **_read_energies(table, file),
        **_reference(table, sed_type, meta, reference_model, file),
        quantities={"norm": np.ones(len(table))},
        dataset_names=tuple(meta.dataset_names),
        n_sigma=meta.n_sigma,
        n_sigma_ul=n_sigma_ul,
        n_sigma_sensitivity=meta.n_sigma_sensitivity,
        meta=meta.meta,
    )
    name, unit = value_name(sed_type), SED_UNITS[sed_type]
    reference = 1.0 if sed_type == "likelihood" else getattr(points, f"{sed_type}_ref").value
    quantities = {
        f"norm{suffix}": read_values(table, f"{name}{suffix}", unit, file) / reference
        for suffix in SUFFIXES
        if f"{name}{suffix}" in table.colnames
    }
    knows_norm = sed_type == "likelihood" or meta.has_reference or reference_model is not None
    quantities |= _read_plain(table, knows_norm, file)
    _warn_unread(table, sed_type, file)
    return replace(points, quantities=quantities)


def _sed_type(table: Table, chosen: str | None, file: Any) -> str:
    """Kind of the table, guessed from its columns where it is not given, with all its columns there."""
    for name in ("time_min", "x_min"):
        if name in table.colnames:
            raise SchemaError(
                "GX-FLUX-122", "not the flux points of one spectrum but a light curve or a profile", file=file,
                column=name,
            )  # fmt: skip
    if chosen is None:
        chosen = next((kind for kind, names in _REQUIRED.items() if set(names) <= set(table.colnames)), None)
    if chosen is None:
        raise SchemaError(
            "GX-FLUX-123", "cannot tell which SED type the table has", file=file, found=", ".join(table.colnames),
            expected="; or ".join(map(", ".join, _REQUIRED.values())), do="rename the columns, or add what is missing",
        )  # fmt: skip
    value_name(chosen)
    for name in _REQUIRED[chosen]:
        if name not in table.colnames:
            raise SchemaError(
                "GX-FLUX-124", f"column {name} is missing", file=file, column=name, found=", ".join(table.colnames),
                expected=", ".join(_REQUIRED[chosen]), sed_type=chosen,
            )  # fmt: skip
    if len(table) == 0:
        raise SchemaError("GX-FLUX-125", "the table has no rows", file=file)
    return chosen


def _read_energies(table: Table, file: Any) -> dict[str, Any]:
    """Energies [TeV], and the unit that they have in the table."""
    found = {name: read_values(table, name, "TeV", file) for name in _ENERGIES if name in table.colnames}
    energies = {f"energy_{name[2:]}": found.get(name, np.full(len(table), np.nan)) for name in _ENERGIES}
    if "e_ref" not in found:
        energies["energy_ref"] = np.sqrt(energies["energy_min"] * energies["energy_max"])
    return {**energies, "energy_unit": unit_string(table[next(iter(found))].unit)}


def _reference(table: Table, sed_type: str, meta: SedMeta, given: SpectralModel | None, file: Any) -> dict[str, Any]:
    """Reference model, or reference fluxes where only those are known."""
    if given is not None:
        return {"reference_model": given}
    if meta.reference_fluxes is not None:
        return {"reference_model": None, "reference_fluxes": meta.reference_fluxes}
    if meta.reference_model is not None:
        return {"reference_model": read_model(meta.reference_model, file)}
    if sed_type == "likelihood":
        fluxes = {name[4:]: read_values(table, name, unit, file) for name, unit in _REFERENCES.items()}
        return {"reference_model": None, "reference_fluxes": fluxes}
    return {"reference_model": PowerLawSpectralModel(index=2.0)}


def _read_plain(table: Table, knows_norm: bool, file: Any) -> dict[str, np.ndarray]:
    """The columns that are the same in every kind."""
    names = [name for name in PLAIN if name in table.colnames]
    if not knows_norm and "norm_scan" in names:
        warnings.warn(
            f"GX-FLUX-127 {file or 'table'}: norm_scan and stat_scan are left out: their norms belong to a reference "
            "model that the table does not hold; pass reference_model to keep them",
            GammaxWarning,
            stacklevel=_STACK,
        )
        names = [name for name in names if name not in SCANS]
    read = {}
    for name in names:
        if name in FLAGS:
            read[name] = read_flags(table, name, file)
        elif name in TEXTS:
            read[name] = read_texts(table, name)
        else:
            read[name] = read_values(table, name, "", file)
        if name in BY_DATASET and read[name].ndim == 1:
            read[name] = read[name][:, np.newaxis]
    return read


def _warn_unread(table: Table, sed_type: str, file: Any) -> None:
    """Columns of other kinds are as well known as those that were read; anything else is worth a word."""
    known = {*_ENERGIES, *PLAIN, *(f"{kind}{suffix}" for kind in (*KINDS, "norm") for suffix in SUFFIXES)}
    known |= {*_REFERENCES} if sed_type == "likelihood" else set()
    unread = [name for name in table.colnames if name not in known]
    if unread:
        warnings.warn(
            f"GX-FLUX-132 {file or 'table'}: columns not read: {', '.join(unread)}", GammaxWarning, stacklevel=_STACK
        )
