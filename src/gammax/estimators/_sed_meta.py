"""What the gadf-sed layout has no place for, kept as JSON text in the keyword META."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from scipy.special import erf, ndtri

from gammax.errors import DataValueError, GammaxError, SchemaError
from gammax.models import Models, SkyModel, SpectralModel

if TYPE_CHECKING:
    from gammax.estimators._flux_points import FluxPoints


class SedMeta(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Content of META."""

    reference_model: dict[str, Any] | None = None
    reference_fluxes: dict[str, list[float]] | None = None
    dataset_names: list[str] = []
    n_sigma: float = 1.0
    n_sigma_ul: float | None = None
    n_sigma_sensitivity: float | None = None
    meta: dict[str, Any] = {}

    @property
    def has_reference(self) -> bool:
        """Whether it says what norm 1 is."""
        return self.reference_model is not None or self.reference_fluxes is not None


def dump_meta(points: FluxPoints) -> str:
    """JSON text of all that a table has no column for.

    Raises
    ------
    SchemaError : a value that JSON cannot hold.
    """
    model, fluxes = points.reference_model, points.reference_fluxes
    content = SedMeta(
        reference_model=None if model is None else Models([SkyModel(model)]).to_dict()["components"][0]["spectral"],
        reference_fluxes=None if fluxes is None else {key: np.asarray(flux).tolist() for key, flux in fluxes.items()},
        dataset_names=list(points.dataset_names),
        n_sigma=float(points.n_sigma),
        n_sigma_ul=None if points.n_sigma_ul is None else float(points.n_sigma_ul),
        n_sigma_sensitivity=None if points.n_sigma_sensitivity is None else float(points.n_sigma_sensitivity),
        meta=points.meta,
    )
    try:
        return json.dumps({name: getattr(content, name) for name in msgspec.to_builtins(content)})
    except (TypeError, ValueError) as error:
        raise SchemaError(
            "GX-FLUX-121", f"meta cannot be written: {error}", expected="numbers, texts, lists and mappings"
        ) from error


def read_meta(text: Any, file: Any) -> SedMeta:
    """Content of META; empty where there is none.

    Raises
    ------
    SchemaError : it is something else.
    """
    if text is None:
        return SedMeta()
    try:
        return msgspec.convert(json.loads(text), SedMeta)
    except (TypeError, ValueError) as error:
        raise SchemaError(
            "GX-FLUX-126", f"keyword META is not what gammax writes there: {error}", file=file, keyword="META"
        ) from error


def read_model(content: dict[str, Any], file: Any) -> SpectralModel:
    """Spectral model from its mapping.

    Raises
    ------
    SchemaError : a type that is not known here, or a damaged mapping.
    """
    try:
        return Models.from_dict({"components": [{"name": "reference", "spectral": content}]})[0].spectral_model
    except GammaxError as error:
        raise SchemaError(
            "GX-FLUX-133", "the reference model in keyword META cannot be read", file=file, keyword="META",
            found=content.get("type"), do="import the module that defines it, or pass reference_model",
        ) from error  # fmt: skip


def confidence_level(n_sigma: float) -> float:
    """Two-sided confidence level of a number of standard deviations, to 7 digits as the field writes UL_CONF."""
    return float(np.round(erf(n_sigma / np.sqrt(2.0)), 7))


def n_sigma_of(confidence: Any, file: Any) -> float:
    """Number of standard deviations of a confidence level: the roundest number that has it.

    Raises
    ------
    DataValueError : not between 0 and 1.
    """
    if not (isinstance(confidence, int | float) and 0 < confidence < 1):
        raise DataValueError(
            "GX-FLUX-120", "UL_CONF is no confidence level", file=file, keyword="UL_CONF", found=confidence,
            expected="a number between 0 and 1",
        )  # fmt: skip
    exact = float(-ndtri(0.5 * (1.0 - confidence)))
    candidates = [round(exact, digits) for digits in range(4)]
    return next((c for c in candidates if confidence_level(c) == np.round(confidence, 7)), exact)
