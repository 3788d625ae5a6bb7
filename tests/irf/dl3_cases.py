"""Small responses with known values."""

import numpy as np
from astropy.io import fits

from gammax.irf import PSF3D, Background3D, EffectiveAreaTable2D, EnergyDependentMultiGaussPSF, PSFKing
from gammax.maps import MapAxes, MapAxis


def true_axis(nbin=4):
    return MapAxis.from_energy_bounds("0.1 TeV", "1000 TeV", nbin=nbin, name="energy_true")


def offset_axis(nodes=(0.0, 1.0, 2.0)):
    return MapAxis.from_nodes(nodes, "offset", unit="deg")


def linear_area():
    """1000 ln(E / 0.1 TeV) + 100 offset in m2: what bilinear interpolation in ln E gives back exactly."""
    axes = MapAxes([true_axis(), offset_axis()])
    energy, offset = axes["energy_true"].center_value("TeV"), axes["offset"].center_value("deg")
    data = 1000 * np.log(energy / 0.1)[:, None] + 100 * offset
    return EffectiveAreaTable2D(axes, data, meta={"OBS_ID": 7, "LO_THRES": 0.3})


def gauss_table(edges, sigma, norm=1.0):
    """Table of ring means of a Gaussian PSF, the same at all energies and offsets."""
    contained = 1 - np.exp(-(edges**2) / (2 * sigma**2))
    density = norm * np.diff(contained) / (np.pi * np.diff(np.deg2rad(edges) ** 2))
    axes = MapAxes([true_axis(), offset_axis(), MapAxis.from_edges(edges, "rad", unit="deg")])
    return PSF3D(axes, np.broadcast_to(density, (4, 3, len(density))), "sr-1")


def multi_gauss(**changes):
    """0.05 and 0.2 deg, the wide one with half of the events."""
    values = {"scale": 1.0, "sigma_1": 0.05, "ampl_2": 1 / 16, "sigma_2": 0.2, "ampl_3": 0.0, "sigma_3": 0.0} | changes
    return EnergyDependentMultiGaussPSF(MapAxes([true_axis(), offset_axis()]), tables(values))


def king(sigma=0.05, gamma=2.0):
    return PSFKing(MapAxes([true_axis(), offset_axis()]), tables({"sigma": sigma, "gamma": gamma}))


def tables(values):
    return {name: np.broadcast_to(np.asarray(value, float), (4, 3)) for name, value in values.items()}


def background(n_lon=3, n_lat=3):
    """Every cell its own rate."""
    energy = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=2)
    lon = MapAxis.from_bounds(-1, 1, n_lon, "fov_lon", unit="deg")
    lat = MapAxis.from_bounds(-2, 2, n_lat, "fov_lat", unit="deg")
    data = 1.0 + np.arange(2 * n_lon * n_lat).reshape(2, n_lon, n_lat)
    return Background3D(MapAxes([energy, lon, lat]), data, "s-1 MeV-1 sr-1")


def tampered(hdu, *, drop=(), rename=(), units=(), arrays=(), order=None, header=()):
    """Copy of a response table with columns dropped, renamed, in other units, with other arrays or in other order."""
    rename, units, arrays = dict(rename), dict(units), dict(arrays)
    columns = []
    for name in order or hdu.columns.names:
        if name in drop:
            continue
        array = np.asarray(arrays.get(name, hdu.data[name][0]), dtype=float)
        dim = "(" + ",".join(str(n) for n in reversed(array.shape)) + ")" if array.ndim > 1 else None
        unit = units.get(name, hdu.columns[name].unit)
        columns.append(fits.Column(rename.get(name, name), f"{array.size}D", unit=unit, array=array[None], dim=dim))
    kept = {key: value for key, value in hdu.header.items() if key.startswith("HDUCLA") or key == "FOVALIGN"}
    table = fits.BinTableHDU.from_columns(columns, name=hdu.name)
    table.header.update(kept | dict(header))
    return table
