"""Other minimisers behind the interface of the fit."""
