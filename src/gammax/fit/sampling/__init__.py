"""Posteriors by NUTS, started from the covariance of the fit."""
