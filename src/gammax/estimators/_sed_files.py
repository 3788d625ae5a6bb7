"""Flux points in FITS and ECSV files."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from astropy.io import fits
from astropy.table import Column, Table

from gammax._fits import get_column, open_fits, write_fits
from gammax._paths import file_fault, resolve_path, write_text
from gammax.errors import FileFormatError, GammaxError, SchemaError
from gammax.estimators._flux_points import FluxPoints
from gammax.estimators._sed_tables import points_from_table
from gammax.maps._columns import column_units
from gammax.models import SpectralModel
from gammax.units import parse_unit

_KEYWORDS = ("SED_TYPE", "UL_CONF", "META")


def write_points(points: FluxPoints, path: str | Path, sed_type: str, overwrite: bool) -> Path:
    """See `FluxPoints.write`."""
    path, table = resolve_path(path), points.to_table(sed_type)
    if path.suffix == ".fits":
        hdu = fits.table_to_hdu(table)
        hdu.name = "FLUXPOINTS"
        return write_fits(fits.HDUList([fits.PrimaryHDU(), hdu]), path, overwrite)
    if path.suffix == ".ecsv":
        text = StringIO()
        table.write(text, format="ascii.ecsv")
        return write_text(text.getvalue(), path, overwrite)
    raise FileFormatError(
        "GX-FLUX-140",
        "unknown suffix for flux points",
        file=path,
        found=path.suffix or "none",
        expected=".fits or .ecsv",
    )


def read_points(path: str | Path, sed_type: str | None, reference_model: SpectralModel | None) -> FluxPoints:
    """See `FluxPoints.read`; the format is told by the first bytes of the file."""
    path = resolve_path(path)
    table = _read_ecsv(path) if _first_bytes(path).startswith(b"# %ECSV") else _read_fits(path)
    try:
        return points_from_table(table, sed_type, reference_model, path)
    except GammaxError as error:
        if "file" in error.context:
            raise
        raise error.with_context(file=path) from error


def _first_bytes(path: Path) -> bytes:
    if fault := file_fault(path):
        raise FileFormatError("GX-FLUX-143", fault, file=path, do="check the path and its base folder")
    with path.open("rb") as stream:
        head = stream.read(7)
    if not head.startswith((b"# %ECSV", b"SIMPLE", b"\x1f\x8b")):
        raise FileFormatError(
            "GX-FLUX-144", "neither a FITS nor an ECSV file", file=path, found=f"first bytes {head!r}"
        )
    return head


def _read_ecsv(path: Path) -> Table:
    try:
        return Table.read(path, format="ascii.ecsv")
    except Exception as error:
        raise FileFormatError("GX-FLUX-141", f"damaged ECSV file: {error}", file=path) from error


def _flux_points_hdu(hdus: fits.HDUList, path: Path) -> fits.BinTableHDU:
    """HDU FLUXPOINTS; older files have one table without a name."""
    tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)]
    found = [hdu for hdu in tables if hdu.name == "FLUXPOINTS"] or [hdu for hdu in tables if not hdu.name]
    if not found:
        raise SchemaError(
            "GX-FLUX-142",
            "HDU FLUXPOINTS is missing",
            file=path,
            hdu="FLUXPOINTS",
            found=", ".join(hdu.name or "(unnamed)" for hdu in hdus),
        )
    return found[0]


def _read_fits(path: Path) -> Table:
    with open_fits(path) as hdus:
        return _read_hdu(_flux_points_hdu(hdus, path), str(path))


def _read_hdu(hdu: fits.BinTableHDU, file: str) -> Table:
    """Table with the values as they are in the file: a NaN is a NaN, not a missing value."""
    table = Table(meta={key: hdu.header[key] for key in _KEYWORDS if key in hdu.header})
    for name, unit in column_units(hdu).items():
        parsed = parse_unit(unit, file=file, column=name) if unit else None
        table[name.lower()] = Column(get_column(hdu, name, None, file), unit=parsed)
    return table
