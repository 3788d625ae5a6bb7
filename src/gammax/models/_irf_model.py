"""What is not known of an instrument's responses: energy scales, effective area, width of the PSF, per dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx

from gammax.errors import ModelError
from gammax.models._declared import DeclaredModel
from gammax.models._parameter import Parameter, parameter
from gammax.models._prior import Prior
from gammax.models._sky_model import Component, dataset_names


class IRFScales(DeclaredModel):
    """The parameters of an `IRFModel`, all neutral and frozen until a user wants them."""

    energy_scale_true: Parameter = parameter(0.0, min=-0.5, max=0.5, frozen=True)
    energy_scale_reco: Parameter = parameter(0.0, min=-0.5, max=0.5, frozen=True)
    aeff_norm: Parameter = parameter(1.0, min=0.0, frozen=True)
    aeff_tilt: Parameter = parameter(0.0, frozen=True)
    reference: Parameter = parameter("1 TeV", min=0.0, frozen=True)
    psf_width: Parameter = parameter(1.0, min=0.1, max=10.0, frozen=True)


class IRFModel(Component):
    """How the responses of some datasets differ from what their files say.

    A prior in place of a number frees a parameter and says how well it is known::

        IRFModel("hess", ["hess-23523", "hess-23526"], energy_scale_true=GaussianPrior(0, 0.15))

    Parameters
    ----------
    name : how tables and files call it; its parameters are ``<name>.irf.energy_scale_true`` ...
    datasets_names : the datasets whose responses it changes, together. To each dataset one model applies at most.
    energy_scale_true : z, the scale of the true energy. Effective area and energy dispersion shift together: a spectrum
        f is seen as f(E / (1 + z)) / (1 + z) (Nigro et al. 2019, A&A 625 A10).
    energy_scale_reco : s, the scale of the reconstructed energy, energy dispersion alone. Of an event reconstructed at
        E the energy is E (1 + s); effective area and true energy stay. Signal alone moves, not the background. Counts
        between the edges of bins are those of a cubic spline through the cumulative counts in ln E: they should vary
        smoothly from one bin to the next. What comes in from beyond the ends of the axis is a guess, so that an axis
        should reach further than the bins of a fit.
    aeff_norm, aeff_tilt, reference : factor on the effective area, norm (E / reference)^-tilt at the centres of the
        true-energy bins.
    psf_width : factor on all angles of the PSF.

    Each of the six is a number (or "3 TeV" for `reference`), which stays frozen, a `Prior`, which frees it, or a whole
    `Parameter`.

    Raises
    ------
    ModelError : no name or dataset, a parameter that there is none of.
    """

    tag: ClassVar = ("irf",)

    irf: IRFScales
    name: str = eqx.field(static=True)
    datasets_names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, name: str, datasets_names: str | Sequence[str], **scales: Any):
        if not isinstance(name, str) or not name:
            raise ModelError("GX-MODEL-201", "an IRFModel needs a name", found=repr(name))
        if not datasets_names:
            raise ModelError(
                "GX-MODEL-202",
                "an IRFModel is for the datasets that it names",
                model=name,
                found=repr(datasets_names),
                expected="datasets_names of at least one name",
            )
        self.name, self.datasets_names = name, dataset_names(datasets_names)
        default = IRFScales.default_parameters()
        free = {
            key: default[key].replace(frozen=False, prior=value)
            for key, value in scales.items()
            if key in default and isinstance(value, Prior)
        }
        self.irf = IRFScales(**{**scales, **free})

    @property
    def spectral_model(self) -> None:
        """None: responses have no flux."""

    @property
    def spatial_model(self) -> None:
        """None: responses have no shape."""

    @property
    def parts(self) -> dict[str, DeclaredModel]:
        """The parameters, by "irf"."""
        return {"irf": self.irf}

    def replace(self, **changes: Any) -> IRFModel:
        """Model with another name, other datasets, or some parameters changed, as `DeclaredModel.replace` does.

        Raises
        ------
        ModelError : a name that is none of these. UnitError : a unit that does not fit.
        """
        own = {key: changes.pop(key, getattr(self, key)) for key in ("name", "datasets_names")}
        return self._of(self.irf.replace(**changes), **own)

    def _of(self, irf: IRFScales, **own: Any) -> IRFModel:
        own = {"name": self.name, "datasets_names": self.datasets_names, **own}
        return IRFModel(**own, **{p.name: p for p in irf.parameters})

    def _with_parts(self, model_type: str | None, change: Callable[[Any], Any]) -> IRFModel:
        # of the parts that can be asked for by type it has none
        return self._of(change(self.irf)) if model_type is None else super()._with_parts(model_type, change)
