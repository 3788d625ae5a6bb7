"""Point spread functions in the pixels of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits

from gammax.errors import DataValueError, GeometryError, SchemaError, did_you_mean
from gammax.irf._gtpsf import gtpsf_hdus, read_gtpsf
from gammax.irf._irf_map import IRFMap, Map
from gammax.irf._irf_map_files import check_format
from gammax.irf._irf_map_plot import peek_psf, plot_psf_rad, plot_psf_radii
from gammax.irf._psf_kernel import PSFKernel
from gammax.irf._psf_kernel_make import kernel_map
from gammax.irf._psf_profile import SR, closed_profile, integral_to, radius_of, ring_sums
from gammax.irf._spectrum_weights import spectrum_weights
from gammax.maps import MapAxis, RegionGeom, RegionNDMap, WcsNDMap
from gammax.units import to_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METHODS = ("linear", "gammapy")
# of the radial axis, in which the peer looks for the radius
_FINE = 20


def rad_axis_default() -> MapAxis:
    """The field's radial axis: 66 bins from 0 to 0.66 deg."""
    return MapAxis.from_bounds(0.0, 0.66, 66, "rad", unit="deg")


@dataclass(frozen=True, eq=False, repr=False)
class PSFMap(IRFMap):
    """Density per solid angle over the distance to the source, in the pixels of an image or in one region.

    Parameters
    ----------
    psf_map : map with the axes (rad, energy_true), in sr-1 or a unit that converts to it.
    exposure_map : its exposure, with rad in one bin; the weight of means over energy, pixels and observations.

    Between pixels, and between energies (ln E), tables are interpolated linearly, as they are in the distance: at a
    position whose pixel is empty the nearest that is not stands in.

    Containment methods: "linear", the integral of the density, linear between the centres of the rings, as a fraction
    of what the table holds; "gammapy", the running sum of 2 pi r dr density, linear between the edges of the rings, not
    normalised (radii are looked for in a twentieth of a ring): the rule of the peer, to the last digit.

    Raises
    ------
    GeometryError : other axes, or an exposure that does not fit. UnitError : another unit.
    DataValueError : numbers that are not finite.
    """

    tag: ClassVar[str] = "psf_map"
    axis_names: ClassVar[tuple[str, str]] = ("rad", "energy_true")
    field: ClassVar[str] = "psf_map"
    hdu: ClassVar[str] = "PSF"
    unit: ClassVar[str] = "sr-1"
    lookup: ClassVar[str] = "linear"
    formats: ClassVar[tuple[str, ...]] = ("gadf", "gtpsf")

    psf_map: Map
    exposure_map: Map | None = None

    @classmethod
    def from_gauss(
        cls, energy_axis_true: MapAxis, rad_axis: MapAxis | None = None, sigma: Any = "0.1 deg", geom: Any = None
    ) -> Self:
        """Gaussian PSF, the same at all positions.

        Parameters
        ----------
        rad_axis : radial axis; 66 bins from 0 to 0.66 deg by default.
        sigma : width, one or one per energy.
        geom : image to put it on; without, it holds everywhere.
        """
        rad_axis = rad_axis_default() if rad_axis is None else rad_axis
        width = np.broadcast_to(to_value(sigma, "deg", "sigma"), energy_axis_true.nbin)[:, np.newaxis]
        if not np.all(width > 0):
            raise DataValueError("GX-IRF-140", "the width of a Gaussian PSF must be positive", found=sigma)
        rad = rad_axis.center_value("deg")
        density = np.exp(-(rad**2) / (2 * width**2)) / (2 * np.pi * width**2 * SR)
        axes = (rad_axis, energy_axis_true)
        image = RegionGeom(None) if geom is None else geom.to_image()
        geom = image.replace_axes(axes)
        data = np.broadcast_to(density[..., np.newaxis, np.newaxis], geom.data_shape)
        make = RegionNDMap if isinstance(geom, RegionGeom) else WcsNDMap
        squashed = geom.squash("rad")
        return cls(make(geom, data, "sr-1"), make(squashed, np.ones(squashed.data_shape), "m2 s"))

    @property
    def rad_axis(self) -> MapAxis:
        """Radial axis."""
        return self.geom.axes["rad"]

    @property
    def _factor(self) -> float:
        """Of sr-1."""
        return float(u.Unit(self.psf_map.unit).to("sr-1"))

    def _energies(self, energy: Any) -> np.ndarray:
        """Plain energies [TeV], those of the axis by default."""
        return self.energy_axis.center_value("TeV") if energy is None else to_value(energy, "TeV", self.axis_names[1])

    def _tables(self, energy: np.ndarray, position: SkyCoord | None, method: str | None) -> np.ndarray:
        """Densities [sr-1] of the rings at energies [TeV], shape (energies, rings)."""
        return self._between(self.values_at(position, method) * self._factor, energy)

    def _between(self, table: np.ndarray, energy: np.ndarray) -> np.ndarray:
        """Tables, energies first, at other energies [TeV]: lines in ln E, which go on outside."""
        if self.energy_axis.nbin == 1:
            return np.broadcast_to(table, (len(energy), *table.shape[1:]))
        pix = self.energy_axis.coord_to_pix(u.Quantity(energy, "TeV"))
        low = np.clip(np.floor(pix), 0, len(table) - 2).astype(int)
        part = (pix - low).reshape(-1, *[1] * (table.ndim - 1))
        return table[low] * (1 - part) + table[low + 1] * part

    def _closed(self, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return closed_profile(self.rad_axis.center_value("deg"), table, float(self.rad_axis.edges_value("deg")[-1]))

    def profile(
        self, position: SkyCoord | None = None, energy_true: Any = None, method: str | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Density at a position, as plain arrays.

        Parameters
        ----------
        position : one position; the middle of the map by default. energy_true : energies, those of the map by default.
        method : "linear" between the pixels, or "nearest".

        Returns
        -------
        rad : nodes [deg] from 0 to the outer edge of the table, shape (n,).
        density : values [sr-1], shape (energies, n), not negative; linear between the nodes, 0 beyond them. As the map
            holds it, not normalised; 0 at energies without response.
        """
        return self._closed(self._tables(np.atleast_1d(self._energies(energy_true)), position, method))

    def evaluate(self, rad: Any, energy_true: Any, position: SkyCoord | None = None) -> u.Quantity:
        """Density at distances and energies, which broadcast, at one position."""
        distance, energy = np.broadcast_arrays(to_value(rad, "deg", "rad"), self._energies(energy_true))
        nodes, values = self.profile(position, u.Quantity(energy.ravel(), "TeV"))
        found = [np.interp(x, nodes, row, right=0.0) for x, row in zip(distance.ravel(), values, strict=True)]
        return u.Quantity(np.reshape(found, distance.shape), "sr-1")

    def containment(
        self, rad: Any, energy_true: Any, position: SkyCoord | None = None, method: str = "linear"
    ) -> np.ndarray:
        """Fraction of the events within `rad`, which broadcasts with the energies, at one position.

        0 at energies without response.
        """
        self._check_method(method)
        distance, energy = np.broadcast_arrays(to_value(rad, "deg", "rad"), self._energies(energy_true))
        x, energies = distance.ravel(), energy.ravel()
        if method == "gammapy":
            edges, sums = self._rings(energies, position)
            found = [np.interp(r, edges, row) for r, row in zip(x, sums, strict=True)]
            return np.reshape(found, distance.shape)
        nodes, values = self.profile(position, u.Quantity(energies, "TeV"))
        total = integral_to(nodes, values, nodes[-1:])[:, 0]
        inside = integral_to(nodes, values, x[:, np.newaxis])[:, 0]
        return np.reshape(np.divide(inside, total, out=np.zeros_like(total), where=total > 0), distance.shape)

    def _rings(self, energy: np.ndarray, position: SkyCoord | None) -> tuple[np.ndarray, np.ndarray]:
        """Edges [deg] and running sums up to them."""
        edges = self.rad_axis.edges_value("deg")
        sums = ring_sums(self.rad_axis.center_value("deg"), edges, self._tables(energy, position, None))
        return edges, np.concatenate([np.zeros((len(sums), 1)), np.maximum(sums, 0.0)], axis=1)

    def containment_radius(
        self, fraction: float, energy_true: Any = None, position: SkyCoord | None = None, method: str = "linear"
    ) -> u.Quantity:
        """Radius that holds a fraction of the events, at energies (those of the map by default) and one position.

        NaN at energies without response.

        Raises
        ------
        DataValueError : a fraction outside (0, 1).
        """
        self._check_method(method)
        if not 0 < fraction < 1:
            raise DataValueError("GX-IRF-141", "a containment fraction lies between 0 and 1", found=fraction)
        energy = self._energies(energy_true)
        energies = np.atleast_1d(energy).ravel()
        if method == "gammapy":
            radius = self._radius_of_the_peer(fraction, energies, position)
        else:
            radius = radius_of(*self.profile(position, u.Quantity(energies, "TeV")), fraction)
        return u.Quantity(radius.reshape(energy.shape), "deg")

    def _radius_of_the_peer(self, fraction: float, energy: np.ndarray, position: SkyCoord | None) -> np.ndarray:
        edges, sums = self._rings(energy, position)
        # below the first edge its sums go on as the line through the next
        upper, sums = edges[1:], sums[:, 1:]
        fine = _fine(self.rad_axis)
        first = np.diff(sums[:, :2], axis=1) / np.diff(upper[:2])
        contained = np.array([np.interp(fine, upper, row) for row in sums])
        contained = np.where(fine < upper[0], sums[:, :1] + first * (fine - upper[0]), contained)
        low = upper[0] - (upper[1] - upper[0]) / 2
        contained = np.where(fine < low, 0.0, np.maximum(contained, 0.0))
        radius = fine[np.argmin(np.abs(contained - fraction), axis=1)]
        return np.where(sums[:, -1] > 0, radius, np.nan)

    def containment_radius_map(self, energy_true: Any, fraction: float = 0.68) -> Map:
        """Image of the radius [deg] that holds a fraction at one energy; NaN in pixels without response."""
        geom = self.geom.to_image()
        energy = np.atleast_1d(self._energies(energy_true))
        tables = self._between(self.psf_map.data, energy)[0].reshape(self.rad_axis.nbin, -1).T
        radii = radius_of(*self._closed(tables), fraction)
        return type(self.psf_map)(geom, radii.reshape(geom.data_shape), "deg")

    def normalize(self) -> Self:
        """PSF whose running sum (method "gammapy") is 1 at its largest; 0 where there is no density."""
        data = self.psf_map.data * self._factor
        rings = self.rad_axis.center_value("deg"), self.rad_axis.edges_value("deg"), np.moveaxis(data, 1, -1)
        sums = ring_sums(*rings).max(axis=-1)[:, np.newaxis]
        normed = np.divide(data, sums, out=np.zeros_like(data), where=sums > 0)
        return self._with(self.psf_map.replace(data=normed, unit="sr-1"), self.exposure_map)

    def get_psf_kernel(
        self,
        geom: Any,
        position: SkyCoord | None = None,
        max_radius: Any = None,
        containment: float = 0.999,
        precision_factor: int = 12,
    ) -> PSFKernel:
        """Fractions of the events of a point source in the pixels around it, for convolution.

        By the rule of the peer: the density at up to 4 x 4 points per pixel, the source in the middle of one, within
        the radius that holds `containment`, then normalised.

        Parameters
        ----------
        geom : image with an energy axis of the kind of this map; pixel size, projection and energies are taken.
        max_radius : largest radius. precision_factor : points per radius of 68 % that are asked for.

        Raises
        ------
        GeometryError : no image, or no energy axis.
        """
        name = self.axis_names[1]
        if isinstance(geom, RegionGeom) or geom.axes.names != (name,):
            raise GeometryError("GX-IRF-142", f"a kernel needs an image with the axis {name}", found=geom)
        axis = geom.axes[name]
        position = self.nearest_valid_position(position)
        energy = axis.center
        radii = self.containment_radius(containment, energy, position, "gammapy").to_value("deg")
        r68 = self.containment_radius(0.68, energy, position, "gammapy").to_value("deg")
        if max_radius is not None:
            radii = np.minimum(radii, to_value(max_radius, "deg", "max_radius"))
        if not np.isfinite(radii).any():
            raise DataValueError("GX-IRF-143", "the PSF is zero at all energies", expected="a position with a response")
        rad = self.rad_axis.center_value("deg")
        tables = self._tables(axis.center_value("TeV"), position, None)
        reach = None if max_radius is None else float(to_value(max_radius, "deg"))
        return PSFKernel(kernel_map(geom, rad, tables, radii, r68, precision_factor, reach))

    def to_image(self, spectral_model: Any = None) -> Self:
        """PSF of one energy bin: the mean with exposure times flux as weight.

        Parameters
        ----------
        spectral_model : flux, a power law of index 2 by default.
        """
        weights = spectrum_weights(self.energy_axis, spectral_model)[:, np.newaxis, np.newaxis, np.newaxis]
        exposure = self._exposure()
        weighted = exposure.data * weights
        total = weighted.sum(axis=0, keepdims=True)
        events = (self.psf_map.data * weighted).sum(axis=0, keepdims=True)
        data = np.divide(events, total, out=np.zeros_like(events), where=total > 0)
        geom = self.geom.squash(self.axis_names[1])
        return self._with(
            self.psf_map.replace(geom=geom, data=data), exposure.replace(geom=geom.squash("rad"), data=total)
        )

    @staticmethod
    def _check_method(method: str) -> None:
        if method not in METHODS:
            raise SchemaError("GX-IRF-144", f"unknown containment method {method!r}", do=did_you_mean(method, METHODS))

    def to_hdulist(self, format: str = "gadf") -> fits.HDUList:
        """HDUs of the response; as "gtpsf" where it is one for all positions.

        Raises
        ------
        SchemaError : unknown format. GeometryError : an image as "gtpsf".
        """
        check_format(format, self.formats)
        if format == "gadf":
            return super().to_hdulist()
        if not isinstance(self.psf_map, RegionNDMap):
            raise GeometryError("GX-IRF-145", "gtpsf files hold one PSF", do="to_region_nd_map() first")
        return fits.HDUList([fits.PrimaryHDU(), *gtpsf_hdus(self.psf_map, self._exposure())])

    @classmethod
    def from_hdulist(cls, hdus: fits.HDUList, hdu: str | None = None, format: str = "gadf") -> Any:
        """Response from gadf HDUs, see `IRFMap.from_hdulist`, or from the file of the Fermi tool "gtpsf"."""
        if format != "gtpsf":
            return super().from_hdulist(hdus, hdu, format)
        check_format(format, cls.formats)
        return cls(*read_gtpsf(hdus))

    def plot_containment_radius_vs_energy(
        self, ax: Axes | None = None, fraction: Any = (0.68, 0.95), position: SkyCoord | None = None, **kwargs: Any
    ) -> Axes:
        """Containment radius over energy, one line per fraction; `kwargs` go to ``plot``."""
        return plot_psf_radii(self, ax, fraction, position, **kwargs)

    def plot_psf_vs_rad(
        self, ax: Axes | None = None, energy_true: Any = None, position: SkyCoord | None = None, **kwargs: Any
    ) -> Axes:
        """Density over distance, one line per energy (0.1, 1 and 10 TeV by default); `kwargs` go to ``plot``."""
        return plot_psf_rad(self, ax, energy_true, position, **kwargs)

    def peek(self) -> Figure:
        """Radii over energy, density over distance, exposure and an image of the radius in one figure."""
        return peek_psf(self)


def _fine(axis: MapAxis) -> np.ndarray:
    """Centres [deg] of the parts of bins; between the first and the last node where the axis is one of nodes."""
    if axis.node_type == "center":
        pix = np.arange(_FINE * (axis.nbin - 1) + 1) / _FINE
    else:
        pix = (np.arange(_FINE * axis.nbin) + 0.5) / _FINE - 0.5
    return np.asarray(axis.pix_to_coord(pix).to_value("deg"))
