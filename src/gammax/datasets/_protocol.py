"""What a user's own data must offer to join a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from jax import Array

    from gammax.models import Models


@runtime_checkable
class Dataset(Protocol):
    """Data of your own with a statistic of your own, fitted together with spectra and cubes.

    X-ray or radio points, a likelihood profile, a measurement of another experiment: any object with these three
    members will do, derived from nothing. An `equinox.Module` is best: its arrays are data of the compiled program, so
    that other data of the same shape compile nothing anew; any other object is closed over, and compiled again in every
    likelihood::

        class XRayPoints(eqx.Module):
            name: str = eqx.field(static=True)
            energy: Array  # [TeV]
            flux: Array  # [TeV-1 s-1 cm-2]
            error: Array

            def npred(self, models):
                return models["source"].spectral_model.dnde(self.energy)

            def statistic(self, npred):
                return chi2(self.flux, npred, self.error)

        Fit().run([*spectra, XRayPoints("swift", energy, flux, error)], models)

    Both methods are pure JAX functions of float64 numbers without units. Inside `npred` a spectral model gives
    ``dnde(energy)`` [TeV-1 s-1 cm-2], ``integral_values(edges)`` [s-1 cm-2] and ``energy_flux_values(edges)``
    [TeV s-1 cm-2] for energies in TeV, a spatial model ``values(lon, lat)`` [sr-1] for degrees in its frame. A
    parameter, ``models["source"].spectral_model.index`` or ``models.parameters["source.spectral.index"]``, has its
    number in its own unit as ``value`` and in TeV, cm, s, deg as ``canonical``.

    A method ``with_data(values)``, which gives the same dataset had it measured `values` in place of its data, is asked
    for where data are exchanged: by Asimov data and by simulations. `Likelihood.with_dataset` exchanges all arrays.

    Attributes
    ----------
    name : by which models (`datasets_names`) and results refer to it.
    """

    name: str

    def npred(self, models: Models) -> Array:
        """What is expected of the data, an array of any shape, for the models that apply to the dataset."""
        ...

    def statistic(self, npred: Array) -> Any:
        """-2 ln L of the data where `npred` is expected: per point, in its shape; or, of points that are correlated, in
        any other shape, one number for instance. The sum counts."""
        ...
