"""A source: its spectrum, its shape, and the datasets that it is seen in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.units import Unit

from gammax.errors import ModelError, did_you_mean
from gammax.maps import WcsGeom, WcsNDMap
from gammax.models._declared import DeclaredModel
from gammax.models._parameter import Parameter
from gammax.models._spatial import SpatialModel
from gammax.models._spectral import SpectralModel
from gammax.units import same_dimension

IRFS = ("exposure", "psf", "edisp")


def dataset_names(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Names of datasets as a tuple; None for all."""
    return None if given is None else (given,) if isinstance(given, str) else tuple(given)


class Component(eqx.Module):
    """What all members of `Models` share: a name, datasets, and parts with parameters."""

    tag: ClassVar[tuple[str, ...]] = ()

    spectral_model: eqx.AbstractVar[SpectralModel]
    spatial_model: eqx.AbstractVar[SpatialModel | None]
    name: eqx.AbstractVar[str]
    datasets_names: eqx.AbstractVar[tuple[str, ...] | None]

    def _fields(self) -> dict[str, Any]:
        """What the model is made from."""
        raise NotImplementedError

    @property
    def parts(self) -> dict[str, DeclaredModel]:
        """Spectral and spatial model, by "spectral" and "spatial"."""
        parts = {"spectral": self.spectral_model, "spatial": self.spatial_model}
        return {kind: part for kind, part in parts.items() if part is not None}

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, spectral ones first."""
        return tuple(p for part in self.parts.values() for p in part.parameters)

    def applies_to(self, dataset_name: str) -> bool:
        """Whether the model is seen in the dataset of that name."""
        return self.datasets_names is None or dataset_name in self.datasets_names

    def replace(self, **changes: Any) -> Any:
        """Model with some of what it is made from changed: `spectral_model`, `spatial_model`, `name` ...

        Raises
        ------
        ModelError : a name that the model is not made from.
        """
        fields = self._fields()
        for name in changes:
            if name not in fields:
                raise ModelError(
                    "GX-MODEL-054", f"{type(self).__name__} has no {name!r}", do=did_you_mean(name, fields)
                )
        return type(self)(**{**fields, **changes})

    def freeze(self, model_type: str | None = None) -> Any:
        """Model with the parameters of one part ("spectral" or "spatial"; all by default) held fixed in fits."""
        return self._with_parts(model_type, lambda part: part.freeze())

    def unfreeze(self, model_type: str | None = None) -> Any:
        """Model with the parameters of one part (all by default) free or frozen as their classes declare them."""
        return self._with_parts(model_type, lambda part: part.with_default_state())

    def _with_parts(self, model_type: str | None, change: Any) -> Any:
        if model_type not in (None, "spectral", "spatial"):
            raise ModelError("GX-MODEL-055", "unknown model_type", found=model_type, expected="spectral or spatial")
        chosen = {kind: part for kind, part in self.parts.items() if model_type in (None, kind)}
        return self.replace(**{f"{kind}_model": change(part) for kind, part in chosen.items() if part.parameters})

    def __repr__(self) -> str:
        where = "" if self.datasets_names is None else f", datasets_names={list(self.datasets_names)}"
        what = " x ".join(repr(part) for part in self.parts.values())
        return f"{type(self).__name__}({self.name!r}: {what}{where})"


class SkyModel(Component):
    """A source: spectrum times shape.

    Parameters
    ----------
    spectral_model : its flux; a norm model where the spatial model is a template of flux.
    name : how tables, files and datasets call it.
    datasets_names : the datasets it is seen in; None for all.
    spatial_model : its shape; None in spectra of a region alone.
    apply_irf : responses that it is seen through, ``{"psf": False}``; the others apply.
    temporal_model : none yet.

    Raises
    ------
    ModelError : parts that are none, or whose product is no flux; the name is empty.
    """

    tag: ClassVar = ("sky-model",)

    spectral_model: SpectralModel
    spatial_model: SpatialModel | None
    name: str = eqx.field(static=True)
    datasets_names: tuple[str, ...] | None = eqx.field(static=True)
    _off: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        spectral_model: SpectralModel,
        name: str = "source",
        datasets_names: str | Sequence[str] | None = None,
        *,
        spatial_model: SpatialModel | None = None,
        apply_irf: Mapping[str, bool] | None = None,
        temporal_model: None = None,
    ):
        if not isinstance(spectral_model, SpectralModel):
            raise ModelError("GX-MODEL-007", "not a spectral model", found=type(spectral_model).__name__, model=name)
        if spatial_model is not None and not isinstance(spatial_model, SpatialModel):
            raise ModelError("GX-MODEL-056", "not a spatial model", found=type(spatial_model).__name__, model=name)
        if temporal_model is not None:
            raise ModelError("GX-MODEL-057", "temporal models are not supported", model=name)
        if not isinstance(name, str) or not name:
            raise ModelError(
                "GX-MODEL-013", "a model needs a name", found=repr(name), do="spatial_model=... by keyword"
            )
        for irf in apply_irf or ():
            if irf not in IRFS:
                raise ModelError("GX-MODEL-058", f"no response {irf!r}", model=name, do=did_you_mean(irf, IRFS))
        self.spectral_model, self.spatial_model, self.name = spectral_model, spatial_model, name
        self.datasets_names = dataset_names(datasets_names)
        self._off = tuple(irf for irf in IRFS if not (apply_irf or {}).get(irf, True))
        self._check_unit()

    def _check_unit(self) -> None:
        unit, flux = Unit(self.spectral_model.unit), "TeV-1 s-1 cm-2" if "exposure" not in self._off else "TeV-1"
        if self.spatial_model is not None:
            unit = unit * Unit(self.spatial_model.unit) * Unit("sr")
        if same_dimension(unit.to_string(), flux):
            return
        if not self.spectral_model.unit:
            raise ModelError(
                "GX-MODEL-012",
                "a norm model alone has no flux",
                found=type(self.spectral_model).__name__,
                do="multiply it with a model that has",
                model=self.name,
            )
        raise ModelError(
            "GX-MODEL-059", "the parts make no flux", found=unit.to_string(), expected=flux, model=self.name
        )

    def _fields(self) -> dict[str, Any]:
        return {
            "spectral_model": self.spectral_model,
            "spatial_model": self.spatial_model,
            "name": self.name,
            "datasets_names": self.datasets_names,
            "apply_irf": self.apply_irf,
        }

    @property
    def apply_irf(self) -> dict[str, bool]:
        """For "exposure", "psf" and "edisp": whether the source is seen through it."""
        return {irf: irf not in self._off for irf in IRFS}

    @property
    def position(self) -> SkyCoord | None:
        """Centre of the spatial model."""
        return None if self.spatial_model is None else self.spatial_model.position

    @property
    def frame(self) -> str | None:
        """Frame of the spatial model."""
        return None if self.spatial_model is None else self.spatial_model.frame

    @property
    def evaluation_radius(self) -> float | None:
        """Radius [deg] that holds practically all of the source."""
        return None if self.spatial_model is None else self.spatial_model.evaluation_radius

    def integrate_geom(self, geom: WcsGeom, oversampling_factor: int | None = None) -> WcsNDMap:
        """Flux [cm-2 s-1] in every pixel and bin of the axis ``energy_true``; see `SpatialModel.integrate_geom`.

        Raises
        ------
        ModelError : no spatial model.
        """
        if self.spatial_model is None:
            raise ModelError("GX-MODEL-060", "the source has no spatial model", model=self.name)
        axis = geom.axes["energy_true"]
        flux = self.spectral_model.integral(axis.edges_min, axis.edges_max)
        shape = self.spatial_model.integrate_geom(geom, oversampling_factor)
        product = flux[:, None, None] * shape.quantity
        unit = "cm-2 s-1" if "exposure" not in self._off else ""
        return WcsNDMap(geom.to_image().to_cube([axis]), np.asarray(product.to_value(unit)), unit)
