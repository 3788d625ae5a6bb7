"""A list of sources and backgrounds, their parameters by name, and the covariance that a fit has given them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.units import Quantity

from gammax.errors import ModelError, did_you_mean
from gammax.models._background import FoVBackgroundModel
from gammax.models._parameter import Parameter, is_parameter
from gammax.models._selection import selection_mask
from gammax.models._sky_model import Component, SkyModel
from gammax.units import same_dimension


class Models(eqx.Module):
    """Sources and backgrounds that are fitted together, in order, found by index or by name.

    Parameters
    ----------
    models : `SkyModel`, `FoVBackgroundModel`, `TemplateNPredModel`; names must differ.
    covariance : of all parameters in their own units, shape (P, P), in the order of `parameters`; None before a fit.

    Raises
    ------
    ModelError : two models of one name, a link between parameters of different units, a covariance of wrong shape.
    """

    models: tuple[Any, ...]
    covariance: np.ndarray | None

    def __init__(self, models: Component | Iterable[Component] = (), covariance: np.ndarray | None = None):
        self.models = (models,) if isinstance(models, Component) else tuple(models)
        for model in self.models:
            if not isinstance(model, Component):
                raise ModelError(
                    "GX-MODEL-032",
                    "not a sky model",
                    found=type(model).__name__,
                    do="wrap a spectral model: SkyModel(spectral_model, name=...)",
                )
        twice = [name for name, times in Counter(self.names).items() if times > 1]
        if twice:
            raise ModelError("GX-MODEL-014", "two models have the same name", found=twice[0])
        self.models = _share_links(self.models)
        size = len(self.parameters)
        self.covariance = None if covariance is None else np.asarray(covariance, dtype=np.float64)
        if self.covariance is not None and self.covariance.shape != (size, size):
            raise ModelError(
                "GX-MODEL-015", "covariance of the wrong shape", found=self.covariance.shape, expected=(size, size)
            )

    # -- a sequence -------------------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the models."""
        return tuple(model.name for model in self.models)

    def __len__(self) -> int:
        return len(self.models)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.models)

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, str):
            if key not in self.names:
                raise ModelError("GX-MODEL-016", f"no model named {key!r}", do=did_you_mean(key, self.names))
            return self.models[self.names.index(key)]
        return self.models[key]

    def __add__(self, other: Component | Iterable[Component]) -> Models:
        return Models([*self.models, *Models(other).models])

    def replace(self, model: Component) -> Models:
        """Models with the one of the same name exchanged; the covariance is dropped.

        Raises
        ------
        ModelError : no model of that name.
        """
        place = self.names.index(self[model.name].name)
        return Models([*self.models[:place], model, *self.models[place + 1 :]])

    # -- selections -------------------------------------------------------------------------------------------------

    @property
    def sky_models(self) -> Models:
        """The sources."""
        return self._subset([isinstance(model, SkyModel) for model in self.models])

    @property
    def background_models(self) -> Models:
        """All but the sources."""
        return self._subset([not isinstance(model, SkyModel) for model in self.models])

    @property
    def positions(self) -> SkyCoord:
        """Centres [icrs] of the sources that have one."""
        places = [model.position.icrs for model in self.sky_models if model.position is not None]
        lonlat = [(place.ra.deg, place.dec.deg) for place in places]
        return SkyCoord(np.reshape(lonlat, (-1, 2)), unit="deg", frame="icrs")

    def select(
        self,
        name_substring: str | None = None,
        datasets_names: str | Sequence[str] | None = None,
        tag: str | Sequence[str] | None = None,
        model_type: str | None = None,
        frozen: bool | None = None,
    ) -> Models:
        """Models that meet all conditions, with their part of the covariance.

        Parameters
        ----------
        name_substring : part of the name.
        datasets_names : seen in one of these datasets.
        tag : class name or tag of the model or, with `model_type` "spectral" or "spatial", of that part.
        frozen : with all parameters frozen (True), or not all (False).
        """
        return self._subset(selection_mask(self.models, name_substring, datasets_names, tag, model_type, frozen))

    def _subset(self, mask: Sequence[bool]) -> Models:
        kept = [model for model, keep in zip(self.models, mask, strict=True) if keep]
        if self.covariance is None:
            return Models(kept)
        rows = np.repeat(np.asarray(mask, bool), [len(model.parameters) for model in self.models])
        return Models(kept, self.covariance[np.ix_(rows, rows)])

    def reassign(self, dataset_name: str, new_dataset_name: str) -> Models:
        """Models in which those that name one dataset name another in its place.

        Raises
        ------
        ModelError : two models of one name are the result.
        """
        return Models([_reassigned(model, dataset_name, new_dataset_name) for model in self.models], self.covariance)

    # -- parameters -------------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, Parameter]:
        """All parameters by name (``crab.spectral.index``), in order, linked ones repeated."""
        return {name: p for model in self.models for name, p in _named_parameters(model)}

    def map_parameters(self, change: Callable[[str, Parameter], Parameter]) -> Models:
        """Models with every parameter replaced by ``change(name, parameter)``; keeps the covariance."""
        names = iter(self.parameters)
        return jax.tree.map(lambda p: change(next(names), p) if is_parameter(p) else p, self, is_leaf=is_parameter)

    def with_values(self, values: dict[str, Any]) -> Models:
        """Models with some parameter values changed, by name, in the parameters' units; linked ones move along.

        The covariance, which belonged to the old values, is dropped.

        Raises
        ------
        ModelError : an unknown name.
        """
        wanted = {member: value for name, value in values.items() for member in self._linked(name)}
        changed = self.map_parameters(lambda name, p: p.replace(value=wanted[name]) if name in wanted else p)
        return Models(changed.models)

    def link(self, label: str, *names: str) -> Models:
        """Models in which the named parameters are one; it has the value, bounds and state of the first named.

        Raises
        ------
        ModelError : an unknown name, or units that do not convert.
        """
        known = self.parameters
        self._check_names(names)
        first = known[names[0]]
        for name in names:
            _check_link(label, first, known[name])
        joined = self.map_parameters(lambda name, p: first.replace(name=p.name, link=label) if name in names else p)
        return Models(joined.models)

    def freeze(self, *names: str, model_type: str | None = None) -> Models:
        """Models with the named parameters and those linked to them held fixed in fits (all, if none is named).

        With `model_type` "spectral" or "spatial", all parameters of that part.
        """
        if model_type is not None:
            return Models([model.freeze(model_type) for model in self.models], self.covariance)
        return self._with_state(names, True)

    def unfreeze(self, *names: str, model_type: str | None = None) -> Models:
        """Models with the named parameters and those linked to them free in fits (all, if none is named).

        With `model_type` "spectral" or "spatial", the parameters of that part as their classes declare them.
        """
        if model_type is not None:
            return Models([model.unfreeze(model_type) for model in self.models], self.covariance)
        return self._with_state(names, False)

    def _with_state(self, names: tuple[str, ...], frozen: bool) -> Models:
        chosen = {member for name in names or tuple(self.parameters) for member in self._linked(name)}
        return self.map_parameters(lambda name, p: p.replace(frozen=frozen) if name in chosen else p)

    def _linked(self, name: str) -> list[str]:
        """Names of all parameters that are one with the named one, itself included."""
        self._check_names([name])
        label = self.parameters[name].link
        return [name] if label is None else [other for other, p in self.parameters.items() if p.link == label]

    def _check_names(self, names: Iterable[str]) -> None:
        known = self.parameters
        for name in names:
            if name not in known:
                raise ModelError("GX-MODEL-017", f"no parameter named {name!r}", do=did_you_mean(name, known))

    # -- errors -----------------------------------------------------------------------------------------------------

    @property
    def errors(self) -> np.ndarray:
        """1 sigma errors of all parameters, in their units; NaN before a fit, 0 for frozen ones."""
        if self.covariance is None:
            return np.full(len(self.parameters), np.nan)
        return np.sqrt(np.diag(self.covariance))

    def subcovariance(self, name: str, part: str | None = None) -> np.ndarray:
        """Covariance of the parameters of one model, or of its "spectral" or "spatial" part alone.

        Raises
        ------
        ModelError : no such model or part, or no covariance yet.
        """
        if self.covariance is None:
            raise ModelError("GX-MODEL-018", "these models have no covariance", do="take the models of a fit result")
        place = self.names.index(self[name].name)
        start, parts = sum(len(model.parameters) for model in self.models[:place]), self[name].parts
        if part is None:
            own = slice(start, start + len(self[name].parameters))
        elif part in parts:
            start += len(parts["spectral"].parameters) if part == "spatial" else 0
            own = slice(start, start + len(parts[part].parameters))
        else:
            raise ModelError("GX-MODEL-066", f"the model has no {part} part", model=name, do=did_you_mean(part, parts))
        return self.covariance[own, own]

    def evaluate_error(self, name: str, energy: Any) -> Quantity:
        """Flux of a model and its 1 sigma error at energies, shape (2, ...); errors as `subcovariance`."""
        return self[name].spectral_model.evaluate_error(energy, self.subcovariance(name, "spectral"))

    def position_error(self, name: str) -> Any:
        """Region that holds the position of a source with 95 % probability; errors as `subcovariance`."""
        return self[name].spatial_model.position_error(self.subcovariance(name, "spatial"))

    def to_parameters_table(self) -> Table:
        """Table: model, name, value, error, unit, min, max, frozen, link."""
        errors, rows = iter(self.errors), []
        for model in self.models:
            for name, p in _named_parameters(model):
                inside = name.removeprefix(f"{model.name}.").partition(".")[2]
                numbers = (float(p.value), next(errors), p.unit, float(p.min), float(p.max))
                rows.append((model.name, inside, *numbers, p.frozen, p.link or ""))
        names = ("model", "name", "value", "error", "unit", "min", "max", "frozen", "link")
        return Table(rows=rows or None, names=names)

    # -- files ------------------------------------------------------------------------------------------------------

    @classmethod
    def read(cls, path: str | Path) -> Models:
        """Read a model YAML file, with its covariance file if it names one; errors as `from_dict`."""
        from gammax.models._yaml import read_models

        return read_models(path)

    @classmethod
    def from_dict(cls, content: dict[str, Any], folder: str | Path | None = None) -> Models:
        """Models from the mapping of a model YAML file; files that it names are relative to `folder`.

        Raises
        ------
        SchemaError : unknown keys, types or parameter names, missing values.
        """
        from gammax.models._yaml import models_from_dict

        return models_from_dict(content, folder)

    def to_dict(self) -> dict[str, Any]:
        """Mapping in the layout of the model YAML."""
        from gammax.models._yaml_write import models_to_dict

        return models_to_dict(self)

    def write(self, path: str | Path, overwrite: bool = False, overwrite_templates: bool = False) -> None:
        """Write model YAML, and beside it ``<stem>_covariance.dat`` where there is a covariance.

        Maps of templates go where their `filename` says, or to ``<stem>_<name>.fits`` without one; files that exist
        stay as they are unless `overwrite_templates`.
        """
        from gammax.models._yaml_write import write_models

        write_models(self, path, overwrite, overwrite_templates)

    def __repr__(self) -> str:
        return "Models([\n" + "".join(f"  {model!r},\n" for model in self.models) + "])"

    def __str__(self) -> str:
        return "\n".join(self.to_parameters_table().pformat(max_lines=-1, max_width=-1))

    def _repr_html_(self) -> str:
        return self.to_parameters_table()._repr_html_()


def _named_parameters(model: Component) -> list[tuple[str, Parameter]]:
    names = []
    for kind, part in model.parts.items():
        leaves = jax.tree_util.tree_leaves_with_path(part, is_leaf=is_parameter)
        found = [(path, p) for path, p in leaves if is_parameter(p)]
        times = Counter(p.name for _, p in found)
        for path, p in found:
            # parts of a compound that share a name are told apart by their place in it
            inside = ".".join(str(step.name) for step in path) if times[p.name] > 1 else p.name
            names.append((f"{model.name}.{kind}.{inside}", p))
    return names


def _reassigned(model: Component, old: str, new: str) -> Component:
    if model.datasets_names is None or old not in model.datasets_names:
        return model
    if isinstance(model, FoVBackgroundModel):
        name = f"{new}-bkg" if model.name == f"{old}-bkg" else model.name
        return model.replace(dataset_name=new, name=name)
    return model.replace(datasets_names=[new if name == old else name for name in model.datasets_names])


def _share_links(models: Sequence[Component]) -> tuple[Any, ...]:
    """Give all parameters of one link label the value, bounds and state of the first of them."""
    first: dict[str, Parameter] = {}

    def shared(p: Any) -> Any:
        if not is_parameter(p) or p.link is None:
            return p
        head = first.setdefault(p.link, p)
        _check_link(p.link, head, p)
        return p if head is p else head.replace(name=p.name)

    return tuple(jax.tree.map(shared, list(models), is_leaf=is_parameter))


def _check_link(label: str, head: Parameter, other: Parameter) -> None:
    if not same_dimension(head.unit, other.unit):
        raise ModelError(
            "GX-MODEL-019",
            f"link {label!r} joins parameters of different units",
            found=f"{head.name} [{head.unit}] and {other.name} [{other.unit}]",
        )
