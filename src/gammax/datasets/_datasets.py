"""Several datasets, in order and by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import astropy.units as u
from astropy.table import Table

from gammax.datasets._dataset import DatasetBase
from gammax.datasets._stack import stack
from gammax.errors import DataValueError, SchemaError, did_you_mean


class Datasets(Sequence):
    """Immutable sequence of datasets with unique names: ``datasets[0]``, ``datasets["hess-23523"]``, ``datasets[2:]``.

    Raises
    ------
    SchemaError : two datasets of one name, or a member that is no dataset.
    """

    __slots__ = ("_members",)

    def __init__(self, datasets: Iterable[DatasetBase] | DatasetBase = ()):
        if not isinstance(datasets, DatasetBase | Iterable):
            raise SchemaError("GX-DATASETS-110", "not a dataset", found=type(datasets).__name__)
        members = (datasets,) if isinstance(datasets, DatasetBase) else tuple(datasets)
        for member in members:
            if not isinstance(member, DatasetBase):
                raise SchemaError(
                    "GX-DATASETS-110",
                    "not a dataset",
                    found=type(member).__name__,
                    do="join data of your own in a list: [*datasets, yours]",
                )
        names = [member.name for member in members]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise SchemaError(
                "GX-DATASETS-111",
                "dataset names must be unique",
                found=", ".join(repeated),
                do="rename with dataset.replace(name=...)",
            )
        self._members = members

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._members)

    def __getitem__(self, key: int | slice | str) -> Any:
        if isinstance(key, str):
            if key not in self.names:
                raise SchemaError("GX-DATASETS-112", f"no dataset {key!r}", do=did_you_mean(key, self.names))
            return self._members[self.names.index(key)]
        try:
            return Datasets(self._members[key]) if isinstance(key, slice) else self._members[key]
        except (IndexError, TypeError, ValueError) as error:
            raise SchemaError(
                "GX-DATASETS-114", f"no dataset {key!r}", expected=f"a name, or a number below {len(self)}"
            ) from error

    def __contains__(self, key: object) -> bool:
        return key in self.names if isinstance(key, str) else any(key is member for member in self._members)

    def __add__(self, other: Iterable[DatasetBase] | DatasetBase) -> Datasets:
        return Datasets((*self._members, *Datasets(other)))

    @property
    def names(self) -> list[str]:
        """Names, in order."""
        return [member.name for member in self._members]

    @classmethod
    def read(cls, path: str | Path) -> Datasets:
        """Read a ``datasets.yaml``; file names in it are relative to it, environment variables are expanded.

        Raises
        ------
        SchemaError : unknown or missing keys or types, repeated names. Of the files: as `SpectrumDataset.read`.
        """
        from gammax.datasets._yaml_index import read_datasets

        members = read_datasets(path)
        try:
            return cls(members)
        except SchemaError as error:
            raise error.with_context(file=path) from error

    def write(self, path: str | Path, format: str = "gadf", overwrite: bool = False) -> Path:
        """Write a ``datasets.yaml`` with one dataset file (or OGIP set) each beside it.

        Raises
        ------
        FileFormatError : a file exists and `overwrite` is false; nothing is written then.
        """
        from gammax.datasets._yaml_index import write_datasets

        return write_datasets(self._members, path, format, overwrite)

    def select(self, names: Iterable[str] | str) -> Datasets:
        """Datasets of these names, in the order given.

        Raises
        ------
        SchemaError : no dataset of that name.
        """
        return Datasets(self[name] for name in ((names,) if isinstance(names, str) else names))

    def replace(self, *datasets: DatasetBase) -> Datasets:
        """Datasets with the members of the same names exchanged.

        Raises
        ------
        SchemaError : no dataset of that name.
        """
        for dataset in datasets:
            self[dataset.name]
        new = {dataset.name: dataset for dataset in datasets}
        return Datasets(new.get(member.name, member) for member in self._members)

    def with_fit_range(self, energy_min: Any = None, energy_max: Any = None) -> Datasets:
        """Datasets whose mask_fit holds the bins that lie wholly inside an energy range (edges compared to 1e-6).

        Raises
        ------
        DataValueError : no bin of any dataset is left.
        """
        new = [member.replace(mask_fit=member.geom.energy_mask(energy_min, energy_max)) for member in self._members]
        if new and not any(member.mask.any() for member in new):
            raise DataValueError(
                "GX-DATASETS-113",
                "no energy bin of any dataset is left in the fit range",
                found=f"{energy_min} to {energy_max}",
                datasets=", ".join(self.names),
            )
        return Datasets(new)

    def slice_by_energy(self, energy_min: Any = None, energy_max: Any = None) -> Datasets:
        """Datasets cut in reconstructed energy (limits moved to the nearest edges); those without a bin are left out.

        Raises
        ------
        DataValueError : no dataset is left.
        """
        sliced, last = [], None
        for member in self._members:
            try:
                sliced.append(member.slice_by_energy(energy_min, energy_max))
            except DataValueError as error:
                last = error
        if not sliced and last is not None:
            raise last
        return Datasets(sliced)

    @property
    def energy_ranges(self) -> tuple[u.Quantity, u.Quantity]:
        """Lower and upper limits of the masks, one each per dataset; NaN where a mask is empty."""
        ranges = [member.energy_range_total for member in self._members]
        unit = ranges[0][0].unit if ranges else u.TeV
        low, high = ([limits[k].to_value(unit) for limits in ranges] for k in (0, 1))
        return u.Quantity(low, unit), u.Quantity(high, unit)

    def stack_reduce(self, name: str = "stacked") -> Any:
        """One dataset that stands for all: `gammax.datasets.stack`."""
        return stack(self._members, name)

    def stat_sum(self, models: Any = None) -> float:
        """Statistic (-2 log likelihood) of all datasets inside their masks, without priors."""
        return sum(member.stat_sum(models) for member in self._members)

    def info_table(self, cumulative: bool = False) -> Table:
        """Table of `info_dict`, one row per dataset; `cumulative`: of the stack of the first, the first two ...

        Raises
        ------
        SchemaError : datasets of different kinds.
        """
        from gammax.datasets._info import info_table

        return info_table(_running_stacks(self._members) if cumulative else self._members)

    def __repr__(self) -> str:
        return "\n".join([f"Datasets({len(self)})", *(f"  {member!r}" for member in self._members)])


def _running_stacks(datasets: Sequence[DatasetBase]) -> Iterator[DatasetBase]:
    stacked = None
    for dataset in datasets:
        before = [] if stacked is None else [stacked]
        usable = [part for part in (*before, dataset) if part.mask.any()]
        stacked = stack(usable) if usable else dataset.replace(name="stacked")
        yield stacked
