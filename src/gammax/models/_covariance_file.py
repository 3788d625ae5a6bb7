"""The covariance of models in the field's form: a table of fixed width with the names of the parameters."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from astropy.table import Table

from gammax._paths import file_fault, write_text
from gammax.errors import FileFormatError, SchemaError
from gammax.models._models import Models


def write_covariance(models: Models, path: Path, overwrite: bool) -> None:
    """Write the covariance of all parameters, frozen ones included."""
    names = list(models.parameters)
    width = max(len(name) for name in [*names, "Parameters"])
    rows = [["Parameters".rjust(width), *[str(i).rjust(25) for i in range(len(names))]]]
    rows += [
        [name.rjust(width), *[repr(float(value)).rjust(25) for value in row]]
        for name, row in zip(names, models.covariance, strict=True)
    ]
    write_text("".join("| " + " | ".join(row) + " |\n" for row in rows), path, overwrite)


def read_covariance(models: Models, path: Path) -> np.ndarray:
    """Covariance of the parameters of `models`.

    Raises
    ------
    FileFormatError : no such file, no such table. SchemaError : the covariance of other models.
    """
    if fault := file_fault(path):
        raise FileFormatError("GX-MODEL-026", f"the covariance file that the models name {fault}", file=path)
    try:
        table = Table.read(path, format="ascii.fixed_width", delimiter="|")
        matrix = np.array([[row[name] for name in table.colnames[1:]] for row in table], dtype=np.float64)
        names = list(table["Parameters"])
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise FileFormatError("GX-MODEL-027", f"not a covariance table: {error}", file=path) from error
    if _without_places(names) != _without_places(models.parameters) or matrix.shape != (len(names), len(names)):
        raise SchemaError(
            "GX-MODEL-028",
            "the covariance is not of these models' parameters",
            file=path,
            found=", ".join(names),
            expected=", ".join(models.parameters),
        )
    return matrix


def _without_places(names: Iterable[str]) -> list[str]:
    """Names without the place of a part in a compound: Gammapy always writes it, we only where names repeat."""
    return [".".join(step for step in name.split(".") if step not in ("model1", "model2")) for name in names]
