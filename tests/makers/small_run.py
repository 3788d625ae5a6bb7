"""Observations in memory whose reduction is known in closed form."""

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from regions import CircleSkyRegion, PointSkyRegion

from gammax.data import EventList, Observation
from gammax.datasets import SpectrumDataset
from gammax.irf import EffectiveAreaTable2D, EnergyDependentMultiGaussPSF, EnergyDispersion2D, RadMax2D
from gammax.maps import MapAxes, MapAxis, RegionGeom

POINTING = SkyCoord(83.6, 22.5, unit="deg")
SOURCE = POINTING.directional_offset_by(180 * u.deg, 0.5 * u.deg)
ENERGY = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=4)
TRUE = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=8, name="energy_true")
AREA, LIVETIME, SIGMA = 1e9, 1000.0, 0.06
_TABLE = MapAxis.from_energy_bounds("0.01 TeV", "100 TeV", nbin=8, name="energy_true")
_OFFSET = MapAxis.from_edges([0.0, 1.0, 2.0], "offset", unit="deg")


def area(data=AREA, pointlike=False, **meta):
    """The same area everywhere, up to 2 deg off."""
    values = np.broadcast_to(np.asarray(data, float), (8, 2))
    return EffectiveAreaTable2D(MapAxes([_TABLE, _OFFSET]), values, "cm2", pointlike, meta)


def dispersion(pointlike=False, **meta):
    migra = MapAxis.from_edges(np.linspace(0.2, 2, 181), "migra")
    gauss = EnergyDispersion2D.from_gauss(_TABLE, migra, _OFFSET, bias=0.0, sigma=0.1)
    return EnergyDispersion2D(gauss.axes, gauss.data, "", pointlike, meta)


def psf():
    """Gaussian of 0.06 deg."""
    tables = {"scale": 1.0, "sigma_1": SIGMA, "ampl_2": 0.0, "sigma_2": 0.0, "ampl_3": 0.0, "sigma_3": 0.0}
    axes = MapAxes([_TABLE, _OFFSET])
    return EnergyDependentMultiGaussPSF(axes, {name: np.full((8, 2), value) for name, value in tables.items()})


def rad_max(cuts=(0.2, 0.1)):
    """0.2 deg below 1 TeV, 0.1 deg above."""
    energy = MapAxis.from_edges([0.1, 1.0, 10.0], "energy", interp="log", unit="TeV")
    offset = MapAxis.from_edges([0.0, 1.0], "offset", unit="deg")
    return RadMax2D(MapAxes([energy, offset]), np.array(cuts)[:, None], "deg")


def around(center, distances, energies, angle=90.0):
    """Directions and energies of events at distances [deg] from a centre, all in one direction."""
    return center.directional_offset_by(angle * u.deg, np.asarray(distances) * u.deg), np.asarray(energies, float)


def events(*groups):
    """Event list from what `around` gives."""
    ra = np.concatenate([np.atleast_1d(sky.ra.deg) for sky, _ in groups] or [[]])
    dec = np.concatenate([np.atleast_1d(sky.dec.deg) for sky, _ in groups] or [[]])
    energy = np.concatenate([np.atleast_1d(e) for _, e in groups] or [[]])
    time = np.linspace(1, LIVETIME - 1, len(energy))
    return EventList.create(time * u.s, energy * u.TeV, SkyCoord(ra, dec, unit="deg"))


def observation(*groups, obs_id=7, pointing=POINTING, **irfs):
    irfs = {"aeff": area(), "edisp": dispersion(), "psf": psf()} | irfs
    irfs = {name: irf for name, irf in irfs.items() if irf is not None}
    listed = events(*groups)
    return Observation.create(pointing, obs_id=obs_id, livetime=LIVETIME * u.s, irfs=irfs, events=listed)


def empty(region=None, radius=0.1):
    region = CircleSkyRegion(SOURCE, radius * u.deg) if region is None else region
    return SpectrumDataset.create(RegionGeom.create(region, [ENERGY]), TRUE, "empty")


def point():
    return empty(PointSkyRegion(SOURCE))
