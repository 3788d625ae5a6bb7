"""What code is, in bytes: by it a file knows whether functions and classes of a batch are those it was begun with.

A name is not enough: the functions that a factory makes differ in what they close over, and a class may be edited. Of
code that comes with a version (our own, JAX's and so on) the name is taken, of any other what it does: its
instructions, constants, defaults, closures, and the globals that it uses.
"""

from __future__ import annotations

import functools
import hashlib
import pickle
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from gammax.errors import FitError
from gammax.models._function import ByIdentity

_VERSIONED = {"gammax", "jax", "jaxlib", "numpy", "equinox", "scipy", "astropy", "jaxtyping", *sys.stdlib_module_names}
_PLAIN = str | bytes | int | float | complex | None | type(Ellipsis) | np.dtype
# constants of a program: whether equal ones are one object is the compiler's choice
_SHARED_BY_CHANCE = tuple | types.CodeType | np.ndarray | np.generic
# of the methods that the language gives a meaning to, those that compute something
_OWN_METHODS = ("__call__", "__init__", "__post_init__", "__getattr__")


def describe(value: Any) -> bytes:
    """Digest of a value, the same in every process, with all the code that it leads to.

    Raises
    ------
    FitError : an object that cannot be told from others of its kind.
    """
    digest = hashlib.sha256()
    for word in _words(value, {}):
        digest.update(word.encode() if isinstance(word, str) else word)
        digest.update(b"\0")
    return digest.digest()


def _words(value: Any, seen: dict[int, tuple[int, Any]]) -> Iterator[str | bytes]:
    """Description of a value, piece by piece; what was met before, which is kept so that its number stays its own, is
    the number of that meeting."""
    if isinstance(value, _PLAIN):
        yield f"{type(value).__name__} {value!r}"
        return
    if not isinstance(value, _SHARED_BY_CHANCE):
        if id(value) in seen:
            yield f"again {seen[id(value)][0]}"
            return
        seen[id(value)] = len(seen), value
    yield f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, np.ndarray | np.generic | jax.Array) and np.asarray(value).dtype != object:
        array = np.ascontiguousarray(value)
        yield f"{array.dtype}{np.shape(value)}{getattr(value, 'unit', '')}"
        yield array.tobytes()
        return
    parts = _parts(value)
    yield str(len(parts))
    for part in parts:
        yield from _words(part, seen)


def _parts(value: Any) -> list[Any]:
    """What a value is made of."""
    if isinstance(value, set | frozenset):
        return sorted(map(describe, value))
    if isinstance(value, Mapping):
        return [part for item in value.items() for part in item]
    if isinstance(value, tuple | list | np.ndarray):
        return [*([] if type(value) in (tuple, list, np.ndarray) else [type(value)]), *value]
    if isinstance(value, jax.tree_util.PyTreeDef):
        return [value.node_data(), *value.children()]
    if isinstance(value, ByIdentity):
        return [value.value]
    if isinstance(value, types.ModuleType):
        return [value.__name__]
    if isinstance(value, types.CodeType):
        return [value.co_code, value.co_names, value.co_consts, value.co_varnames, value.co_freevars]
    if isinstance(value, types.CellType):
        return _filling(value)
    return _of_code(value)


def _of_code(value: Any) -> list[Any]:
    """Parts of functions, classes, and objects of a class."""
    if isinstance(value, types.FunctionType):
        return _of_function(value)
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, property):
        return [value.fget]
    if isinstance(value, type):
        return _of_class(value)
    if _is_versioned(value) and hasattr(value, "__name__"):
        return [_name(value)]
    if hasattr(value, "__wrapped__"):
        # of jax.jit and the like
        return [value.__wrapped__]
    if type(value) is object:
        return []
    if _is_foreign(value):
        return [_pickled(value)]
    if hasattr(value, "__dict__"):
        cached = functools.cached_property
        held = {name: part for name, part in vars(value).items() if not isinstance(_static(value, name), cached)}
        return [type(value), held]
    text = repr(value)
    if " at 0x" in text:
        raise _unknown(value)
    return [text]


def _unknown(value: Any) -> FitError:
    return FitError(
        "GX-FIT-317",
        "the file could not tell this batch from one with another object in its place",
        found=repr(value),
        do="give no path, or make the object a function or a class of Python with what it holds as attributes",
    )


def _pickled(value: Any) -> bytes:
    try:
        return pickle.dumps(value, protocol=5)
    except Exception as error:
        raise _unknown(value) from error


def _static(value: Any, name: str) -> Any:
    return next((vars(base)[name] for base in type(value).__mro__ if name in vars(base)), None)


def _of_function(function: types.FunctionType) -> list[Any]:
    cells = [part for cell in function.__closure__ or () for part in _filling(cell)]
    if _is_versioned(function):
        return [_name(function), *cells]
    names, known = _names(function.__code__), function.__globals__
    used = {name: known[name] for name in names if name in known and not _is_foreign(known[name])}
    return [function.__code__, function.__defaults__, function.__kwdefaults__, *cells, used]


def _names(code: types.CodeType) -> list[str]:
    """Names that a function and those within it ask for, in order."""
    inner = [name for part in code.co_consts if isinstance(part, types.CodeType) for name in _names(part)]
    return list(dict.fromkeys([*code.co_names, *inner]))


def _of_class(kind: type) -> list[Any]:
    found: list[Any] = [_name(kind)]
    for base in kind.__mro__:
        if _is_versioned(base):
            continue
        found.append(_name(base))
        for name in sorted(vars(base)):
            part = getattr(base, name, None)
            code = isinstance(part, types.FunctionType | types.MethodType | property)
            if (code and name in _OWN_METHODS) or (not name.startswith("__") and (code or isinstance(part, _PLAIN))):
                # of a method of the class the function: the class itself is being described
                found += [name, part.__func__ if isinstance(part, types.MethodType) else part]
    return found


def _filling(cell: types.CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:
        return []  # not filled yet


def _name(value: Any) -> str:
    return f"{value.__module__}.{getattr(value, '__qualname__', value.__name__)}"


def _is_versioned(value: Any) -> bool:
    return _package(value) in _VERSIONED


def _is_foreign(value: Any) -> bool:
    """Whether it is an object of somebody else's class: a logger, coordinates."""
    kept = isinstance(value, np.ndarray | np.generic | jax.Array | functools.partial) or _package(value) == "gammax"
    return not kept and _is_versioned(value)


def _package(value: Any) -> str:
    return (getattr(value, "__module__", None) or "").partition(".")[0]
