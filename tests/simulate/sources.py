"""Runs to simulate: the demo's responses, a pointing, a source half a degree away."""

from itertools import pairwise

import astropy.units as u
import numpy as np
from astropy.coordinates import EarthLocation, SkyCoord
from scipy.integrate import quad

from gammax.data import Observation
from gammax.irf import Background2D, Background3D
from gammax.maps import MapAxes, MapAxis
from gammax.models import PointSpatialModel, PowerLawSpectralModel, SkyModel
from gammax.simulate._demo_irfs import demo_irfs

POINTING = SkyCoord(83.63, 22.51, unit="deg")
SOURCE = SkyCoord(83.63, 22.01, unit="deg")
OFFSET = 0.5
INDEX, AMPLITUDE = 2.6, 3.8e-11
SITE = EarthLocation.from_geodetic(0 * u.deg, 30 * u.deg, 2000 * u.m)
IRFS = demo_irfs()


def source(name="source", place=SOURCE, **changes):
    values = {"index": INDEX, "amplitude": f"{AMPLITUDE} cm-2 s-1 TeV-1"} | changes
    return SkyModel(PowerLawSpectralModel(**values), name, spatial_model=PointSpatialModel.from_position(place))


def empty_run(hours=1.0, obs_id=1, dead=0.0, **irfs):
    """Run without events; a response given as None is left out."""
    given = {name: irf for name, irf in (IRFS | irfs).items() if irf is not None}
    return Observation.create(
        POINTING, SITE, obs_id, livetime=hours * u.h, irfs=given, deadtime_fraction=dead, reference_time="2020-12-15"
    )


def expected_rate(low, high, aeff=IRFS["aeff"], index=INDEX, amplitude=AMPLITUDE):
    """Events per second with true energies [TeV] in an interval, by adaptive integration between the table's nodes."""
    nodes = aeff.axes["energy_true"].center_value("TeV")
    ends = np.unique(np.clip(np.concatenate([[low, high], nodes]), low, high))

    def rate(log_energy):
        energy = np.exp(log_energy)
        return energy ** (1 - index) * amplitude * float(aeff.values(energy_true=energy, offset=OFFSET))

    return sum(quad(rate, *np.log(pair), epsrel=1e-10)[0] for pair in pairwise(ends))


def patch_background(lon, lat, alignment="RADEC", rate=1.0):
    """Background3D that is there in one rectangle [deg] alone."""
    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2)
    axes = MapAxes(
        [energy, MapAxis.from_edges(lon, "fov_lon", unit="deg"), MapAxis.from_edges(lat, "fov_lat", unit="deg")]
    )
    return Background3D(axes, np.full((2, len(lon) - 1, len(lat) - 1), rate), "s-1 TeV-1 sr-1", fov_alignment=alignment)


def radial_background(rate=1.0):
    """Flat Background2D out to 2 deg."""
    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2)
    axes = MapAxes([energy, MapAxis.from_edges([0.0, 1.0, 2.0], "offset", unit="deg")])
    return Background2D(axes, np.full((2, 2), rate), "s-1 TeV-1 sr-1")
