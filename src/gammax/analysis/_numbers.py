"""Numbers as they are written in a paper: a value with two significant digits of its error."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

_MISSING = "–"


@dataclass(frozen=True)
class Rounded:
    """Texts of a value and its errors, all to be multiplied by 10^exponent; an error that does not exist is a dash."""

    value: str
    errors: tuple[str, ...]
    exponent: int

    @property
    def decimals(self) -> int:
        """Digits behind the point."""
        return len(self.value.partition(".")[2])

    @property
    def text(self) -> str:
        """Plain text, ``(3.85 ± 0.11)e-11``."""
        inside = " ± ".join((self.value, *self.errors[:1]))
        return f"({inside})e{self.exponent:+03d}" if self.exponent else inside

    @property
    def mantissa_html(self) -> str:
        """HTML without the power of ten; two different errors are set above each other."""
        if len(set(self.errors)) == 2:
            up, down = (
                error if error == _MISSING else sign + error for sign, error in zip("+−", self.errors, strict=True)
            )
            return f'{minus(self.value)}<span class="asym"><span>{up}</span><span>{down}</span></span>'
        return minus(" ± ".join((self.value, *self.errors[:1])))

    @property
    def html(self) -> str:
        """HTML."""
        mantissa = self.mantissa_html
        return f"({mantissa}) × 10<sup>{minus(str(self.exponent))}</sup>" if self.exponent else mantissa


def rounded(value: float, *errors: float, exponent: int | None = None) -> Rounded:
    """A value rounded to two significant digits of the smaller of its errors (four of its own where there is none).

    Parameters
    ----------
    exponent : power of ten to take out; None for none between 0.001 and 100 000, else that of the value.
    """
    if not math.isfinite(value):
        return Rounded(_MISSING, tuple(_MISSING for _ in errors), 0)
    known = [error for error in errors if math.isfinite(error) and error > 0]
    if exponent is None:
        size = _magnitude(max(abs(value), *known, 0.0))
        exponent = 0 if -3 <= size < 5 else size
    scale = 10.0**-exponent
    digits = 1 - _magnitude(min(known) * scale, 2) if known else 3 - _magnitude(abs(value) * scale, 4)
    texts = tuple(_fixed(error * scale, digits) if error in known else _MISSING for error in errors)
    return Rounded(_fixed(value * scale, digits), texts, exponent)


def _magnitude(value: float, digits: int = 16) -> int:
    """Power of ten of the first digit after rounding to `digits`; 0 for 0."""
    return int(f"{value:.{digits - 1}e}".partition("e")[2]) if value else 0


def _fixed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{max(digits, 0)}f}"


def minus(text: str) -> str:
    """Text with a typographic minus sign."""
    return text.replace("-", "−")


def common_exponent(values: Iterable[float]) -> int:
    """Power of ten that a column is divided by: that of its median size, 0 where that is between 0.01 and 1000."""
    sizes = sorted(_magnitude(abs(value)) for value in values if math.isfinite(value) and value)
    middle = sizes[len(sizes) // 2] if sizes else 0
    return 0 if -2 <= middle < 3 else middle


def unit_html(unit: str) -> str:
    """Unit with raised powers."""
    return re.sub(r"([A-Za-z])(-?\d+)", lambda m: f"{m[1]}<sup>{minus(m[2])}</sup>", escape(unit))


def power_html(exponent: int) -> str:
    """``10^exponent``, nothing for 0."""
    return f"10<sup>{minus(str(exponent))}</sup> " if exponent else ""


def plural(n: int, what: str) -> str:
    """``1 step``, ``2 steps``."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
