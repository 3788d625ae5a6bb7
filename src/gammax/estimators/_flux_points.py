"""Flux points: norms of a reference spectrum in energy bins, and all fluxes that follow from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.table import Table

from gammax.errors import DataValueError, GeometryError, SchemaError, UnitError, did_you_mean
from gammax.estimators._reference import reference_fluxes
from gammax.estimators._sed_quantities import (
    BY_DATASET,
    KINDS,
    NORMS,
    SED_UNITS,
    as_energy,
    as_quantity_array,
    as_reference_fluxes,
)
from gammax.models import SpectralModel
from gammax.units import parse_unit, same_dimension, to_value, unit_string

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_EDGE_RTOL = 1e-6
# a point less significant than this counts as an upper limit where its file does not say
SQRT_TS_THRESHOLD = 2.0


class MissingQuantityError(SchemaError, AttributeError):
    """A quantity that these flux points do not have; an AttributeError, so that `hasattr` works."""


@dataclass(frozen=True, eq=False, repr=False)
class FluxPoints:
    """Flux points of one source.

    Everything is kept as norms of a reference spectrum. Attributes give the fluxes, with unit: ``points.dnde``,
    ``points.flux_err``, ``points.eflux_ul``, ``points.e2dnde_errp`` ... are ``norm``, ``norm_err`` ... times
    ``points.dnde_ref``, ``points.flux_ref`` ...; ``points.ts``, ``points.stat_scan`` ... are plain arrays.
    `available_quantities` lists them.

    Parameters
    ----------
    energy_min, energy_max, energy_ref : energies [TeV], (K,); edges are NaN where points have none, and they have
        no flux and eflux then.
    reference_model : spectrum of norm 1; None where only its fluxes are known.
    quantities : arrays by name: norm, norm_err, norm_errp, norm_errn, norm_ul, norm_sensitivity, ts, sqrt_ts, stat,
        stat_null, niter, n_dof (K,); npred, npred_excess, counts (K, n_datasets); norm_scan, stat_scan (K, n_scan);
        is_ul, success (K,) bool; status (K,) text. Only norm must be there.
    dataset_names : of the datasets that npred and counts belong to.
    n_sigma, n_sigma_ul, n_sigma_sensitivity : levels of errors, upper limits and sensitivity; None where unknown.
    meta : what else belongs to the points (JSON values).
    energy_unit : unit of energies in tables.
    reference_fluxes : dnde, flux, eflux of norm 1 in TeV, cm, s, each (K,), in place of those of the model.
    covariance : of the norms, (K, K), where they were fitted together; files do not keep it.

    Raises
    ------
    GeometryError, DataValueError, SchemaError, UnitError : shapes, values, names, energy unit that cannot be.
    """

    energy_min: np.ndarray
    energy_max: np.ndarray
    energy_ref: np.ndarray
    reference_model: SpectralModel | None
    quantities: dict[str, np.ndarray]
    dataset_names: tuple[str, ...] = ()
    n_sigma: float = 1.0
    n_sigma_ul: float | None = 2.0
    n_sigma_sensitivity: float | None = 5.0
    meta: dict[str, Any] = field(default_factory=dict)
    energy_unit: str = "TeV"
    reference_fluxes: dict[str, np.ndarray] | None = None
    covariance: np.ndarray | None = None

    def __post_init__(self):
        energy_ref = as_energy("energy_ref", self.energy_ref)
        size = len(energy_ref)
        energy_min, energy_max = (
            as_energy("energy_min", self.energy_min, size),
            as_energy("energy_max", self.energy_max, size),
        )
        if np.any(energy_min >= energy_max):
            raise DataValueError(
                "GX-FLUX-111",
                "energy_min is not below energy_max",
                found=f"rows {np.flatnonzero(energy_min >= energy_max).tolist()}",
            )
        if not same_dimension(self.energy_unit, "TeV"):
            raise UnitError("GX-FLUX-112", "energy_unit is no unit of energy", found=self.energy_unit, expected="TeV")
        if "norm" not in self.quantities:
            raise SchemaError("GX-FLUX-113", "flux points need a norm", found=", ".join(self.quantities) or "nothing")
        quantities = {name: as_quantity_array(name, value, size) for name, value in self.quantities.items()}
        names = tuple(str(name) for name in self.dataset_names)
        for name in set(BY_DATASET) & set(quantities):
            if names and quantities[name].shape[1] != len(names):
                raise GeometryError(
                    "GX-FLUX-114",
                    f"{name} and dataset_names differ in length",
                    found=quantities[name].shape[1],
                    expected=len(names),
                )
        changes = {
            "energy_ref": energy_ref,
            "energy_min": energy_min,
            "energy_max": energy_max,
            "quantities": quantities,
            "dataset_names": names,
            "meta": dict(self.meta),
        }
        for key, value in changes.items():
            object.__setattr__(self, key, value)
        if self.covariance is not None and np.shape(self.covariance) != (size, size):
            raise GeometryError(
                "GX-FLUX-161", "covariance of the wrong shape", found=np.shape(self.covariance), expected=(size, size)
            )
        if self.reference_fluxes is None and self.reference_model is None:
            raise SchemaError("GX-FLUX-115", "flux points need a reference_model or reference_fluxes")
        if self.reference_fluxes is not None:
            object.__setattr__(self, "reference_fluxes", as_reference_fluxes(self.reference_fluxes, size))

    # -- quantities -------------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "quantities" not in self.__dict__:
            raise AttributeError(name)
        return self._quantity(name)

    def _quantity(self, name: str) -> Any:
        if name in NORMS and name in self.quantities:
            return u.Quantity(self.quantities[name], "")
        if name in self.quantities:
            return self.quantities[name]
        if name == "is_ul":
            return self._is_upper_limit(SQRT_TS_THRESHOLD)
        if name == "sqrt_ts" and "ts" in self.quantities:
            root = np.sqrt(np.maximum(self.quantities["ts"], 0.0))
            return np.where(self.quantities["norm"] < 0, -root, root)
        kind, _, suffix = name.partition("_")
        norm = f"norm_{suffix}" if suffix else "norm"
        if kind in KINDS and suffix == "ref":
            return u.Quantity(self._reference(kind), SED_UNITS[kind])
        if kind in KINDS and norm in self.quantities:
            return u.Quantity(self.quantities[norm] * self._reference(kind), SED_UNITS[kind])
        raise MissingQuantityError(
            "GX-FLUX-116", f"these flux points have no {name}", do=did_you_mean(name, self.available_quantities)
        )

    def _reference(self, kind: str) -> np.ndarray:
        """Flux of norm 1 in the unit of its kind."""
        if kind in ("flux", "eflux") and not self.has_energy_range:
            raise MissingQuantityError(
                "GX-FLUX-117",
                f"these flux points have no {kind}: their bins have no edges",
                do="give energy_min and energy_max, or use dnde or e2dnde",
            )
        fluxes = self._canonical_fluxes
        if kind == "e2dnde":
            return fluxes["dnde"] * self.energy_ref**2 * u.TeV.to(u.erg)
        return fluxes[kind] * u.TeV.to(u.erg) if kind == "eflux" else fluxes[kind]

    @cached_property
    def _canonical_fluxes(self) -> dict[str, np.ndarray]:
        if self.reference_fluxes is not None:
            return self.reference_fluxes
        return reference_fluxes(self.reference_model, self.energy_ref, self.energy_min, self.energy_max)

    def _is_upper_limit(self, threshold: float) -> np.ndarray:
        if "norm_ul" not in self.quantities:
            return np.isnan(self.quantities["norm"])
        if "ts" in self.quantities or "sqrt_ts" in self.quantities:
            return self._quantity("sqrt_ts") < threshold
        return np.isfinite(self.quantities["norm_ul"])

    @property
    def available_quantities(self) -> tuple[str, ...]:
        """Names that can be asked for as attributes."""
        kinds = KINDS if self.has_energy_range else ("dnde", "e2dnde")
        norms = [name for name in self.quantities if name in NORMS]
        fluxes = [name.replace("norm", kind) for kind in kinds for name in (*norms, "norm_ref")]
        derived = ["is_ul", "sqrt_ts"] if "ts" in self.quantities else ["is_ul"]
        return tuple(dict.fromkeys([*self.quantities, *derived, *fluxes]))

    def __dir__(self) -> Iterator[str]:
        return iter({*super().__dir__(), *self.available_quantities})

    @property
    def correlation(self) -> np.ndarray | None:
        """Correlation matrix of the norms, (K, K); None where each was fitted for itself."""
        if self.covariance is None:
            return None
        errors = np.sqrt(np.diag(self.covariance))
        return self.covariance / np.outer(errors, errors)

    @property
    def has_energy_range(self) -> bool:
        """Whether the points have bins, not only energies."""
        return bool(np.any(np.isfinite(self.energy_min) & np.isfinite(self.energy_max)))

    @property
    def e_ref(self) -> u.Quantity:
        """Reference energies in `energy_unit`."""
        return self._energy(self.energy_ref)

    @property
    def e_min(self) -> u.Quantity:
        """Lower edges in `energy_unit`."""
        return self._energy(self.energy_min)

    @property
    def e_max(self) -> u.Quantity:
        """Upper edges in `energy_unit`."""
        return self._energy(self.energy_max)

    def _energy(self, energy: np.ndarray) -> u.Quantity:
        return u.Quantity(energy, "TeV").to(parse_unit(self.energy_unit))

    # -- parts ------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.energy_ref)

    def __getitem__(self, key: Any) -> FluxPoints:
        """Points by number, slice, list or mask.

        Raises
        ------
        GeometryError : no such point, or none left.
        """
        try:
            index = np.atleast_1d(np.arange(len(self))[key])
        except IndexError as error:
            raise GeometryError(
                "GX-FLUX-118", f"no such flux points: {error}", found=key, expected=f"{len(self)} points"
            ) from error
        if index.size == 0:
            raise GeometryError(
                "GX-FLUX-119", "no flux point is left", found=key, expected=f"some of {len(self)} points"
            )
        fluxes = self.reference_fluxes
        return replace(
            self,
            energy_min=self.energy_min[index],
            energy_max=self.energy_max[index],
            energy_ref=self.energy_ref[index],
            quantities={name: array[index] for name, array in self.quantities.items()},
            reference_fluxes=None if fluxes is None else {name: flux[index] for name, flux in fluxes.items()},
            covariance=None if self.covariance is None else self.covariance[np.ix_(index, index)],
        )

    def slice_by_energy(self, energy_min: Any = None, energy_max: Any = None) -> FluxPoints:
        """Points whose bins lie wholly between two energies (Quantities; edges compared to 1e-6).

        Raises
        ------
        GeometryError : none does. UnitError : not an energy.
        """
        lower = np.where(np.isfinite(self.energy_min), self.energy_min, self.energy_ref)
        upper = np.where(np.isfinite(self.energy_max), self.energy_max, self.energy_ref)
        inside = np.ones(len(self), dtype=bool)
        if energy_min is not None:
            inside &= lower >= to_value(energy_min, "TeV", "energy_min") * (1.0 - _EDGE_RTOL)
        if energy_max is not None:
            inside &= upper <= to_value(energy_max, "TeV", "energy_max") * (1.0 + _EDGE_RTOL)
        return self[inside]

    def with_ul_threshold(self, sqrt_ts: float) -> FluxPoints:
        """Points in which those less significant than `sqrt_ts` are upper limits (``is_ul``).

        Raises
        ------
        MissingQuantityError : the points have no ts or no upper limits.
        """
        for name in ("norm_ul", "sqrt_ts"):
            self._quantity(name)
        return replace(self, quantities={**self.quantities, "is_ul": self._is_upper_limit(sqrt_ts)})

    # -- tables, files, pictures ------------------------------------------------------------------------------------

    def to_table(self, sed_type: str = "dnde", formatted: bool = False) -> Table:
        """Table of one kind ("dnde", "flux", "eflux", "e2dnde", "likelihood") in the gadf-sed layout.

        Its meta has SED_TYPE, UL_CONF and META (JSON), which keeps what the layout has no place for.

        Raises
        ------
        SchemaError : unknown kind, a kind that needs bins, meta that JSON cannot hold.
        """
        from gammax.estimators._sed_tables import points_to_table

        return points_to_table(self, sed_type, formatted)

    @classmethod
    def from_table(
        cls, table: Table, sed_type: str | None = None, reference_model: SpectralModel | None = None
    ) -> FluxPoints:
        """Points from a gadf-sed table.

        Parameters
        ----------
        table : needs e_ref (dnde, e2dnde), or e_min and e_max (flux, eflux), or all three and ref_dnde, ref_flux,
            ref_eflux (likelihood); "ph" in units is read as 1.
        sed_type : taken from the table's meta SED_TYPE, else from its columns, where it is not given.
        reference_model : taken from the table where that has one; else the ref columns of a likelihood table, else a
            power law of index 2.

        Raises
        ------
        SchemaError, UnitError, DataValueError, GeometryError : with the column.
        """
        from gammax.estimators._sed_tables import points_from_table

        return points_from_table(table, sed_type, reference_model)

    def write(self, path: str | Path, sed_type: str = "dnde", overwrite: bool = False) -> Path:
        """Write a ``.fits`` or ``.ecsv`` file in the gadf-sed layout; errors as `to_table`.

        Raises
        ------
        FileFormatError : another suffix, or the file exists and `overwrite` is false.
        """
        from gammax.estimators._sed_files import write_points

        return write_points(self, path, sed_type, overwrite)

    @classmethod
    def read(
        cls, path: str | Path, sed_type: str | None = None, reference_model: SpectralModel | None = None
    ) -> FluxPoints:
        """Read a FITS or ECSV file in the gadf-sed layout; parameters and errors as `from_table`.

        Raises
        ------
        FileFormatError : the file is missing, damaged, or neither FITS nor ECSV.
        """
        from gammax.estimators._sed_files import read_points

        return read_points(path, sed_type, reference_model)

    def plot(self, ax: Axes | None = None, sed_type: str = "e2dnde", energy_unit: str = "TeV", **kwargs: Any) -> Axes:
        """Fluxes over energy on logarithmic axes, upper limits as arrows; `kwargs` go to ``errorbar``."""
        from gammax.estimators._plot import plot_points

        return plot_points(self, ax, sed_type, energy_unit, **kwargs)

    def plot_ts_profiles(
        self, ax: Axes | None = None, sed_type: str = "e2dnde", energy_unit: str = "TeV", **kwargs: Any
    ) -> Axes:
        """Profile of the statistic in every bin as shades, and the points on top; `kwargs` go to ``pcolormesh``.

        Raises
        ------
        MissingQuantityError : the points have no scan.
        """
        from gammax.estimators._plot import plot_ts_profiles

        return plot_ts_profiles(self, ax, sed_type, energy_unit, **kwargs)

    def _overview(self) -> Table:
        table = self.to_table("dnde", formatted=True)
        table.keep_columns([name for name in table.colnames if table[name].ndim == 1])
        return table

    def __repr__(self) -> str:
        energies = self.e_ref.value if not self.has_energy_range else np.append(self.e_min.value, self.e_max.value)
        span = f"{np.nanmin(energies):.4g} to {np.nanmax(energies):.4g} {unit_string(self.energy_unit)}"
        reference = "fluxes of the file" if self.reference_model is None else repr(self.reference_model)
        return f"FluxPoints({len(self)} points, {span}, {len(self.quantities)} quantities, reference {reference})"

    def __str__(self) -> str:
        return "\n".join(self._overview().pformat(max_lines=-1, max_width=-1))

    def _repr_html_(self) -> str:
        return self._overview()._repr_html_()
