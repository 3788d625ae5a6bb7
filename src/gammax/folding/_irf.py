"""What an `IRFModel` does to fluxes in bins of true energy and to counts in bins of reconstructed energy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from gammax.errors import ModelError
from gammax.folding._flux import total_flux
from gammax.models import IRFModel, SkyModel, SpectralModel

NEUTRAL = {"energy_scale_true": 0.0, "energy_scale_reco": 0.0, "aeff_norm": 1.0, "aeff_tilt": 0.0, "psf_width": 1.0}


class Scales(NamedTuple):
    """Numbers of an `IRFModel` in canonical units, traced or not; None: has no effect."""

    energy_scale_true: Any = None
    energy_scale_reco: Any = None
    aeff_norm: Any = None
    aeff_tilt: Any = None
    reference: Any = None
    psf_width: Any = None


# of responses as their files have them
NO_SCALES = Scales()


class EnergySpline(eqx.Module):
    """Cumulative counts over R reconstructed bins as a cubic spline in ln E.

    It has two continuous derivatives everywhere, is linear in the counts, and neither makes nor loses any between the
    bins. Beyond the axis, of which nothing is known, the counts per ln E go on: at the upper end, where few are left,
    as they are there; at the lower end with the slope that they have, which fades within the width of a bin.

    Attributes
    ----------
    knots : ln of the edges, (R + 1,).
    bends : second derivatives at the knots for cumulative counts at the knots, (R + 1, R + 1).
    """

    knots: Array
    bends: Array

    def shifted(self, counts: Array, scale: Array) -> Array:
        """Counts (..., R) when every energy is (1 + scale) times what it was."""
        cumulative = jnp.concatenate([jnp.zeros_like(counts[..., :1]), jnp.cumsum(counts, axis=-1)], axis=-1)
        bends, knots = cumulative @ self.bends.T, jnp.asarray(self.knots)
        at = knots - jnp.log1p(scale)
        left = jnp.clip(jnp.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
        width = knots[left + 1] - knots[left]
        b = (at - knots[left]) / width
        ends = cumulative[..., left], cumulative[..., left + 1]
        curves = bends[..., left] * width**2 / 6.0, bends[..., left + 1] * width**2 / 6.0
        straight = ends[0] + b * (ends[1] - ends[0])
        inner = straight + _bow(1.0 - b) * curves[0] + _bow(b) * curves[1]
        # beyond the ends along the tangent, and below with a curvature that fades
        down = jnp.minimum(b, 0.0)
        below = straight - b * (2.0 * curves[0] + curves[1]) + 6.0 * curves[0] * (jnp.expm1(down) - down)
        above = straight + (b - 1.0) * (curves[0] + 2.0 * curves[1])
        return jnp.diff(jnp.where(b < 0.0, below, jnp.where(b > 1.0, above, inner)), axis=-1)


def _bow(x: Array) -> Array:
    return x**3 - x


def energy_spline(edges: np.ndarray) -> EnergySpline:
    """Spline over reconstructed-energy edges [TeV]."""
    from scipy.interpolate import CubicSpline

    knots, ones = np.log(edges), np.eye(len(edges))
    spline = CubicSpline(knots, ones, bc_type=("not-a-knot", (2, np.zeros(len(edges)))))
    return EnergySpline(knots, spline(knots, 2))


def scaled_flux(models: Iterable[SpectralModel], edges: Array, panels: int, scales: Scales) -> Array:
    """Flux (T,) [cm-2 s-1] in true-energy bins as the responses of files take it: energies scaled, times what the
    effective area is more than theirs; arguments as `total_flux`."""
    seen = edges if scales.energy_scale_true is None else edges / (1.0 + scales.energy_scale_true)
    flux = total_flux(models, seen, panels)
    if scales.aeff_norm is not None:
        flux = flux * scales.aeff_norm
    if scales.aeff_tilt is not None:
        flux = flux * (jnp.sqrt(edges[:-1] * edges[1:]) / scales.reference) ** -scales.aeff_tilt
    return flux


def irf_model(models: Iterable[Any], dataset: str) -> IRFModel | None:
    """The model of a dataset's responses; None without one.

    Raises
    ------
    ModelError : two of them.
    """
    found = [model for model in models if isinstance(model, IRFModel) and model.applies_to(dataset)]
    if len(found) > 1:
        raise too_many_irfs(dataset, found)
    return found[0] if found else None


def too_many_irfs(dataset: str, found: Iterable[IRFModel]) -> ModelError:
    """The error of a dataset to which several models of responses apply."""
    return ModelError(
        "GX-MODEL-203",
        "two IRFModels apply to one dataset",
        dataset=dataset,
        found=", ".join(model.name for model in found),
        expected="one",
    )


def scales_of(model: IRFModel | None) -> Scales:
    """Its numbers, those without effect None."""
    if model is None:
        return NO_SCALES
    values = {p.name: float(p.canonical) for p in model.irf.parameters}
    acting = {name: value for name, value in values.items() if name in NEUTRAL and value != NEUTRAL[name]}
    if "aeff_tilt" in acting:
        acting["reference"] = values["reference"]
    return Scales(**acting)


def on_source(scales: Scales, source: SkyModel) -> Scales:
    """Scales of the responses that a source is seen through: none of those that `apply_irf` leaves out."""
    applied = source.apply_irf
    if not applied["exposure"]:
        scales = scales._replace(aeff_norm=None, aeff_tilt=None, reference=None)
    if not applied["edisp"]:
        scales = scales._replace(energy_scale_reco=None)
    if not applied["exposure"] and not applied["edisp"]:
        scales = scales._replace(energy_scale_true=None)
    return scales if applied["psf"] else scales._replace(psf_width=None)
