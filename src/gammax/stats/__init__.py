"""Fit statistics (-2 ln L), counts statistics and significances.

``cash``, ``cstat``, ``wstat``, ``chi2`` and their curvatures are pure JAX functions of arrays, per bin, safe in value,
gradient and Hessian at every corner. ``CashCountsStatistic`` and ``WStatCountsStatistic`` answer the questions of one
counting experiment (or of arrays of them) on numpy arrays and need no JAX setting.
"""

from gammax.stats._cash import cash as cash
from gammax.stats._cash import cash_curvature as cash_curvature
from gammax.stats._cash import cstat as cstat
from gammax.stats._wstat import wstat as wstat
from gammax.stats._wstat import wstat_curvature as wstat_curvature
from gammax.stats._wstat import wstat_mu_bkg as wstat_mu_bkg
from gammax.stats._chi2 import chi2 as chi2
from gammax.stats._chi2 import chi2_curvature as chi2_curvature
from gammax.stats._significance import li_ma_significance as li_ma_significance
from gammax.stats._significance import sigma_to_ts as sigma_to_ts
from gammax.stats._significance import ts_to_p_value as ts_to_p_value
from gammax.stats._significance import ts_to_sigma as ts_to_sigma
from gammax.stats._counts_statistic import CashCountsStatistic as CashCountsStatistic
from gammax.stats._counts_statistic import WStatCountsStatistic as WStatCountsStatistic
