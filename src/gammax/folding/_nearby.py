"""A point or a Gaussian near where it is: polynomials of second order in place and width, with its derivatives there.

A fit asks for first and second derivatives at one place. Those of error functions are taken once, in columns and rows,
and what sums up over an image is one matrix product with all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from gammax.folding._mixture import Mixture, Place, along_axis, monomials


class Nearby(NamedTuple):
    """Fractions of K Gaussians as polynomials in a displacement of A terms.

    Attributes
    ----------
    place : where the source is.
    columns, rows : as in `gammax.folding._mixture.Terms`, for each of the terms, (nx, K, P, A) and (ny, K, P, A).
    """

    place: Place
    columns: Array
    rows: Array

    def along(self, place: Place) -> tuple[Array, Array]:
        """Columns (nx, K, P) and rows (ny, K, P) at another place."""
        off_x, off_y = self._off(place)
        return jnp.einsum("xkpa,ka->xkp", self.columns, off_x), jnp.einsum("ykpa,ka->ykp", self.rows, off_y)

    def moments(self, along_x: Array) -> Array:
        """Sums over images, (R, K, A, A, M), of their products with the columns, (R, ny, K, P, A), with the rows."""
        return monomials(jnp.einsum("rykpa,ykqb->rkabpq", along_x, self.rows))

    def sums(self, moments: Array, place: Place) -> Array:
        """Gaussians and monomials summed over the images, (R, K, M), at another place."""
        off_x, off_y = self._off(place)
        return jnp.einsum("rkabm,ka,kb->rkm", moments, off_x, off_y)

    def _off(self, place: Place) -> tuple[Array, Array]:
        """The terms of the displacement along x and y, (K, A)."""
        wider = place.spread - self.place.spread

        def terms(moved: Array) -> Array:
            by_place = [jnp.ones_like(wider), moved, moved**2 / 2.0]
            by_width = [wider, moved * wider, wider**2 / 2.0] if self.columns.shape[-1] > len(by_place) else []
            return jnp.stack([jnp.broadcast_to(term, wider.shape) for term in by_place + by_width], axis=-1)

        return terms(place.x - self.place.x), terms(place.y - self.place.y)


def make_nearby(mixture: Mixture, place: Place, size: int, widens: bool) -> Nearby:
    """Polynomials about a place.

    Parameters
    ----------
    size : number of monomials, see `Terms`. widens : whether the widths change too.
    """
    scale, (ny, nx), powers = mixture.scale(place.x), mixture.shape, 1 if size == 1 else 3

    def terms(center: Array, step: Array, pixels: int) -> Array:
        found = _derivatives(lambda *at: along_axis(*at, step, pixels, powers), center, place.spread, widens)
        return jnp.stack(found, axis=-1)

    return Nearby(place, terms(place.x, scale[0], nx), terms(place.y, scale[1], ny))


def _derivatives(function: Callable[[Array, Array], Array], x: Array, y: Array, by_both: bool) -> list[Array]:
    """A function, its first and its second derivative by x, and on request by y, by both and twice by y, where every
    number of y (K,) enters what is its own."""

    def by_x(function: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
        return lambda x, y: jax.jvp(lambda x: function(x, y), (x,), (jnp.ones_like(x),))[1]

    def by_y(function: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
        return lambda x, y: jax.jvp(lambda y: function(x, y), (y,), (jnp.ones_like(y),))[1]

    found = [function, by_x(function), by_x(by_x(function))]
    if by_both:
        found += [by_y(function), by_y(by_x(function)), by_y(by_y(function))]
    return [derivative(x, y) for derivative in found]
