"""A folder of DL3 files with its two index tables."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from gammax._paths import resolve_path
from gammax.data._hdu_index import HDU_TYPES, IRF_TYPES, HDUIndexTable, HDULocation
from gammax.data._lazy import LazyParts
from gammax.data._obs_table import ObservationTable, unknown_obs_id
from gammax.data._observation import Observation
from gammax.data._observations import Observations
from gammax.data._tables import write_index
from gammax.errors import DataValueError, FileFormatError, GammaxWarning, SchemaError, UnsafeInputError, did_you_mean

REQUIRED_IRFS = {"full-enclosure": ("aeff", "edisp", "psf", "bkg"), "point-like": ("aeff", "edisp"), "all-optional": ()}
_TABLES = {"hdu": "hdu-index.fits", "obs": "obs-index.fits"}


@dataclass(frozen=True, eq=False, repr=False)
class DataStore:
    """Observations of a data set, found through its index tables.

    Parameters
    ----------
    hdu_table, obs_table : index tables; the second may be missing.
    confine : refuse files outside of the base folder (links followed); GADF allows them.
    drop_bad_events : leave out events that cannot be right instead of raising (`EventList.from_hdu`).
    """

    hdu_table: HDUIndexTable
    obs_table: ObservationTable | None = None
    confine: bool = False
    drop_bad_events: bool = False

    @classmethod
    def from_dir(
        cls,
        base_dir: str | Path,
        hdu_table_filename: str | None = None,
        obs_table_filename: str | None = None,
        confine: bool = False,
        drop_bad_events: bool = False,
    ) -> Self:
        """Data store of a folder.

        File names count from `base_dir`, never from the working directory; the paths inside the HDU index count from
        the folder where it lies (GADF), or from its BASE_DIR.

        Raises
        ------
        FileFormatError : no HDU index. SchemaError, DataValueError : as the two tables.
        """
        base = resolve_path(base_dir).absolute()
        hdu_path = _table_path(base, hdu_table_filename, "hdu")
        obs_path = _table_path(base, obs_table_filename, "obs")
        if hdu_path is None:
            raise FileFormatError(
                "GX-DATA-090",
                "no HDU index table",
                file=base / (hdu_table_filename or f"{_TABLES['hdu']}.gz"),
                do="give the folder of the index, or its name as hdu_table_filename",
            )
        obs_table = None if obs_path is None else ObservationTable.read(obs_path)
        return cls(HDUIndexTable.read(hdu_path), obs_table, confine, drop_bad_events)

    @classmethod
    def from_events_files(cls, events_paths: Iterable[str | Path], irfs_paths: Any = None) -> Self:
        """Data store of single DL3 files, whose headers make the index tables.

        Parameters
        ----------
        events_paths : files with EVENTS and GTI.
        irfs_paths : file with the responses, or one for each; else they lie with the events, or where their keywords
            CALDB and IRF say (``$CALDB/data/<telescope>/<caldb>/bcf/<irf>``).

        Raises
        ------
        SchemaError : no paths, a file without events, or keywords missing. DataValueError : as many paths as not, or
            one observation twice.
        """
        from gammax.data._index_from_files import index_tables

        return cls(*index_tables(events_paths, irfs_paths))

    @property
    def obs_ids(self) -> list[int]:
        """Observations of the HDU index, sorted."""
        return self.hdu_table.obs_id_unique

    def obs(
        self, obs_id: int, required_irf: str | Sequence[str] = "full-enclosure", gti: str = "as-gammapy"
    ) -> Observation:
        """One observation; options and errors as `get_observations`."""
        return self.get_observations([obs_id], required_irf=required_irf, gti=gti)[0]

    def get_observations(
        self,
        obs_id: Any = None,
        required_irf: str | Sequence[str] = "full-enclosure",
        skip_missing: bool = False,
        require_events: bool = True,
        gti: str = "as-gammapy",
        allow_duplicates: bool = False,
    ) -> Observations:
        """Observations, in the order asked for; nothing but the index is looked at.

        Parameters
        ----------
        obs_id : numbers; all, in order of number, unless given.
        required_irf : "full-enclosure" (aeff, edisp, psf, bkg), "point-like" (aeff, edisp), "all-optional" (none), or a
            list of types.
        skip_missing : leave out, with one warning, observations that the index does not have or that lack a required
            part; otherwise they are an error.
        require_events : whether events and good time intervals are required.
        gti : "as-gammapy" or "strict", see `Observation`.
        allow_duplicates : take an observation as often as it is asked for, instead of raising.

        Raises
        ------
        DataValueError : unknown or repeated numbers, or no whole numbers. SchemaError : a required part is missing, or
            an unknown type is asked for.
        """
        required = _required(required_irf, require_events)
        ids = self.obs_ids if obs_id is None else _as_ids(obs_id)
        repeated = sorted({number for number in ids if ids.count(number) > 1}) if len(set(ids)) < len(ids) else []
        if repeated and not allow_duplicates:
            raise DataValueError(
                "GX-DATA-091",
                "observations are asked for twice and would count twice",
                found=", ".join(map(str, repeated[:10])),
                do="pass allow_duplicates=True if that is meant",
            )
        known = set(self.obs_ids)
        missing = [number for number in ids if number not in known]
        if missing and not skip_missing:
            raise unknown_obs_id(missing, known, self._index_file)
        locations = {number: self._locations(number) for number in ids if number in known}
        lacking = {n: [name for name in required if name not in found] for n, found in locations.items()}
        lacking = {number: names for number, names in lacking.items() if names}
        if lacking and not skip_missing:
            raise _lacking(lacking, len(ids), self._index_file)
        if missing or lacking:
            skipped = sorted({*missing, *lacking})
            warnings.warn(
                f"{self._index_file}: {len(skipped)} of {len(ids)} observations are skipped, because the index lacks "
                f"them or a required part ({', '.join(map(str, skipped[:10]))})",
                GammaxWarning,
                stacklevel=2,
            )
        chosen = [number for number in ids if number in locations and number not in lacking]
        return Observations(
            Observation(n, LazyParts(locations[n], drop_bad_events=self.drop_bad_events), gti_mode=gti) for n in chosen
        )

    @property
    def _index_file(self) -> str | None:
        return self.hdu_table.meta.get("IDX_FILE")

    def _locations(self, obs_id: int) -> dict[str, HDULocation]:
        found = {name: self.hdu_table.hdu_location(obs_id, name) for name in HDU_TYPES}
        places = {name: place for name, place in found.items() if place is not None}
        if self.confine:
            for place in places.values():
                _check_inside(place, self.hdu_table.base_dir)
        return places

    def write(self, base_dir: str | Path, overwrite: bool = False) -> Path:
        """Write the two index tables into a folder; the paths in them then count from there.

        Raises
        ------
        FileFormatError : they exist and `overwrite` is false.
        """
        base = resolve_path(base_dir).absolute()
        table = self.hdu_table.relative_to(base)
        write_index(table, base / f"{_TABLES['hdu']}.gz", "HDU_INDEX", overwrite)
        if self.obs_table is not None:
            write_index(self.obs_table, base / f"{_TABLES['obs']}.gz", "OBS_INDEX", overwrite)
        return base

    def info(self, show: bool = True) -> str | None:
        """What the store holds, in words: printed, or returned with ``show=False``."""
        text = "Data store\n" + "\n".join(table.summary() for table in (self.hdu_table, self.obs_table) if table)
        if not show:
            return text
        print(text)
        return None

    def __repr__(self) -> str:
        return f"DataStore({len(self.obs_ids)} observations in {self.hdu_table.base_dir})"


def _table_path(base: Path, name: str | None, kind: str) -> Path | None:
    """Index file in the base folder; None if there is none and none was asked for.

    Raises
    ------
    FileFormatError : it was asked for and is not there.
    """
    if name is None:
        paths = [base / (_TABLES[kind] + suffix) for suffix in (".gz", "")]
        return next((path for path in paths if path.is_file()), None)
    path = resolve_path(name, base)
    if not path.is_file():
        raise FileFormatError("GX-DATA-092", f"no such {kind} index table", file=path, do="check its name")
    return path


def _as_ids(obs_id: Any) -> list[int]:
    """Numbers asked for.

    Raises
    ------
    DataValueError : texts, floats or truth values among them.
    """
    items = np.atleast_1d(obs_id)
    if items.dtype.kind not in "iu" and len(items):
        raise DataValueError(
            "GX-DATA-093", "observations are asked for by whole numbers", found=repr(obs_id), expected="such as 23523"
        )
    return [int(item) for item in items.ravel()]


def _required(required_irf: str | Sequence[str], require_events: bool) -> list[str]:
    if isinstance(required_irf, str):
        if required_irf not in REQUIRED_IRFS:
            raise SchemaError(
                "GX-DATA-094", f"unknown required_irf {required_irf!r}", do=did_you_mean(required_irf, REQUIRED_IRFS)
            )
        names = REQUIRED_IRFS[required_irf]
    else:
        names = tuple(required_irf)
    unknown = next((name for name in names if name not in HDU_TYPES), None)
    if unknown is not None:
        raise SchemaError("GX-DATA-095", f"unknown response type {unknown!r}", do=did_you_mean(unknown, IRF_TYPES))
    return [*(("events", "gti") if require_events else ()), *names]


def _lacking(lacking: dict[int, list[str]], n_all: int, file: Any) -> SchemaError:
    number, names = next(iter(lacking.items()))
    irfs_only = {name for names in lacking.values() for name in names} <= {"psf", "bkg"}
    hint = "required_irf='point-like' asks for aeff and edisp alone; " if irfs_only else ""
    return SchemaError(
        "GX-DATA-096",
        f"{len(lacking)} of {n_all} observations lack a required part",
        file=file,
        obs_id=number,
        found=f"no {', '.join(names)}",
        do=f"{hint}skip_missing=True leaves such observations out",
    )


def _check_inside(place: HDULocation, base: Path) -> None:
    if not place.path.resolve().is_relative_to(base.resolve()):
        raise UnsafeInputError(
            "GX-DATA-097", "a path of the index leaves the base folder", **place.where(), expected=f"inside {base}"
        )
