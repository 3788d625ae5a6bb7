"""Cubes of observations in memory whose reduction is known in closed form."""

import numpy as np
from small_run import ENERGY, POINTING, TRUE, observation

from gammax.datasets import MapDataset
from gammax.irf import Background3D
from gammax.makers import MapDatasetMaker
from gammax.maps import MapAxes, MapAxis, WcsGeom

INDEX, RATE = 2.7, 3.0
TABLE = MapAxis.from_energy_bounds("0.05 TeV", "50 TeV", nbin=12)
LON, LAT = (MapAxis.from_bounds(-2, 2, 40, name, unit="deg") for name in ("fov_lon", "fov_lat"))


def reference(npix=20, binsz=0.1, skydir=POINTING, **changes):
    """Empty dataset, 0.1 deg pixels."""
    geom = WcsGeom.create(npix=npix, binsz=binsz, skydir=skydir, proj="TAN", axes=[ENERGY])
    return MapDataset.create(geom, TRUE, binsz_irf=0.5, **{"name": "empty", **changes})


def field(shape=1.0, **changes):
    """Background rate 3 E^-2.7 / (s TeV sr) times a shape (fov_lon, fov_lat)."""
    rate = RATE * TABLE.center_value("TeV") ** -INDEX
    data = rate[:, None, None] * np.broadcast_to(shape, (40, 40))
    return Background3D(MapAxes([TABLE, LON, LAT]), data, "s-1 TeV-1 sr-1", **changes)


def quarter(sign_lon, sign_lat, **changes):
    """Rate in one quarter of the field of view alone."""
    lon, lat = (np.sign(axis.center_value("deg")) for axis in (LON, LAT))
    return field((lon[:, None] == sign_lon) & (lat == sign_lat), **changes)


def power_law(edges):
    """Integral of E^-2.7 over bins."""
    return np.diff(edges ** (1 - INDEX)) / (1 - INDEX)


def cube(*groups, maker=None, npix=20, name="run", **irfs):
    """Cube of one run with the flat background."""
    obs = observation(*groups, **{"bkg": field(), **irfs})
    return (maker or MapDatasetMaker()).run(reference(npix, name=name), obs)
