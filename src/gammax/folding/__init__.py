"""The equation: spectra through exposure and energy dispersion to predicted counts."""

from gammax.folding._background import predict_background as predict_background
from gammax.folding._cube import predict_cube as predict_cube
from gammax.folding._flux import fold_flux as fold_flux
from gammax.folding._flux import total_flux as total_flux
from gammax.folding._spectrum import fold_spectrum as fold_spectrum
from gammax.folding._spectrum import predict_signal as predict_signal
