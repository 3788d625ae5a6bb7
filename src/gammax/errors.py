"""The error family: what went wrong, where, what was found, what was expected, what to do.

Every error that leaves gammax is one of these. It carries a stable ``code`` (``GX-FITS-001``) and a ``context`` that a
program can read (file, hdu, column, obs_id ...). A foreign exception that caused it stays as ``__cause__``.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import partial
from typing import Any, Self


class GammaxError(Exception):
    """Base of all gammax errors.

    Parameters
    ----------
    code : stable identifier, for example ``"GX-FITS-001"``.
    what : one sentence: what went wrong.
    found, expected : what was there, what should have been.
    do : what the user can do about it.
    **context : where it happened (``file``, ``hdu``, ``column``, ``keyword``, ``obs_id``, ``parameter`` ...).

    All of them are attributes; `context` holds `found` and `expected` as well.
    """

    def __init__(self, code: str, what: str, *, found: Any = None, expected: Any = None, do: str = "", **context: Any):
        self.code, self.what, self.found, self.expected, self.do = code, what, found, expected, do
        self.context = {key: value for key, value in context.items() if value is not None}
        if found is not None:
            self.context["found"] = found
        if expected is not None:
            self.context["expected"] = expected
        where = ", ".join(f"{key} {context[key]}" for key in context if context[key] is not None)
        lines = [f"{code} {what}"]
        lines += [f"  where: {where}"] if where else []
        lines += [f"  found: {found}"] if found is not None else []
        lines += [f"  expected: {expected}"] if expected is not None else []
        lines += [f"  do: {do}"] if do else []
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[Any, ...]:
        # the default passes the finished text alone, and an error from a worker process must arrive whole
        own = {key: value for key, value in self.context.items() if key not in ("found", "expected")}
        keywords = {"found": self.found, "expected": self.expected, "do": self.do, **own}
        return partial(type(self), **keywords), (self.code, self.what)

    def with_context(self, **where: Any) -> Self:
        """The same error with more places named (``file`` ...), to be raised from this one.

        A place that it names already stays: who raised it was nearer.
        """
        own = {key: value for key, value in self.context.items() if key not in ("found", "expected")}
        return type(self)(
            self.code, self.what, found=self.found, expected=self.expected, do=self.do, **{**where, **own}
        )


class FileFormatError(GammaxError):
    """A file is missing, damaged, or not what its name says."""


class SchemaError(GammaxError):
    """A file or a mapping lacks a part it must have, or has one that does not belong."""


class UnitError(GammaxError):
    """A unit is missing, misspelt or of the wrong dimension."""


class DataValueError(GammaxError):
    """Numbers that cannot be right (NaN, negative counts ...)."""


class GeometryError(GammaxError):
    """Axes, regions or shapes that do not fit each other."""


class ModelError(GammaxError):
    """A model or a parameter that cannot be evaluated."""


class FitError(GammaxError):
    """A fit that cannot be started."""


class ResourceError(GammaxError):
    """Memory, disk or a limit that does not suffice."""


class UnsafeInputError(GammaxError):
    """Input that tries to do what data must not do (run code, escape its folder)."""


class GammaxWarning(UserWarning):
    """Something that a user should know, and that changes no number."""


def did_you_mean(word: str, choices: Any) -> str:
    """Hint for a misspelt word: the nearest choice, and the list of all."""
    names = sorted(str(choice) for choice in choices)
    near = get_close_matches(str(word), names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}known: {', '.join(names)}"
