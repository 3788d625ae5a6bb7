"""Pictures: every function draws into the axes it is given, and returns them."""

from gammax.plot._style import style as style
from gammax.plot._counts import plot_counts as plot_counts
from gammax.plot._counts import plot_residuals as plot_residuals
from gammax.plot._counts import plot_fit as plot_fit
from gammax.plot._grid import plot_fits as plot_fits
from gammax.plot._spectrum import plot_flux_points as plot_flux_points
from gammax.plot._spectrum import plot_spectrum as plot_spectrum
