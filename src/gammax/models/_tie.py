"""Ties: parameters that are functions of others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax

from gammax.errors import GammaxError, ModelError, did_you_mean
from gammax.models._parameter import Parameter


@dataclass(frozen=True)
class Tie:
    """Parameter `name` is ``function(*sources)``, numbers in the parameters' own units; all names are full ones."""

    name: str
    function: Callable[..., Any]
    sources: tuple[str, ...]

    def __post_init__(self):
        try:
            hash(self.function)
            good = callable(self.function)
        except TypeError:
            good = False
        if not good or not self.sources:
            raise ModelError(
                "GX-MODEL-106",
                "a tie needs a function that can be hashed, and at least one other parameter",
                parameter=self.name,
                found=f"{self.function!r} of {', '.join(self.sources) or 'nothing'}",
                do="models.tie('b.spectral.index', lambda index: index + 0.5, 'a.spectral.index')",
            )

    def renamed(self, names: Mapping[str, str]) -> Tie:
        """Tie of parameters that have other names."""
        return Tie(names[self.name], self.function, tuple(names[source] for source in self.sources))

    def __str__(self) -> str:
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return f"{name}({', '.join(self.sources)})"


def in_order(ties: Iterable[Tie], parameters: Mapping[str, Parameter]) -> tuple[Tie, ...]:
    """Ties in an order in which every one finds its sources done.

    Raises
    ------
    ModelError : an unknown name, a parameter tied twice, linked or free, ties in a circle.
    """
    waiting: dict[str, Tie] = {}
    for tie in ties:
        if tie.name in waiting:
            raise ModelError("GX-MODEL-107", "a parameter is tied twice", parameter=tie.name, do="untie it first")
        waiting[tie.name] = tie
        for name in (tie.name, *tie.sources):
            if name not in parameters:
                raise ModelError(
                    "GX-MODEL-017", f"no parameter named {name!r}", tie=tie, do=did_you_mean(name, parameters)
                )
        check_tied(tie.name, parameters[tie.name])
    done: list[Tie] = []
    while waiting:
        ready = [tie for tie in waiting.values() if not waiting.keys() & set(tie.sources)]
        if not ready:
            raise ModelError("GX-MODEL-108", "ties run in a circle", found="; ".join(_sentence(waiting.values())))
        done.extend(waiting.pop(tie.name) for tie in ready)
    return tuple(done)


def among(names: Collection[str], penalties: Iterable[Any], ties: Iterable[Tie]) -> tuple[list[Any], list[Tie]]:
    """Penalties and ties of which all parameters are among some names."""
    known = set(names)
    return (
        [penalty for penalty in penalties if known.issuperset(penalty.parameters)],
        [tie for tie in ties if known.issuperset((tie.name, *tie.sources))],
    )


def check_tied(name: str, p: Parameter) -> None:
    """Raise where a tied parameter is linked or free."""
    if p.link is not None or not p.frozen:
        raise ModelError(
            "GX-MODEL-109",
            f"a tied parameter cannot be {'free' if p.link is None else 'linked'}: its value follows from others",
            parameter=name,
            do="Models.untie, or link, unfreeze or set the parameters that it is tied to",
        )


def tied_values(ties: Sequence[Tie], parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Values that ties, in order, give to their parameters.

    Raises
    ------
    ModelError : a function that fails, or that JAX cannot differentiate.
    """
    values = {name: p.value for name, p in parameters.items()}
    for tie in ties:
        values[tie.name] = _value_of(tie, [values[source] for source in tie.sources])
    return {tie.name: values[tie.name] for tie in ties}


def _value_of(tie: Tie, sources: list[Any]) -> Any:
    try:
        _trace(tie.function, len(sources))
        return tie.function(*sources)
    except GammaxError:
        raise
    except Exception as error:
        raise ModelError(
            "GX-MODEL-120",
            "the function of a tie fails",
            parameter=tie.name,
            found=f"{type(error).__name__}: {str(error).partition(chr(10))[0]}",
            do="write it with jax.numpy, for numbers that JAX traces",
        ) from error


@lru_cache(maxsize=256)
def _trace(function: Callable[..., Any], n_sources: int) -> None:
    jax.eval_shape(function, *[0.0] * n_sources)


def _sentence(ties: Iterable[Tie]) -> list[str]:
    return [f"{tie.name} = {tie}" for tie in ties]
