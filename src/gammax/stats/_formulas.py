"""The formulas that numpy and JAX share. ``xp`` is the array module; every operand is safe before it is used."""

from __future__ import annotations

from typing import Any

SMALLEST_COUNTS = 1e-100  # fewer are none: n ln n is nothing, and mu / n would overflow
SMALLEST_EXPECTATION = 1e-120  # its square is still a number


def deviance(xp: Any, n: Any, mu: Any) -> Any:
    """2 (mu - n + n ln(n / mu)) for mu > 0, and 2 (mu - n) where n = 0 or mu <= 0 (NaN stays NaN).

    ln(mu / n) = [ln(r) / (r - 1)] (mu - n) / n with r = mu / n: the bracket is smooth and the rest is exact, so the
    error is some 1e-16 |mu - n| with one logarithm, also where mu and n are large and close.
    """
    usable = (n > SMALLEST_COUNTS) & (mu > 0)
    n_safe = xp.where(usable, n, 1.0)
    mu_safe = xp.where(usable, mu, 1.0)
    ratio = mu_safe / n_safe
    offset = (mu_safe - n_safe) / n_safe
    distance = ratio - 1
    equal = distance == 0
    log_ratio = xp.where(equal, offset, xp.log(ratio) * (offset / xp.where(equal, 1.0, distance)))
    return 2 * xp.where(usable, n_safe * (offset - log_ratio), mu - n)


def profiled_expectations(xp: Any, n_on: Any, n_off: Any, alpha: Any, mu_sig: Any) -> tuple[Any, Any]:
    """(mu_on, mu_bkg) that minimise wstat over mu_bkg >= 0 and mu_on = mu_sig + alpha mu_bkg >= 0.

    Both are the larger roots of quadratics with the same discriminant D^2 = [(1 + alpha) mu_sig - alpha (n_on -
    n_off)]^2 + 4 alpha^2 n_on n_off, a sum of squares. Of the two forms of a root the one that adds numbers of equal
    sign is taken. With n_on = 0 or n_off = 0 the same expressions give the constrained minimum, bounds included.
    """
    scaled = (1 + alpha) * mu_sig
    total = alpha * (n_on + n_off)
    centre = scaled - alpha * (n_on - n_off)
    root = xp.sqrt(centre * centre + 4 * (alpha * n_on) * (alpha * n_off))
    bkg, on = total - scaled, total + scaled
    mu_bkg = xp.where(bkg >= 0, bkg + root, 2 * n_off * mu_sig) / xp.where(
        bkg >= 0, 2 * alpha * (1 + alpha), root - bkg
    )
    mu_on = xp.where(on >= 0, on + root, 2 * alpha * n_on * mu_sig) / xp.where(on >= 0, 2 * (1 + alpha), on - root)
    return mu_on, mu_bkg


def stationary_ratios(
    xp: Any, n_on: Any, n_off: Any, alpha: Any, mu_sig: Any, mu_on: Any, mu_bkg: Any
) -> tuple[Any, Any]:
    """n_on / mu_on and n_off / mu_bkg at the profiled expectations, with 1 + alpha = alpha on + off.

    Where an expectation is held at zero its ratio is what this equation leaves for it. The slope of wstat in mu_sig is
    2 (1 - on) everywhere.
    """
    scaled = (1 + alpha) * mu_sig
    on = n_on / xp.where(mu_on > SMALLEST_EXPECTATION, mu_on, 1.0)
    off = n_off / xp.where(mu_bkg > SMALLEST_EXPECTATION, mu_bkg, 1.0)
    on_held = (n_on <= SMALLEST_COUNTS) & (scaled + alpha * n_off < 0)
    off_held = (n_off <= SMALLEST_COUNTS) & (scaled - alpha * n_on >= 0)
    return xp.where(on_held, (1 + alpha - off) / alpha, on), xp.where(off_held, 1 + alpha - alpha * on, off)
