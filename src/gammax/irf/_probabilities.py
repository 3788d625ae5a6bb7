"""What makes a matrix an energy dispersion."""

from __future__ import annotations

import warnings

import numpy as np

from gammax.errors import DataValueError, GammaxWarning

# rows that a file rounded to float32 sum to 1 + 1e-7; a full response (with effective area) to far more
ROW_SUM_RTOL = 1e-3


def check_probabilities(data: np.ndarray, **where: str | None) -> None:
    """Rows (n_true, n_reco) of probabilities.

    Raises
    ------
    DataValueError : a value that is negative or not finite, or a row that sums to more than 1; with its place.
    """
    bad = ~np.isfinite(data) | (data < 0)
    if bad.any():
        row, column = (int(k) for k in np.argwhere(bad)[0])
        raise DataValueError(
            "GX-IRF-005",
            "energy dispersion holds a value that is no probability",
            **where,
            true_bin=row,
            reco_bin=column,
            found=data[row, column],
        )
    total = data.sum(axis=1)
    if np.any(total > 1 + ROW_SUM_RTOL):
        row = int(np.argmax(total))
        raise DataValueError(
            "GX-IRF-006",
            "an energy dispersion row sums to more than 1",
            **where,
            true_bin=row,
            found=f"{total[row]:.6g}",
            do="is it a full response, with the effective area folded in?",
        )


def without_negative(data: np.ndarray, file: str | None) -> np.ndarray:
    """The matrix with its small negative values, which some published files hold, set to 0, and one warning."""
    negative = data < 0
    if not negative.any():
        return data
    warnings.warn(
        f"{file or 'energy dispersion'}: {negative.sum()} negative values (smallest {data.min():.3g}) set to 0",
        GammaxWarning,
        stacklevel=3,
    )
    return np.where(negative, 0.0, data)
