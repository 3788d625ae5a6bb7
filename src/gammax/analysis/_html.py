"""Pieces of HTML, escaped here and nowhere else, and numbers as a paper writes them: two digits of the error."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

_MISSING = "–"


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def html(text: object) -> Html:
    """Escaped text, unless it is `Html`."""
    return text if isinstance(text, Html) else Html(escape(str(text)))


def element(name: str, content: object = "", **attributes: str) -> Html:
    """``<name attributes>content</name>``; ``class_`` stands for ``class``."""
    inside = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{inside}>{html(content)}</{name}>")


def join(parts: Iterable[object]) -> Html:
    """Parts one after the other."""
    return Html("\n".join(html(part) for part in parts))


def table(
    head: Sequence[object], rows: Iterable[Sequence[object]], align: str, foot: Sequence[object] | None = None
) -> Html:
    """Table; `align` has one letter per column: l text, r number, c centred."""

    def line(cells: Sequence[object], tag: str) -> Html:
        return element(
            "tr", join(element(tag, cell, class_=f"a-{where}") for cell, where in zip(cells, align, strict=True))
        )

    parts = [element("thead", line(head, "th")), element("tbody", join(line(row, "td") for row in rows))]
    if foot is not None:
        parts.append(element("tfoot", line(foot, "td")))
    return element("div", element("table", join(parts)), class_="wide")


def section(title: str, *parts: object) -> Html:
    """Section with a heading."""
    return element("section", join([element("h2", title), *parts]))


def image(png: bytes, caption: str) -> Html:
    """Figure with the image in the text of the page."""
    data = base64.b64encode(png).decode()
    picture = Html(f'<img src="data:image/png;base64,{data}" alt="{escape(caption)}">')
    return element("figure", join([picture, element("figcaption", caption)]))


def page(title: str, css: str, *parts: object) -> str:
    """Whole document, with nothing outside itself."""
    head = join(
        [
            Html('<meta charset="utf-8">'),
            Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            element("title", title),
            Html(f"<style>\n{css}</style>"),
        ]
    )
    body = element("body", element("main", join(parts)))
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n{body}\n</html>\n'


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
