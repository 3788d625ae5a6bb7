"""Intervals, profiles, surfaces, contours and covariances about a minimum."""
