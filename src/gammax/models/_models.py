"""A list of sources and backgrounds, their parameters by name, and the covariance that a fit has given them."""

from __future__ import annotations

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
from gammax.models._irf_model import IRFModel
from gammax.models._links import check_components, check_link, named_parameters, share_links
from gammax.models._parameter import Parameter, is_parameter
from gammax.models._penalty import GaussianPriorPenalty
from gammax.models._prior import Prior
from gammax.models._selection import reassigned, rows_of, selection_mask
from gammax.models._sky_model import Component, SkyModel
from gammax.models._tie import Tie, among, check_tied, in_order, tied_values


class Models(eqx.Module):
    """Sources and backgrounds that are fitted together, in order, found by index or by name.

    Parameters
    ----------
    models : `SkyModel`, `FoVBackgroundModel`, `TemplateNPredModel`, `IRFModel`; names must differ.
    covariance : of all parameters in their own units, shape (P, P), in the order of `parameters`; None before a fit.
    penalties : see `with_penalties`. ties : see `tie`. Those of `models`, if that is a `Models`, by default.

    Raises
    ------
    ModelError : two models of one name, a link between parameters of different units, a covariance of wrong shape;
        penalties and ties as the methods that make them.
    """

    models: tuple[Any, ...]
    covariance: np.ndarray | None
    penalties: tuple[GaussianPriorPenalty, ...]
    ties: tuple[Tie, ...] = eqx.field(static=True)

    def __init__(
        self,
        models: Component | Iterable[Component] = (),
        covariance: np.ndarray | None = None,
        penalties: Sequence[GaussianPriorPenalty] | None = None,
        ties: Sequence[Tie] | None = None,
    ):
        penalties = getattr(models, "penalties", ()) if penalties is None else penalties
        ties = getattr(models, "ties", ()) if ties is None else ties
        self.models = tuple(models) if isinstance(models, Iterable) else (models,)
        check_components(self.models)
        self.models = share_links(self.models)
        parameters = self.parameters
        self.penalties = tuple(penalty.bound(parameters) for penalty in penalties)
        self.ties = in_order(ties, parameters)
        if self.ties:
            self.models = self._with_tied_values().models
        size = len(parameters)
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
        other = Models(other)
        return Models([*self, *other], None, self.penalties + other.penalties, self.ties + other.ties)

    def replace(self, model: Component) -> Models:
        """Models with the one of the same name exchanged; the covariance is dropped.

        Raises
        ------
        ModelError : no model of that name.
        """
        place = self.names.index(self[model.name].name)
        return self._of([*self.models[:place], model, *self.models[place + 1 :]])

    def _of(self, models: Iterable[Component], covariance: np.ndarray | None = None) -> Models:
        """Other components with the same penalties and ties."""
        return Models(models, covariance, self.penalties, self.ties)

    # -- selections -------------------------------------------------------------------------------------------------

    @property
    def sky_models(self) -> Models:
        """The sources."""
        return self._subset([isinstance(model, SkyModel) for model in self.models])

    @property
    def background_models(self) -> Models:
        """What is counted besides the sources."""
        return self._subset([not isinstance(model, SkyModel | IRFModel) for model in self.models])

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
        """Models that meet all conditions, with their part of the covariance; a penalty or tie that needs one of the
        others is left out, and what was tied stays frozen at its value.

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
        names = {name for model in kept for name, _ in named_parameters(model)}
        rows = np.repeat(np.asarray(mask, bool), [len(model.parameters) for model in self.models])
        part = None if self.covariance is None else self.covariance[np.ix_(rows, rows)]
        return Models(kept, part, *among(names, self.penalties, self.ties))

    def reassign(self, dataset_name: str, new_dataset_name: str) -> Models:
        """Models in which those that name one dataset name another in its place.

        Raises
        ------
        ModelError : two models of one name are the result.
        """
        models = [reassigned(model, dataset_name, new_dataset_name) for model in self.models]
        names = dict(zip(self.parameters, Models(models).parameters, strict=True))
        penalties = [penalty.renamed(names) for penalty in self.penalties]
        return Models(models, self.covariance, penalties, [tie.renamed(names) for tie in self.ties])

    # -- parameters -------------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, Parameter]:
        """All parameters by name (``crab.spectral.index``), in order, linked ones repeated."""
        return {name: p for model in self.models for name, p in named_parameters(model)}

    def map_parameters(self, change: Callable[[str, Parameter], Parameter]) -> Models:
        """Models with every parameter replaced by ``change(name, parameter)``; keeps the covariance.

        Linked parameters have to be changed alike: what counts in a fit is the first of them.
        """
        names = iter(self.parameters)
        return jax.tree.map(lambda p: change(next(names), p) if is_parameter(p) else p, self, is_leaf=is_parameter)

    def with_values(self, values: dict[str, Any]) -> Models:
        """Models with some parameter values changed, by name, in the parameters' units; linked and tied ones follow.

        The covariance, which belonged to the old values, is dropped.

        Raises
        ------
        ModelError : an unknown name, or one that is tied to others.
        """
        wanted = {member: value for name, value in values.items() for member in self._linked(name)}
        self._refuse_tied(wanted)
        changed = self.map_parameters(lambda name, p: p.replace(value=wanted[name]) if name in wanted else p)
        return self._of(changed.models)

    def link(self, label: str, *names: str) -> Models:
        """Models in which the named parameters are one; it has the value, bounds and state of the first named.

        Raises
        ------
        ModelError : an unknown name or none, the name of a parameter as label, units that do not convert.
        """
        known = self.parameters
        if label in known or not names:
            example = 'models.link("index", "a.spectral.index", "b.spectral.index")'
            found = f"label {label!r}, {len(names)} names"
            raise ModelError("GX-MODEL-118", "a link needs a label and names of parameters", found=found, do=example)
        self._check_names(names)
        first = known[names[0]]
        for name in names:
            check_link(label, first, known[name])
        joined = self.map_parameters(lambda name, p: first.replace(name=p.name, link=label) if name in names else p)
        return self._of(joined.models)

    def with_prior(self, name: str, prior: Prior | None) -> Models:
        """Models in which a parameter, and those linked to it, have a prior, in the parameter's unit (None: none).

        A prior is part of the fit statistic, that of a frozen parameter as a constant; linked parameters are one, whose
        prior counts once.

        Raises
        ------
        ModelError : an unknown name, not a prior, bounds and support that exclude each other.
        """
        chosen = self._linked(name)
        return self.map_parameters(lambda name, p: p.replace(prior=prior) if name in chosen else p)

    def with_penalties(self, *penalties: GaussianPriorPenalty) -> Models:
        """Models with these penalties in place of any they have; files do not keep them.

        Raises
        ------
        ModelError : a penalty of an unknown parameter, or of one whose unit does not convert.
        """
        return Models(self.models, self.covariance, penalties, self.ties)

    def tie(self, name: str, function: Callable[..., Any], *sources: str) -> Models:
        """Models in which a parameter is a function of others: ``models.tie("b.spectral.index", lambda x: x + 0.5,
        "a.spectral.index")``.

        A fit moves the sources; value and error of the tied parameter, which is frozen, follow. Its bounds do not hold,
        its prior does. Files do not keep a tie: what they have is a frozen parameter.

        Parameters
        ----------
        function : of the sources' values in their units, numbers, to the value in the tied parameter's unit; written
            with `jax.numpy`, twice differentiable. Another function object is another compiled program.
        sources : free, frozen, linked or tied parameters.

        Raises
        ------
        ModelError : an unknown name, a parameter that is linked or tied already, ties in a circle.
        """
        self._check_names([name])
        frozen = self.map_parameters(lambda other, p: p.replace(frozen=True) if other == name else p)
        return Models(frozen.models, None, self.penalties, (*self.ties, Tie(name, function, sources)))

    def untie(self, *names: str) -> Models:
        """Models in which the named parameters (all, if none is named) are tied no longer, frozen at their values."""
        self._check_names(names)
        kept = [tie for tie in self.ties if names and tie.name not in names]
        return Models(self.models, self.covariance, self.penalties, kept)

    @property
    def _tied(self) -> set[str]:
        return {tie.name for tie in self.ties}

    def _with_tied_values(self) -> Models:
        values = tied_values(self.ties, self.parameters)
        return self.map_parameters(lambda name, p: p.with_value(values[name]) if name in values else p)

    def _refuse_tied(self, names: Iterable[str]) -> None:
        for name in self._tied.intersection(names):
            check_tied(name, self.parameters[name].replace(frozen=False))

    def freeze(self, *names: str, model_type: str | None = None) -> Models:
        """Models with the named parameters and those linked to them held fixed in fits (all, if none is named).

        With `model_type` "spectral" or "spatial", all parameters of that part.
        """
        if model_type is not None:
            return self._of([model.freeze(model_type) for model in self.models], self.covariance)
        return self._with_state(names or self.parameters, True)

    def unfreeze(self, *names: str, model_type: str | None = None) -> Models:
        """Models with the named parameters and those linked to them free in fits (all, if none is named).

        With `model_type` "spectral" or "spatial", the parameters of that part as their classes declare them. Tied
        parameters stay as they are.

        Raises
        ------
        ModelError : an unknown name, or one that is tied to others.
        """
        if model_type is not None:
            free = Models([model.unfreeze(model_type) for model in self.models], None, (), ())
            return self._of(free._with_state(self._tied, True).models, self.covariance)
        self._refuse_tied(names)
        return self._with_state(names or set(self.parameters) - self._tied, False)

    def _with_state(self, names: Iterable[str], frozen: bool) -> Models:
        chosen = {member for name in names for member in self._linked(name)}
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
        own = rows_of(self, name, part)
        return self.covariance[own, own]

    def evaluate_error(self, name: str, energy: Any) -> Quantity:
        """Flux of a model and its 1 sigma error at energies, shape (2, ...); errors as `subcovariance`."""
        return self[name].spectral_model.evaluate_error(energy, self.subcovariance(name, "spectral"))

    def position_error(self, name: str) -> Any:
        """Region that holds the position of a source with 95 % probability; errors as `subcovariance`."""
        return self[name].spatial_model.position_error(self.subcovariance(name, "spatial"))

    def to_parameters_table(self) -> Table:
        """Table: model, name, value, error, unit, min, max, frozen, link; prior and tie, where there are any."""
        from gammax.models._parameters_table import parameters_table

        return parameters_table(self)

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
