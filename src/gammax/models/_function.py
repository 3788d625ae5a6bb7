"""A plain function as a model: what another code has written in JAX, fitted as it stands."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import numpy as np
from astropy.units import UnitConversionError
from jax import Array

from gammax.errors import GammaxWarning, ModelError, UnitError, did_you_mean
from gammax.models._declared import DeclaredModel
from gammax.models._parameter import Parameter, is_parameter
from gammax.models._spatial import FRAMES, SpatialModel
from gammax.models._spectral import SpectralModel
from gammax.units import canonical_factor, same_dimension, to_value

_UNITS = ("TeV-1 s-1 cm-2", "")
_ADVICE = "make the function `evaluate` of a subclass of SpectralModel or SpatialModel"


class ByIdentity:
    """Anything, made hashable: equal to itself alone."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and other.value is self.value

    def __repr__(self) -> str:
        return repr(self.value)


class FunctionModel(DeclaredModel):
    """What models made of a function share: parameters by name, which live in the model and not in its class."""

    _call: ByIdentity = eqx.field(static=True)
    _numbers: tuple[Parameter, ...]
    _norm: str | None = eqx.field(static=True)
    _frozen: tuple[str, ...] = eqx.field(static=True)

    def _fill(self, function: Callable[..., Any], parameters: Mapping[str, Any], norm: str | None, arrays: int) -> None:
        """Set the fields; the function takes a number of arrays, then the parameters by name."""
        self._call = ByIdentity(function)
        self._numbers = tuple(self._made(name, given) for name, given in parameters.items())
        self._norm, self._frozen = norm, tuple(p.name for p in self._numbers if p.frozen)
        if norm is not None and norm not in parameters:
            raise ModelError("GX-MODEL-402", f"no parameter {norm!r}", do=did_you_mean(norm, parameters))
        nodes = jax.ShapeDtypeStruct((3,), float)
        try:
            inspect.signature(function).bind(*[nodes] * arrays, **dict.fromkeys(parameters, 1.0))
        except TypeError as error:
            raise ModelError(
                "GX-MODEL-403", f"{self._title} does not take these parameters: {error}", found=", ".join(parameters)
            ) from error
        except ValueError:
            pass  # a callable that does not tell
        try:
            found = jax.eval_shape(
                lambda *x: jax.numpy.asarray(function(*x, **self._values())), *[nodes] * arrays
            ).shape
        except (jax.errors.JAXTypeError, jax.errors.JAXIndexError) as error:
            raise ModelError(
                "GX-MODEL-411",
                f"{self._title} is no JAX function: it leaves JAX, or branches on a value",
                do="take jax.numpy in place of numpy, jnp.where in place of if",
            ) from error
        if found != (3,):
            raise ModelError(
                "GX-MODEL-404",
                f"{self._title} does not act on arrays",
                found=f"shape {found} for arguments of shape (3,)",
                expected="a value for each of them",
            )

    def _made(self, name: str, given: Any) -> Parameter:
        if hasattr(type(self), name):
            raise ModelError("GX-MODEL-405", f"a parameter of a function model cannot be called {name!r}")
        made = given.replace(name=name) if is_parameter(given) else Parameter(name, given)
        try:
            canonical_factor(made.unit)
        except UnitConversionError as error:
            raise UnitError(
                "GX-MODEL-406",
                "no unit of energy, length, time and angle",
                found=repr(made.unit),
                do="give the number alone, in the unit that the function expects",
                parameter=name,
            ) from error
        return made

    @property
    def function(self) -> Callable[..., Any]:
        """The function."""
        return self._call.value

    @property
    def _title(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    def __getattr__(self, name: str) -> Any:
        # asked for what is no field: a parameter, unless the model is being built
        for p in self.__dict__.get("_numbers", ()):
            if is_parameter(p) and p.name == name:
                return p
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _values(self) -> dict[str, Any]:
        return {p.name: p.canonical for p in self._numbers}

    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(p.name for p in self._numbers)

    def default_parameters(self) -> dict[str, Parameter]:
        """Parameters by name, free or frozen as they were declared, without bounds."""
        return {p.name: Parameter(p.name, p.value, p.unit, frozen=p.name in self._frozen) for p in self._numbers}

    def norm_names(self) -> frozenset[str]:
        """Name of the parameter that the model is proportional to, if one was named."""
        return frozenset(() if self._norm is None else (self._norm,))

    def replace(self, **changes: Any) -> Self:
        """Model with some parameters changed, as every model; it keeps its function.

        Raises
        ------
        ModelError : unknown parameter name. UnitError : a unit that does not fit.
        """
        names = self.parameter_names()
        for name, change in changes.items():
            if name not in names:
                raise ModelError(
                    "GX-MODEL-005", f"{self._title} has no parameter {name!r}", do=did_you_mean(name, names)
                )
            kept = getattr(self, name)
            changes[name] = changed = change.replace(name=name) if is_parameter(change) else kept.replace(value=change)
            if not same_dimension(changed.unit, kept.unit):
                raise UnitError(
                    "GX-MODEL-003", f"{name} has the wrong unit", found=changed.unit, expected=kept.unit, parameter=name
                )
        numbers = tuple(changes.get(p.name, p) for p in self._numbers)
        return eqx.tree_at(lambda model: model._numbers, self, numbers)

    def __repr__(self) -> str:
        inside = super().__repr__()
        return inside.replace("(", f"({self._title}: ", 1)


class FunctionSpectralModel(FunctionModel, SpectralModel):
    """A plain JAX function as spectrum: integrals, derivatives and error bands are those of any model.

    ``function(energy, **parameters)`` takes energies [TeV] of any shape and numbers in TeV, cm, s, deg (without unit:
    as they are), and gives TeV-1 s-1 cm-2::

        def smooth_break(energy, amplitude, low, high, energy_break):
            return amplitude * energy**-low / (1 + (energy / energy_break) ** (high - low))

        FunctionSpectralModel(
            smooth_break, {"amplitude": "1e-11 TeV-1 s-1 cm-2", "low": 1.8, "high": 3.0, "energy_break": "2 TeV"}
        )

    The function is part of the compiled program, with all that it closes over: define it once, not in a loop. YAML does
    not hold code: the parameters are written for the record, and a model that shall be read again is a subclass of
    `SpectralModel`.

    Parameters
    ----------
    function : a pure function, differentiable by JAX.
    parameters : number, text or Quantity with unit, or `Parameter`, by name.
    norm : the parameter that the function is proportional to, if any: fits of it alone are faster.
    unit : "TeV-1 s-1 cm-2"; "" for a factor on another model.

    Raises
    ------
    ModelError : the function does not take the parameters or does not act on JAX arrays, a name that cannot be one,
        another unit. UnitError : a parameter with a unit that is not made of energy, length, time and angle.
    """

    tag: ClassVar = ("function",)

    _unit: str = eqx.field(static=True)

    def __init__(
        self,
        function: Callable[..., Any],
        parameters: Mapping[str, Any],
        norm: str | None = None,
        unit: str = "TeV-1 s-1 cm-2",
    ):
        if unit not in _UNITS:
            raise ModelError(
                "GX-MODEL-407", "not the unit of a spectrum", found=unit, expected=" or ".join(map(repr, _UNITS))
            )
        self._unit = unit
        self._fill(function, parameters, norm, 1)

    @property
    def unit(self) -> str:
        """Unit of `dnde`."""
        return self._unit

    def evaluate(self, energy: Array, **values: Array) -> Array:
        """Differential flux [cm-2 s-1 TeV-1] at energies [TeV]."""
        return self.function(energy, **values)


class FunctionSpatialModel(FunctionModel, SpatialModel):
    """A plain JAX function as shape, of unit integral over the sphere.

    ``function(lon, lat, **parameters)`` takes positions [deg] in the frame of the model and numbers as the function of
    `FunctionSpectralModel` does, and gives sr-1. Among the parameters are `lon_0` and `lat_0`, the centre.

    Parameters
    ----------
    function : a pure function, differentiable by JAX.
    parameters : number, text or Quantity with unit, or `Parameter`, by name.
    evaluation_radius : angle (text or Quantity) that holds practically all of the source, or a function that gives it
        [deg] for the parameters; None: the source is everywhere.
    evaluation_bin_size_min : size of the smallest structure, in the same way; None: there is none.
    frame : "icrs", "galactic" or "fk5".

    Raises
    ------
    ModelError, UnitError : as `FunctionSpectralModel`; no centre, an unknown frame.
    """

    tag: ClassVar = ("function",)

    _sizes: tuple[Any, Any] = eqx.field(static=True)

    def __init__(
        self,
        function: Callable[..., Any],
        parameters: Mapping[str, Any],
        evaluation_radius: Any = None,
        evaluation_bin_size_min: Any = None,
        frame: str = "icrs",
    ):
        if frame not in FRAMES:
            raise ModelError("GX-MODEL-040", f"unknown frame {frame!r}", do=did_you_mean(frame, FRAMES))
        self.frame = frame
        given = {"evaluation_radius": evaluation_radius, "evaluation_bin_size_min": evaluation_bin_size_min}
        self._sizes = tuple(
            size if size is None or callable(size) else float(to_value(size, "deg", name))
            for name, size in given.items()
        )
        self._fill(function, parameters, None, 2)
        for name in ("lon_0", "lat_0"):
            if name not in parameters or not same_dimension(getattr(self, name).unit, "deg"):
                raise ModelError("GX-MODEL-408", f"a shape needs the angle {name!r} among its parameters")

    def evaluate(self, lon: Array, lat: Array, **values: Array) -> Array:
        """Surface brightness [sr-1] at positions [deg]."""
        return self.function(lon, lat, **values)

    @property
    def evaluation_radius(self) -> float | None:
        """Radius [deg] that holds practically all of the source."""
        return self._size(0)

    @property
    def evaluation_bin_size_min(self) -> float | None:
        """Size [deg] of the smallest structure."""
        return self._size(1)

    def _size(self, which: int) -> float | None:
        size = self._sizes[which]
        return float(np.asarray(size(**self._values()))) if callable(size) else size


def function_entry(model: DeclaredModel) -> dict[str, str]:
    """What a file says of the function of a model, for the record, with a warning; nothing for any other model."""
    if not isinstance(model, FunctionModel):
        return {}
    warnings.warn(
        f"GX-MODEL-410 the model made of the function {model._title} is written but cannot be read: {_ADVICE}",
        GammaxWarning,
        stacklevel=2,
    )
    return {"function": f"{getattr(model.function, '__module__', '')}.{model._title}"}


def check_read(kind: type, owner: str) -> None:
    """Raise ModelError for a kind of model that files cannot hold."""
    if issubclass(kind, FunctionModel):
        raise ModelError("GX-MODEL-409", "YAML does not hold code", found=kind.__name__, model=owner, do=_ADVICE)
