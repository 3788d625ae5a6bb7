"""Point spread functions given by parameters over true energy and offset."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import astropy.units as u
import numpy as np
from astropy.io import fits

from gammax.errors import DataValueError, GeometryError
from gammax.irf._dl3_table import cell_name, is_pointlike, read_cube, read_meta
from gammax.irf._grid import multilinear
from gammax.irf._psf import PSF3D, PSFBase
from gammax.maps import MapAxes, MapAxis
from gammax.units import parse_unit

# steradian per square degree
_SR = np.deg2rad(1.0) ** 2


@dataclass(frozen=True, eq=False, repr=False)
class ParametricPSF(PSFBase):
    """PSF whose parameters are tables over (energy_true, offset).

    Parameters
    ----------
    axes : axes (energy_true, offset).
    parameters : one array per parameter, float64, widths in deg. A cell whose first width is 0 is empty: nothing was
        simulated there. It takes the parameters of the nearest cell in energy, then in offset.
    is_pointlike, meta : as for other responses.

    Parameters are linear in ln E and offset between bin centres and up to the outer edges; beyond, those of the edge.
    """

    columns: ClassVar[dict[str, str | None]]
    axis_names = ("energy_true", "offset")
    hduclas2 = "RPSF"
    condition: ClassVar[str]

    parameters: dict[str, np.ndarray]
    is_pointlike: bool = False
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        axes = self._check_axes()
        shape = tuple(axis.nbin for axis in axes)
        parameters = {}
        for name in self.columns:
            values = np.array(self.parameters.get(name.lower(), np.nan), dtype=np.float64)
            if values.shape != shape:
                raise GeometryError(
                    "GX-IRF-070",
                    f"{type(self).__name__}: parameter {name.lower()} and axes differ",
                    found=values.shape,
                    expected=shape,
                )
            values.setflags(write=False)
            parameters[name.lower()] = values
        object.__setattr__(self, "axes", axes)
        object.__setattr__(self, "parameters", parameters)
        self._check(parameters, axes)
        object.__setattr__(self, "_tables", self._filled())

    @classmethod
    def _check(cls, parameters: dict[str, np.ndarray], axes: MapAxes, **where: str | None) -> None:
        defined = cls._defined(parameters)
        if not defined.any():
            raise DataValueError("GX-IRF-071", "the PSF is zero everywhere", **where)
        bad = defined & ~cls._valid(parameters)
        if bad.any():
            raise DataValueError(
                "GX-IRF-072",
                f"{bad.sum()} of {bad.size} cells are no PSF",
                cell=cell_name(axes, np.argwhere(bad)[0]),
                expected=cls.condition,
                **where,
            )

    @staticmethod
    def _defined(parameters: dict[str, np.ndarray]) -> np.ndarray:
        """Cells that are not empty."""
        raise NotImplementedError

    @staticmethod
    def _valid(parameters: dict[str, np.ndarray]) -> np.ndarray:
        """Cells whose parameters make a density."""
        raise NotImplementedError

    @staticmethod
    def _density(rad: np.ndarray, parameters: dict[str, np.ndarray]) -> np.ndarray:
        """Density per square degree."""
        raise NotImplementedError

    @staticmethod
    def _contained(rad: np.ndarray, parameters: dict[str, np.ndarray]) -> np.ndarray:
        """Containment."""
        raise NotImplementedError

    def _filled(self) -> dict[str, np.ndarray]:
        """Parameters with those of the nearest cell in each empty one."""
        defined = self._defined(self.parameters)
        energies, offsets = np.nonzero(defined)
        tables = {name: values.copy() for name, values in self.parameters.items()}
        for e, o in np.argwhere(~defined):
            nearest = np.argmin(np.abs(energies - e) + np.abs(offsets - o) * defined.shape[0])
            for name, values in self.parameters.items():
                tables[name][e, o] = values[energies[nearest], offsets[nearest]]
        return tables

    def parameter_values(self, energy_true: np.ndarray, offset: np.ndarray) -> dict[str, np.ndarray]:
        """Parameters at plain energies in TeV and offsets in deg."""
        nodes = [self._nodes(name) for name in self.axis_names]
        coords = {"energy_true": energy_true, "offset": offset}
        place = [self._scaled(name, self._clipped(name, x)) for name, x in coords.items()]
        between = [np.clip(x, node[0], node[-1]) for x, node in zip(place, nodes, strict=True)]
        found = {name: multilinear(nodes, table, place) for name, table in self._tables.items()}
        safe = {name: multilinear(nodes, table, between) for name, table in self._tables.items()}
        # a width must not be extrapolated to nothing in the outer half of the last bin
        valid = self._valid(found)
        return {name: np.where(valid, values, safe[name]) for name, values in found.items()}

    def evaluate(self, rad: Any, energy_true: Any, offset: Any) -> u.Quantity:
        """Density per solid angle at distance `rad` from the source."""
        coords = {"rad": rad, "energy_true": energy_true, "offset": offset}
        return u.Quantity(self.values(**self._plain(coords, ("rad", "energy_true", "offset"))), "sr-1")

    def values(self, rad: np.ndarray, energy_true: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """As `evaluate`, with plain numbers in deg and TeV, the result in sr-1."""
        return self._density(np.asarray(rad, float), self.parameter_values(energy_true, offset)) / _SR

    def containment_values(
        self, rad: np.ndarray, energy_true: np.ndarray, offset: np.ndarray, method: str = "normalized"
    ) -> np.ndarray:
        """As `containment`, with plain numbers in deg and TeV; a closed form, the same for each method."""
        self._check_method(method)
        return self._contained(np.asarray(rad, float), self.parameter_values(energy_true, offset))

    def to_psf3d(self, rad_axis: MapAxis) -> PSF3D:
        """Table of mean densities per ring, so that its containment at the edges of the rings is exact."""
        energy, offset = (
            self.axes[name].center_value(unit) for name, unit in (("energy_true", "TeV"), ("offset", "deg"))
        )
        edges = rad_axis.edges_value("deg")
        contained = self.containment_values(edges, energy[:, None, None], offset[:, None])
        density = np.diff(contained, axis=2) / (np.pi * np.diff(edges**2) * _SR)
        return PSF3D(MapAxes([*self.axes, rad_axis]), density, "sr-1", self.is_pointlike, dict(self.meta))

    @classmethod
    def from_hdu(cls, hdu: fits.BinTableHDU, file: str | None = None) -> Self:
        """PSF from a table HDU; `file` is for messages.

        Raises
        ------
        SchemaError : columns missing, or another response. UnitError : a width without unit. GeometryError : arrays
        and axes differ. DataValueError : cells that are no PSF, or axes that do not increase.
        """
        axes = cls._read_axes(hdu, file)
        parameters = {}
        for column, unit in cls.columns.items():
            values, found = read_cube(hdu, column, unit, axes, file)
            parameters[column.lower()] = (
                values if unit is None else values * float(parse_unit(found).to(parse_unit(unit)))
            )
        cls._check(parameters, axes, file=file, hdu=hdu.name)
        return cls(axes, parameters, is_pointlike(hdu.header), read_meta(hdu.header))

    def to_hdu(self) -> fits.BinTableHDU:
        """Table of one row, axes and arrays in the recommended order of GADF 0.2, told by ``CREFn`` as well."""
        columns = {name: (self.parameters[name.lower()], self._written_unit(name)) for name in self.columns}
        kind = "POINT-LIKE" if self.is_pointlike else "FULL-ENCLOSURE"
        return self._make_hdu(columns, self.meta, {"HDUCLAS3": kind})

    def _written_unit(self, column: str) -> str:
        return self.columns[column] or ""

    def is_allclose(self, other: Any, rtol: float = 1e-6, atol: float = 0.0) -> bool:
        """Whether two responses agree in class, axes and parameters."""
        return (
            type(self) is type(other)
            and self.axes.is_allclose(other.axes)
            and all(np.allclose(other.parameters[k], v, rtol=rtol, atol=atol) for k, v in self.parameters.items())
        )


@dataclass(frozen=True, eq=False, repr=False)
class EnergyDependentMultiGaussPSF(ParametricPSF):
    """Sum of three Gaussians, axes (energy_true, offset), GADF class ``PSF_3GAUSS``.

    Density proportional to ``exp(-r^2 / 2 s1^2) + A2 exp(-r^2 / 2 s2^2) + A3 exp(-r^2 / 2 s3^2)``, normalised here; the
    common factor SCALE of the file cancels. Parameters: scale, sigma_1, ampl_2, sigma_2, ampl_3, sigma_3.
    """

    tag = "psf_3gauss"
    extname = "PSF_2D_GAUSS"
    columns: ClassVar[dict[str, str | None]] = {
        "SCALE": None,
        "SIGMA_1": "deg",
        "AMPL_2": None,
        "SIGMA_2": "deg",
        "AMPL_3": None,
        "SIGMA_3": "deg",
    }
    condition = "widths that are not negative, and a positive integral"

    def _written_unit(self, column: str) -> str:
        return "sr-1" if column == "SCALE" else super()._written_unit(column)

    @staticmethod
    def _defined(parameters: dict[str, np.ndarray]) -> np.ndarray:
        return np.any([parameters[f"sigma_{k}"] != 0 for k in (1, 2, 3)], axis=0)

    @staticmethod
    def _valid(parameters: dict[str, np.ndarray]) -> np.ndarray:
        positive = np.all([parameters[f"sigma_{k}"] >= 0 for k in (1, 2, 3)], axis=0)
        return positive & (_total(parameters) > 0)

    @staticmethod
    def _density(rad: np.ndarray, parameters: dict[str, np.ndarray]) -> np.ndarray:
        profile = np.asarray(sum(a * np.exp(-_half_square(rad, s)) for a, s in _gaussians(parameters)))
        return profile / (2 * np.pi * _total(parameters))

    @staticmethod
    def _contained(rad: np.ndarray, parameters: dict[str, np.ndarray]) -> np.ndarray:
        inside = np.asarray(sum(-a * s**2 * np.expm1(-_half_square(rad, s)) for a, s in _gaussians(parameters)))
        return inside / _total(parameters)

    def _radius(self, fraction: np.ndarray, energy_true: np.ndarray, offset: np.ndarray) -> np.ndarray:
        parameters = self.parameter_values(energy_true, offset)
        widest = np.max([s for _, s in _gaussians(parameters)], axis=0)
        fraction, widest = np.broadcast_arrays(fraction, widest)
        # one Gaussian of the widest width holds less than the sum does, where all amplitudes are positive
        low, high = np.zeros(fraction.shape), 2 * widest * np.sqrt(-2 * np.log1p(-fraction))
        for _ in range(60):
            middle = (low + high) / 2
            short = self._contained(middle, parameters) < fraction
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        return (low + high) / 2


def _gaussians(parameters: dict[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Amplitudes and widths."""
    one = np.ones(np.shape(parameters["sigma_1"]))
    amplitudes = (one, parameters["ampl_2"], parameters["ampl_3"])
    return [(a, parameters[f"sigma_{k}"]) for k, a in enumerate(amplitudes, start=1)]


def _total(parameters: dict[str, np.ndarray]) -> np.ndarray:
    """Integral, in units of 2 pi."""
    return np.asarray(sum(a * s**2 for a, s in _gaussians(parameters)))


def _half_square(rad: np.ndarray, width: np.ndarray) -> np.ndarray:
    """r^2 / 2 s^2; a component without width has no amplitude either, so any number does there."""
    return rad**2 / (2 * np.where(width > 0, width, 1.0) ** 2)


@dataclass(frozen=True, eq=False, repr=False)
class PSFKing(ParametricPSF):
    """King profile, axes (energy_true, offset), GADF class ``PSF_KING``.

    Density ``(1 - 1/g) (1 + r^2 / 2 g s^2)^-g / 2 pi s^2``. Parameters: sigma, gamma.
    """

    tag = "psf_king"
    extname = "PSF_2D_KING"
    columns: ClassVar[dict[str, str | None]] = {"SIGMA": "deg", "GAMMA": None}
    condition = "sigma > 0 and gamma > 1"

    @staticmethod
    def _defined(parameters: dict[str, np.ndarray]) -> np.ndarray:
        return parameters["sigma"] != 0

    @staticmethod
    def _valid(parameters: dict[str, np.ndarray]) -> np.ndarray:
        return (parameters["sigma"] > 0) & (parameters["gamma"] > 1)

    @staticmethod
    def _density(rad: np.ndarray, parameters: dict[str, np.ndarray]) -> np.ndarray:
        sigma, gamma = parameters["sigma"], parameters["gamma"]
        profile = (1 + rad**2 / (2 * gamma * sigma**2)) ** -gamma
        return (1 - 1 / gamma) * profile / (2 * np.pi * sigma**2)

    @staticmethod
    def _contained(rad: np.ndarray, parameters: dict[str, np.ndarray]) -> np.ndarray:
        sigma, gamma = parameters["sigma"], parameters["gamma"]
        return -np.expm1((1 - gamma) * np.log1p(rad**2 / (2 * gamma * sigma**2)))

    def _radius(self, fraction: np.ndarray, energy_true: np.ndarray, offset: np.ndarray) -> np.ndarray:
        parameters = self.parameter_values(energy_true, offset)
        sigma, gamma = parameters["sigma"], parameters["gamma"]
        return sigma * np.sqrt(2 * gamma * np.expm1(np.log1p(-fraction) / (1 - gamma)))
