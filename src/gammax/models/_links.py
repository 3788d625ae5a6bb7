"""Parameters of several models by name, and links that make some of them one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from gammax.errors import ModelError
from gammax.models._parameter import Parameter, is_parameter
from gammax.models._sky_model import Component
from gammax.units import canonical_factor, same_dimension


def check_components(models: Sequence[Any]) -> None:
    """Raise where one is no component, or two have the same name."""
    for model in models:
        if not isinstance(model, Component):
            raise ModelError(
                "GX-MODEL-032",
                "not a sky model",
                found=type(model).__name__,
                do="wrap a spectral model: SkyModel(spectral_model, name=...)",
            )
    twice = [name for name, times in Counter(model.name for model in models).items() if times > 1]
    if twice:
        raise ModelError("GX-MODEL-014", "two models have the same name", found=twice[0])


def named_parameters(model: Component) -> list[tuple[str, Parameter]]:
    """Parameters of a model with their full names (``crab.spectral.index``), in order."""
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


def share_links(models: Sequence[Component]) -> tuple[Any, ...]:
    """Give all parameters of one link label the value, bounds, prior and state of the first of them.

    Raises
    ------
    ModelError : units that do not convert, a prior that the first has not.
    """
    first: dict[str, Parameter] = {}

    def shared(p: Any) -> Any:
        if not is_parameter(p) or p.link is None:
            return p
        head = first.setdefault(p.link, p)
        if head is p:
            return p
        check_link(p.link, head, p)
        _check_priors(p.link, head, p)
        return head.replace(name=p.name)

    return tuple(jax.tree.map(shared, list(models), is_leaf=is_parameter))


def check_link(label: str, head: Parameter, other: Parameter) -> None:
    """Raise where two parameters cannot be one: their units do not convert."""
    if not same_dimension(head.unit, other.unit):
        raise ModelError(
            "GX-MODEL-019",
            f"link {label!r} joins parameters of different units",
            found=f"{head.name} [{head.unit}] and {other.name} [{other.unit}]",
        )


def _check_priors(label: str, head: Parameter, other: Parameter) -> None:
    if other.prior is None:
        return
    factor = canonical_factor(other.unit) / canonical_factor(head.unit)
    prior = other.prior if factor == 1.0 else other.prior.rescaled(factor)
    mine, its = jax.tree.leaves(head.prior), jax.tree.leaves(prior)
    if jax.tree.structure(head.prior) == jax.tree.structure(prior):
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in (*mine, *its))
        if traced or np.allclose(mine, its, rtol=1e-12, atol=0.0):
            return
    raise ModelError(
        "GX-MODEL-105",
        f"link {label!r} joins parameters of different priors: they are one parameter, which has one",
        found=f"{head.prior} and {prior}",
        do="Models.with_prior gives all of them the same",
    )
