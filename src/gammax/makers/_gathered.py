"""Warnings of many runs, gathered into one of each kind."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from gammax.errors import GammaxWarning

_NUMBER = re.compile(r"[-+]?\d[\d.]*(e[-+]?\d+)?")
_HDU = re.compile(r"HDU \S+")


@contextmanager
def gathered_warnings(stacklevel: int = 1) -> Iterator[None]:
    """Our warnings inside the block come after it, one of each kind, with the number of files or runs it is about.

    Two are of one kind if they differ in places, HDUs and numbers alone. Of the warnings of others all come. If the
    block raises, none come.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", GammaxWarning)
        yield
    ours = []
    for warning in caught:
        if issubclass(warning.category, GammaxWarning):
            ours.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    for text in summed_up(ours):
        # the frames of this generator, of contextlib, and of the block
        warnings.warn(text, GammaxWarning, stacklevel=stacklevel + 2)


def summed_up(texts: list[str]) -> list[str]:
    """One text of each kind; whatever the order they came in, the first by name stands for its kind."""
    kinds: dict[str, dict[str, str]] = {}
    for text in sorted(set(texts)):
        place, _, rest = text.partition(": ")
        kind = _NUMBER.sub("#", _HDU.sub("HDU", rest))
        kinds.setdefault(kind, {}).setdefault(place, text)
    return [_counted(places) for places in kinds.values()]


def _counted(places: dict[str, str]) -> str:
    """The text of the first place, with the number of all places where there are more."""
    first, text = next(iter(places.items()))
    noun = next((word for word in ("observation", "dataset") if first.startswith(word)), "file")
    return text if len(places) == 1 else f"in {len(places)} {noun}s (first: {text})"
