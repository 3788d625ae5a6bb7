"""Names and units of the columns of a table."""

from __future__ import annotations

from astropy.io import fits

from gammax._fits import table_columns
from gammax.units import parse_unit, unit_string


def column_units(hdu: fits.BinTableHDU) -> dict[str, str]:
    """Unit of each column ("" where it has none), by its name in capitals, in the order of the table."""
    return {name: str(column.unit or "") for name, column in table_columns(hdu).items()}


def column_unit(hdu: fits.BinTableHDU, name: str, file: str | None = None) -> str:
    """Unit of a column in our spelling, "" where it has none.

    Raises
    ------
    UnitError : it is no unit.
    """
    return unit_string(parse_unit(column_units(hdu)[name.upper()], file=file, hdu=hdu.name, column=name))
