"""HDU index table: which file and which HDU hold what of which observation (GADF 0.2)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from astropy.table import Table

from gammax._paths import resolve_path
from gammax.data._tables import read_index, repeated_rows, warn_of_repeated
from gammax.errors import DataValueError, FileFormatError, UnsafeInputError

HDU_COLUMNS = ("OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")
IRF_TYPES = ("aeff", "edisp", "psf", "bkg", "rad_max")
HDU_TYPES = ("events", "gti", *IRF_TYPES)


@dataclass(frozen=True)
class HDULocation:
    """One HDU on disk."""

    path: Path
    hdu_name: str
    hdu_type: str
    hdu_class: str
    obs_id: int | None = None
    row: int | None = None

    def where(self) -> dict[str, Any]:
        """Where it is, for messages."""
        return {"file": str(self.path), "hdu": self.hdu_name, "obs_id": self.obs_id, "index_row": self.row}

    def check_file(self) -> None:
        """Look whether there is a regular file, before anything opens it.

        Raises
        ------
        FileFormatError : there is none. UnsafeInputError : a device, a pipe or a folder, which could block or lie.
        """
        if not self.path.exists():
            raise FileFormatError(
                "GX-DATA-053",
                "a file of the index does not exist",
                **self.where(),
                do="is the data set complete? FILE_DIR counts from the folder of the index file",
            )
        if not self.path.is_file():
            raise UnsafeInputError("GX-DATA-054", "a path of the index is not a regular file", **self.where())


class HDUIndexTable(Table):
    """HDU index table: an astropy table whose paths count from ``meta["BASE_DIR"]``."""

    @classmethod
    def read(cls, path: str | Path, *args: Any, **kwargs: Any) -> Self:
        """Index of a FITS file; paths count from its folder, or from BASE_DIR where the header has it.

        Raises
        ------
        SchemaError : a column is missing. DataValueError : OBS_ID holds no whole numbers.
        """
        path = resolve_path(path)
        table = cls(read_index(path, "HDU_INDEX", HDU_COLUMNS), copy=False)
        warn_of_repeated(repeated_rows(table, HDU_COLUMNS)[0], path)
        stated = str(table.meta.get("BASE_DIR", "")).strip()
        folder = path.absolute().parent
        base = str(resolve_path(stated, folder) if stated else folder)
        table.meta = {**(table.meta or {}), "BASE_DIR": base, "IDX_FILE": str(path)}
        return table

    @property
    def base_dir(self) -> Path:
        """Folder from which the paths count."""
        return Path(self.meta.get("BASE_DIR", ""))

    @property
    def obs_id_unique(self) -> list[int]:
        """Observations, sorted."""
        return np.unique(np.asarray(self["OBS_ID"])).tolist()

    @property
    def hdu_class_unique(self) -> list[str]:
        """Classes of HDUs, sorted."""
        return sorted(set(self["HDU_CLASS"].tolist()))

    def hdu_location(self, obs_id: int, hdu_type: str, hdu_class: str | None = None) -> HDULocation | None:
        """Place of one HDU, None if the index has none.

        Of several classes of one type (a PSF as table and as three Gaussians) the first row counts.

        Raises
        ------
        DataValueError : two rows say different things of the same class.
        FileFormatError : an environment variable in the path is not set.
        """
        chosen = (self["OBS_ID"] == obs_id) & (self["HDU_TYPE"] == hdu_type)
        rows = np.flatnonzero(chosen if hdu_class is None else chosen & (self["HDU_CLASS"] == hdu_class))
        if not len(rows):
            return None
        first = self[int(rows[0])]
        twins = {
            tuple(self[name][row] for name in ("FILE_DIR", "FILE_NAME", "HDU_NAME"))
            for row in rows
            if self["HDU_CLASS"][row] == first["HDU_CLASS"]
        }
        if len(twins) > 1:
            raise DataValueError(
                "GX-DATA-055",
                f"the index names {len(twins)} different HDUs of class {first['HDU_CLASS']}",
                file=self.meta.get("IDX_FILE"),
                obs_id=obs_id,
                found="; ".join(sorted(f"{folder}/{file}[{hdu}]" for folder, file, hdu in twins)),
                expected="one",
            )
        return self._location(first)

    def _location(self, row: Any) -> HDULocation:
        number = int(row.index)
        text = str(Path(str(row["FILE_DIR"])) / str(row["FILE_NAME"]))
        try:
            path = resolve_path(text, self.base_dir)
        except FileFormatError as error:
            raise FileFormatError(
                "GX-DATA-056",
                str(error).splitlines()[0].partition(" ")[2],
                file=text,
                index_row=number,
                obs_id=int(row["OBS_ID"]),
                do="set it or write the path out",
            ) from error
        return HDULocation(
            path, str(row["HDU_NAME"]), str(row["HDU_TYPE"]), str(row["HDU_CLASS"]), int(row["OBS_ID"]), number
        )

    def relative_to(self, folder: Path) -> Self:
        """The same index with its paths counted from another folder (upwards with ``..``)."""
        table = self.copy()
        dirs = [os.path.relpath(self._location(row).path.parent, folder) for row in self]
        table["FILE_DIR"] = [Path(name).as_posix() for name in dirs]
        table.meta = {**(self.meta or {}), "BASE_DIR": str(folder)}
        return table

    def summary(self) -> str:
        """What the index holds, in words."""
        return (
            f"HDU index: {len(self)} rows, {len(self.obs_id_unique)} observations, "
            f"classes {', '.join(self.hdu_class_unique)}\n  base folder: {self.base_dir}"
        )
