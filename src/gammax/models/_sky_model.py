"""A source: its spectrum, and the datasets that it is seen in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx

from gammax.errors import ModelError
from gammax.models._spectral import SpectralModel


class SkyModel(eqx.Module):
    """A source with a spectrum.

    Parameters
    ----------
    spectral_model : its flux.
    name : how tables, files and datasets call it.
    datasets_names : the datasets it is seen in; None for all.

    Raises
    ------
    ModelError : the spectral model is none, or is a factor without flux; the name is empty.
    """

    spectral_model: SpectralModel
    name: str = eqx.field(static=True)
    datasets_names: tuple[str, ...] | None = eqx.field(static=True)

    def __init__(
        self, spectral_model: SpectralModel, name: str = "source", datasets_names: str | Sequence[str] | None = None
    ):
        if not isinstance(spectral_model, SpectralModel):
            raise ModelError("GX-MODEL-007", "not a spectral model", found=type(spectral_model).__name__, model=name)
        if not spectral_model.unit:
            raise ModelError(
                "GX-MODEL-012",
                "a norm model alone has no flux",
                found=type(spectral_model).__name__,
                do="multiply it with a model that has",
                model=name,
            )
        if not name:
            raise ModelError("GX-MODEL-013", "a model needs a name")
        self.spectral_model, self.name = spectral_model, str(name)
        one = isinstance(datasets_names, str)
        self.datasets_names = None if datasets_names is None else (datasets_names,) if one else tuple(datasets_names)

    def applies_to(self, dataset_name: str) -> bool:
        """Whether the source is seen in the dataset of that name."""
        return self.datasets_names is None or dataset_name in self.datasets_names

    def replace(self, **changes: Any) -> SkyModel:
        """Model with another `spectral_model`, `name` or `datasets_names`."""
        fields = {"spectral_model": self.spectral_model, "name": self.name, "datasets_names": self.datasets_names}
        return SkyModel(**{**fields, **changes})

    def __repr__(self) -> str:
        where = "" if self.datasets_names is None else f", datasets_names={list(self.datasets_names)}"
        return f"SkyModel({self.name!r}: {self.spectral_model!r}{where})"
