"""What kind of response an HDU holds, told by its columns."""

from __future__ import annotations

from typing import Any

from gammax.maps._columns import column_units

# what each class must have; headers disagree (CTA 1DC: HDUCLAS4 = '2D', '3GAUSS'), columns do not
_COLUMNS = {
    "aeff_2d": {"THETA_LO", "EFFAREA"},
    "edisp_2d": {"THETA_LO", "MIGRA_LO", "MATRIX"},
    "psf_table": {"THETA_LO", "RAD_LO", "RPSF"},
    "psf_3gauss": {"THETA_LO", "SIGMA_1", "AMPL_2", "SIGMA_3"},
    "psf_king": {"THETA_LO", "SIGMA", "GAMMA"},
    "rad_max_2d": {"THETA_LO", "RAD_MAX"},
}


def hdu_class_of(hdu: Any) -> str | None:
    """GADF class of the response in an HDU (``"aeff_2d"``, a key of `DL3_IRFS`), None where it holds none."""
    names = set(column_units(hdu)) if hasattr(hdu, "columns") else set()
    if names & {"BKG", "BGD"}:
        return "bkg_3d" if "DETX_LO" in names else "bkg_2d" if "THETA_LO" in names else None
    return next((tag for tag, needed in _COLUMNS.items() if needed <= names), None)
