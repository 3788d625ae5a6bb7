"""Projections of images: made from a few words, read from headers, written without rounding, and both ways through."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from astropy.coordinates import BaseCoordinateFrame, SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame

from gammax.errors import GeometryError, SchemaError, did_you_mean

_CTYPES = {"icrs": ("RA--", "DEC-"), "fk5": ("RA--", "DEC-"), "galactic": ("GLON", "GLAT")}
# in these a column of pixels is one native longitude, so that pixel numbers repeat after 360 deg
_CYLINDRICAL = ("CAR", "CEA", "CYP", "MER")
_PROJECTIONS = (*_CYLINDRICAL, "AIT", "ARC", "MOL", "SFL", "SIN", "STG", "TAN", "ZEA")
_TIME_CARDS = ("MJDREF", "MJDREFI", "MJDREFF", "DATEREF")


def check_projection(proj: str, frame: str) -> None:
    """Raise SchemaError for a projection or a frame that is none."""
    if proj not in _PROJECTIONS:
        raise SchemaError("GX-MAPS-100", f"unknown projection {proj!r}", do=did_you_mean(proj, _PROJECTIONS))
    if frame not in _CTYPES:
        raise SchemaError("GX-MAPS-101", f"unknown frame {frame!r}", do=did_you_mean(frame, _CTYPES))


def create_projection(proj: str, frame: str, skydir: SkyCoord, binsz: np.ndarray, npix: tuple[int, int]) -> WCS:
    """Projection with `skydir` in the middle of the image, longitude growing to the left.

    The reference point (CRVAL) is `skydir` in every projection, in CAR too, as the field has it: pixels are square
    where the source is, and CAR images away from the equator are oblique.
    """
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"{axis}-{proj}" for axis in _CTYPES[frame]]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = skydir.spherical.lon.deg, skydir.spherical.lat.deg
    wcs.wcs.cdelt = [-binsz[0], binsz[1]]
    wcs.wcs.crpix = [(n + 1) / 2 for n in npix]
    if frame != "galactic":
        wcs.wcs.radesys = frame.upper()
    if frame == "fk5":
        wcs.wcs.equinox = 2000.0
    wcs.wcs.set()
    return wcs


def celestial_frame(wcs: WCS) -> BaseCoordinateFrame:
    """Celestial frame of a projection.

    Raises
    ------
    GeometryError : no celestial projection in two dimensions, longitude first, or one with distortions.
    """
    try:
        if (wcs.naxis, wcs.wcs.lng, wcs.wcs.lat) != (2, 0, 1) or wcs.has_distortion:
            raise ValueError(f"axes {', '.join(wcs.wcs.ctype)}")
        frame: Any = wcs_to_celestial_frame(wcs)
    except ValueError as error:
        raise GeometryError(
            "GX-MAPS-102",
            f"not a projection of the sky: {error}",
            expected="longitude and latitude, in this order, without distortions",
        ) from error
    return frame


def projection_cards(wcs: WCS) -> fits.Header:
    """Header of a projection, every float to the last bit (astropy alone writes 14 digits)."""
    header = wcs.to_header()
    for card in _TIME_CARDS:
        header.remove(card, ignore_missing=True)
    prm = wcs.wcs
    exact = {"CRPIX": prm.crpix, "CRVAL": prm.crval} | ({} if prm.has_cd() else {"CDELT": prm.get_cdelt()})
    for name, values in exact.items():
        for k, value in enumerate(values, start=1):
            header[f"{name}{k}"] = float(value)
    header["LONPOLE"], header["LATPOLE"] = float(prm.lonpole), float(prm.latpole)
    return header


def read_projection(header: fits.Header, file: str | None = None, hdu: str | None = None) -> WCS:
    """Projection of the celestial axes of an image header.

    Raises
    ------
    SchemaError : the header holds none, or its first two axes are others.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # FITSFixedWarning: astropy tells that it read an old spelling
            whole = WCS(header)
            first = (whole.wcs.lng, whole.wcs.lat) == (0, 1)
            wcs = whole.celestial
    except Exception as error:
        raise SchemaError("GX-MAPS-103", f"cannot read the projection: {error}", file=file, hdu=hdu) from error
    if not first or not wcs.has_celestial:
        raise SchemaError(
            "GX-MAPS-104",
            "the image is not an image of the sky",
            file=file,
            hdu=hdu,
            found=", ".join(str(header.get(f"CTYPE{k}", "no CTYPE")) for k in (1, 2)),
            expected="longitude and latitude in CTYPE1 and CTYPE2",
        )
    return wcs


def pixel_period(wcs: WCS) -> float | None:
    """Number of pixels after which the sky repeats in x; None where it does not (or the image is rotated)."""
    code = wcs.wcs.ctype[0][-3:]
    if code not in _CYLINDRICAL or wcs.wcs.has_cd() or not np.array_equal(wcs.wcs.get_pc(), np.eye(2)):
        return None
    return 360.0 / abs(wcs.wcs.get_cdelt()[0])


def nearest_copy(x: np.ndarray, center: float, period: float | None) -> np.ndarray:
    """Pixel numbers x, moved by whole periods to within half a period of `center`."""
    return x if period is None else x - period * np.floor((x - center) / period + 0.5)


def sky_to_pix(wcs: WCS, coords: SkyCoord, center: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Pixel numbers (from 0) of positions, NaN where the projection does not reach.

    In cylindrical projections x is the copy nearest to `center` where one is given.
    """
    sky = coords.transform_to(celestial_frame(wcs)).spherical
    lon, lat = np.broadcast_arrays(sky.lon.deg, sky.lat.deg)
    x, y = (np.reshape(pix, lon.shape) for pix in wcs.wcs_world2pix(lon.ravel(), lat.ravel(), 0))
    return (x if center is None else nearest_copy(x, center, pixel_period(wcs))), y


def pix_to_lonlat(wcs: WCS, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude [deg] of pixel numbers (from 0), NaN off the sky."""
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    lon, lat = (np.reshape(angle, x.shape) for angle in wcs.wcs_pix2world(x.ravel(), y.ravel(), 0))
    return lon, lat
