"""A file of a batch knows the code and the data that it was begun with."""

import jax.numpy as jnp

from derivatives import toy_spectrum
from gammax.fit import Fit
from gammax.fit.batches._one_by_one import _fingerprint
from gammax.fit.batches._store import digest_of
from gammax.irf import EDispKernel
from gammax.maps import MapAxis
from gammax.models import FunctionSpectralModel, Models, PowerLawSpectralModel, SkyModel

NORM = "1e-12 TeV-1 s-1 cm-2"


def cutoff(energy_of_cutoff):
    """Models of one name and one source text, which differ by a number that their function closes over."""

    def flux(energy, amplitude, index):
        return amplitude * energy**-index * jnp.exp(-energy / energy_of_cutoff)

    return Models([SkyModel(FunctionSpectralModel(flux, {"amplitude": NORM, "index": 2.0}, "amplitude"), name="x")])


def line(factor):
    class Line(PowerLawSpectralModel):
        @staticmethod
        def evaluate(energy, index, amplitude, reference):
            return factor * amplitude * (energy / reference) ** -index

    return Models([SkyModel(Line(index=2, amplitude=NORM), name="x")])


def test_functions_and_classes_are_told_apart_by_what_they_compute():
    for make in (cutoff, line):
        same, again, other = (digest_of((), [make(number)]) for number in (2.0, 2.0, 3.0))
        assert same == again
        assert same != other


def test_datasets_are_told_apart_by_all_they_are():
    models = Models([SkyModel(PowerLawSpectralModel(index=2, amplitude=NORM), name="x")])
    a, b = toy_spectrum("cash", "a", 1), toy_spectrum("cash", "b", 2)
    exposure = a.exposure
    metres = a.replace(exposure=type(exposure)(exposure.geom, exposure.data, unit="m2 s"))
    narrow = toy_spectrum("cash", "a", 1, n_true=12)

    def told(members):
        return _fingerprint(Fit(), members, models)

    assert told([a]) == told([toy_spectrum("cash", "a", 1)])
    assert len({told([a]), told([metres]), told([narrow]), told([[a, b], [a]]), told([[a], [b, a]])}) == 5


def test_axes_of_responses_tell_too():
    """The same matrix over axes that differ by less than datasets mind, and in the scale of their bins."""
    spectrum = toy_spectrum("cash")
    edisp, fingerprints = spectrum.edisp, {_fingerprint(Fit(), [spectrum], Models([]))}
    true, energy = edisp.axes
    for axes in (
        (MapAxis(true.nodes * (1 + 1e-9), "energy_true", "log", "TeV"), energy),
        (true, MapAxis(energy.nodes, "energy", "lin", "TeV")),
    ):
        other = spectrum.replace(edisp=EDispKernel(axes, edisp.data))
        fingerprints.add(_fingerprint(Fit(), [other], Models([])))
    assert len(fingerprints) == 3
