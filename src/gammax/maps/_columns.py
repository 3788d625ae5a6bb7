"""Names and units of the columns of a table."""

from __future__ import annotations

from astropy.io import fits

from gammax._fits import table_columns


def column_units(hdu: fits.BinTableHDU) -> dict[str, str]:
    """Unit of each column ("" where it has none), by its name in capitals, in the order of the table."""
    return {name: str(column.unit or "") for name, column in table_columns(hdu).items()}
