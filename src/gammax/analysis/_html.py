"""Pieces of HTML: text is escaped here and nowhere else."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape


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
