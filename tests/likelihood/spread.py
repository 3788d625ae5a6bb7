"""Datasets of three kinds, for every process the same, and what they are fitted with."""

from cubes import make_cube
from derivatives import toy_spectrum
from gammax.models import (
    FoVBackgroundModel,
    GaussianPrior,
    Models,
    PointSpatialModel,
    PowerLawSpectralModel,
    SkyModel,
)

N_SPECTRA, N_CUBES = 5, 2


def spectra():
    """Five spectra of one shape: not a multiple of two."""
    return [toy_spectrum("wstat", f"run {i}", i) for i in range(N_SPECTRA)]


def cubes():
    """Two cubes of one shape."""
    return [make_cube(f"cube {i}", i) for i in range(N_CUBES)]


def models():
    """A point source of known place seen by all, with a prior, and a background for each cube."""
    spectrum = PowerLawSpectralModel(index=2.3, amplitude="2e-11 TeV-1 s-1 cm-2")
    place = PointSpatialModel(lon_0="83.6 deg", lat_0="22 deg").freeze()
    source = SkyModel(spectrum, spatial_model=place, name="source")
    backgrounds = [FoVBackgroundModel(dataset_name=f"cube {i}") for i in range(N_CUBES)]
    return Models([source, *backgrounds]).with_prior("source.spectral.index", GaussianPrior(2.4, 0.1))


def moving_models():
    """The source in cubes alone, its place free and some steps away."""
    spectrum = PowerLawSpectralModel(index=2.3, amplitude="1e-12 TeV-1 s-1 cm-2")
    place = PointSpatialModel(lon_0="83.7 deg", lat_0="21.95 deg")
    source = SkyModel(spectrum, spatial_model=place, name="source")
    return Models([source, *models()[1:]])
