"""Positions near an anchor as pixel numbers: against the projections themselves (astropy's WCS)."""

import astropy.units as u
import jax
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gammax.errors import GeometryError
from gammax.folding._plane import make_plane
from gammax.maps import WcsGeom

CASES = {
    "car at its reference": ({"skydir": (83.63, 22.01), "width": 4}, SkyCoord(83.6, 22.02, unit="deg")),
    "galactic image, icrs source": (
        {"skydir": (0, 0), "frame": "galactic", "width": 10},
        SkyCoord(266.4, -29.0, unit="deg"),
    ),
    "near the pole": ({"skydir": (10, 89.5), "proj": "TAN", "width": 4}, SkyCoord(200, 89.8, unit="deg")),
    "across the wrap": ({"skydir": (0, 0), "proj": "TAN", "width": 4}, SkyCoord(359.99, 0.1, unit="deg")),
    "oblique, all sky": (
        {"proj": "AIT", "frame": "galactic", "binsz": 0.1},
        SkyCoord(120, 40, unit="deg", frame="galactic"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_pixels_are_those_of_the_projection(case):
    geometry, anchor = CASES[case]
    geom = WcsGeom.create(**{"binsz": 0.02, **geometry})
    plane = make_plane(geom, anchor, 1.0)
    around = anchor.directional_offset_by(np.arange(0, 360, 30) * u.deg, 0.5 * u.deg)
    found = jax.vmap(plane.pixels)(around.spherical.lon.deg, around.spherical.lat.deg)
    assert np.allclose(found, geom.coord_to_pix(around), rtol=0, atol=1e-6)


def test_tangent_coordinates_keep_small_offsets():
    plane = make_plane(WcsGeom.create(skydir=(83, 22), width=2, binsz=0.02), SkyCoord(83, 22, unit="deg"), 1.0)
    east, north = plane.tangent(83 + 1e-9 / np.cos(np.deg2rad(22)), 22 + 1e-9)
    # 83 deg has a spacing of 1.4e-14 deg between floats
    assert np.allclose([east, north], 1e-9, rtol=2e-5)


def test_derivatives_are_smooth_through_the_anchor_and_full_turns():
    plane = make_plane(WcsGeom.create(skydir=(0, 0), width=2, binsz=0.02), SkyCoord(0.01, 0.2, unit="deg"), 1.0)
    slopes = [jax.jacfwd(lambda lon: plane.pixels(lon, 0.2)[0])(lon) for lon in (0.01, 360.01, -359.99)]
    assert np.allclose(slopes, slopes[0], rtol=1e-12)
    assert np.isfinite(jax.hessian(lambda p: plane.pixels(*p)[0])(np.array([0.01, 0.2]))).all()


def test_a_position_off_the_image_plane_is_an_error():
    geom = WcsGeom.create(skydir=(0, 0), proj="TAN", width=2, binsz=0.02)
    with pytest.raises(GeometryError, match="GX-FOLD-010"):
        make_plane(geom, SkyCoord(180, 0, unit="deg"), 1.0)
