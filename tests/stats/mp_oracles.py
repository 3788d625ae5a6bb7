"""50-digit references that share no formula with the code: the profile is found by bisection."""

import mpmath as mp

mp.mp.dps = 50


def poisson_terms(n, mu):
    """2 (mu - n + n ln(n / mu)) and the size of its terms."""
    n, mu = mp.mpf(n), mp.mpf(mu)
    log_term = n * mp.log(n / mu) if n else mp.mpf(0)
    return 2 * (mu - n + log_term), 2 * (mu + n + abs(log_term))


def profile(n_on, n_off, alpha, mu_sig):
    """(mu_on, mu_bkg) by bisection of d/d mu_bkg of the two Poisson terms on mu_bkg >= max(0, -mu_sig / alpha)."""
    n_on, n_off, alpha, mu_sig = map(mp.mpf, (n_on, n_off, alpha, mu_sig))

    def slope(mu_bkg):
        on = alpha * n_on / (mu_sig + alpha * mu_bkg) if n_on else 0
        return 1 + alpha - on - (n_off / mu_bkg if n_off else 0)

    bound = max(mp.mpf(0), -mu_sig / alpha)
    low, high = bound, bound + n_on + n_off + 1
    for _ in range(220):
        middle = (low + high) / 2
        if slope(middle) > 0:
            high = middle
        else:
            low = middle
    mu_bkg = bound if low == bound else (low + high) / 2
    return mu_sig + alpha * mu_bkg, mu_bkg


def wstat(n_on, n_off, alpha, mu_sig):
    """W statistic and the size of its terms."""
    mu_on, mu_bkg = profile(n_on, n_off, alpha, mu_sig)
    (on, size_on), (off, size_off) = poisson_terms(n_on, mu_on), poisson_terms(n_off, mu_bkg)
    return on + off, size_on + size_off


def li_ma(n_on, n_off, alpha):
    """Equation 17 of Li & Ma (1983) as printed."""
    n_on, n_off, alpha = map(mp.mpf, (n_on, n_off, alpha))
    on = n_on * mp.log((1 + alpha) / alpha * n_on / (n_on + n_off)) if n_on else 0
    off = n_off * mp.log((1 + alpha) * n_off / (n_on + n_off)) if n_off else 0
    return mp.sign(n_on - alpha * n_off) * mp.sqrt(2 * (on + off))
