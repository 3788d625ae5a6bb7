"""Shapes: values of Gammapy, unit integral over the sphere, frames, rotations, small angles."""

import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.units import Quantity
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from gammax.errors import ModelError
from gammax.maps import WcsGeom
from gammax.models import (
    ConstantSpatialModel,
    DiskSpatialModel,
    GaussianSpatialModel,
    GeneralizedGaussianSpatialModel,
    Parameter,
    PointSpatialModel,
    Shell2SpatialModel,
    ShellSpatialModel,
    SpatialModel,
    parameter,
)

NEAR = [(83.9, 22.3), (83.1, 21.9), (83.63, 22.61)]
POLE = [(195.0, 88.7), (230.0, 88.1), (199.0, 88.49)]
# Gammapy 2.1: values [sr-1] at NEAR of a model at (83.63, 22.01) deg, at POLE of one at (200, 88.5) deg; and how far
# its normalisation is off the sphere: its formulas are planar, that of the disk has no edge
PEER = [
    (
        GaussianSpatialModel,
        {"sigma": "0.3 deg"},
        [2570.6185130071044, 1417.8500954160017, 785.6712631787794],
        [4280.693667606189, 34.34171935900842, 5779.873453788786],
        0.0,
    ),
    (
        GaussianSpatialModel,
        {"sigma": "2 deg", "e": 0.7, "phi": "35 deg"},
        [179.54915291813438, 174.74612618145625, 172.38438409945007],
        [180.6904045864912, 149.062082709492, 182.87911759341065],
        1e-4,
    ),
    (
        GeneralizedGaussianSpatialModel,
        {"r_0": "0.4 deg", "eta": 0.8},
        [1772.1734915440404, 1203.3631099536071, 868.5896157582856],
        [2737.4977935992574, 229.51099992172175, 4405.998088334242],
        1e-4,
    ),
    (
        GeneralizedGaussianSpatialModel,
        {"r_0": "1 deg", "eta": 0.3, "e": 0.5, "phi": "-120 deg"},
        [1293.2109770629772, 1213.5566712736102, 1036.8092843553577],
        [1333.2485937465224, 461.2777783234046, 1350.3917199762866],
        1e-4,
    ),
    (
        DiskSpatialModel,
        {"r_0": "0.7 deg", "edge_width": 0.4},
        [2132.3689411188707, 2110.0718436628645, 1876.6287604595152],
        [2132.57691890273, 2.312954181468188, 2132.5769660941587],
        0.02,
    ),
    (
        DiskSpatialModel,
        {"r_0": "1.2 deg", "e": 0.8, "phi": "60 deg", "edge_width": 0.3},
        [1209.4626050540414, 1209.4626039118039, 1203.6671676245903],
        [1209.4626050545132, 386.76917988430995, 1209.462605054596],
        0.01,
    ),
    (
        ShellSpatialModel,
        {"radius": "0.5 deg", "width": "0.2 deg"},
        [1901.526191861947, 3494.8675625727637, 2592.3989311967325],
        [1566.6809012322954, 0.0, 1439.6294952308785],
        1e-4,
    ),
    (
        Shell2SpatialModel,
        {"r_0": "0.8 deg", "eta": 0.3},
        [1368.9271285045277, 1755.8776126641544, 2465.6438000674525],
        [1194.1332971784664, 0.0, 1119.2980117887237],
        1e-4,
    ),
]


def at(model, points):
    return model(*(Quantity(angle, "deg") for angle in np.transpose(points))).value


@pytest.mark.parametrize(("kind", "values", "near", "pole", "off"), PEER)
def test_formulas_are_those_of_gammapy(kind, values, near, pole, off):
    """One factor for all points: the normalisation. 1e-10, Gammapy's own rounding of 1 - cos(sep)."""
    got = np.concatenate(
        [
            at(kind(lon_0="83.63 deg", lat_0="22.01 deg", **values), NEAR),
            at(kind(lon_0="200 deg", lat_0="88.5 deg", **values), POLE),
        ]
    )
    want = np.array([*near, *pole])
    factor = np.max(got) / np.max(want)
    assert abs(factor - 1.0) <= max(off, 1e-10)
    np.testing.assert_allclose(got, want * factor, rtol=2e-10, atol=1e-12)


def profile(model, radius):
    """Values [sr-1] of a round model at (0, 0) at radii [rad]."""
    return float(at(model, [(0.0, np.degrees(radius))])[0])


SIZES = [1e-3, 0.1, 3.0, 12.0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("build", "ends"),
    [
        (lambda s: GaussianSpatialModel(sigma=f"{s} deg"), (1.0, 9.0)),
        (lambda s: GeneralizedGaussianSpatialModel(r_0=f"{s / 2} deg", eta=0.75), (0.05, 0.5, 5.0, 20.0)),
        (lambda s: GeneralizedGaussianSpatialModel(r_0=f"{s} deg", eta=0.05), (0.8, 1.0, 1.3)),
        (lambda s: DiskSpatialModel(r_0=f"{s} deg"), (0.98, 1.0, 1.02)),
        (lambda s: DiskSpatialModel(r_0=f"{s} deg", edge_width=0.5), (0.5, 1.0, 1.5, 2.5)),
        (lambda s: ShellSpatialModel(radius=f"{s} deg", width=f"{s / 4} deg"), (1.0, 1.25)),
        (lambda s: Shell2SpatialModel(r_0=f"{s} deg", eta=0.02), (0.98, 1.0)),
        (lambda s: Shell2SpatialModel(r_0=f"{s} deg", eta=1.0), (1.0,)),
    ],
)
def test_round_shapes_are_of_unit_integral(build, ends, size):
    """2 pi integral of f sin(r) dr, by scipy; the rims of shells cost the quadrature 1e-7."""
    model = build(size)
    edges = np.radians(size) * np.array([0.0, *ends])
    parts = [
        quad(lambda r: profile(model, r) * np.sin(r), low, high, epsabs=0, epsrel=1e-9, limit=60)[0]
        for low, high in zip(edges[:-1], np.minimum(edges[1:], np.pi), strict=True)
        if low < high
    ]
    assert 2 * np.pi * sum(parts) == pytest.approx(1.0, abs=2e-7)


@pytest.mark.parametrize("size", [1e-3, 3.0])
@pytest.mark.parametrize("e", [0.3, 0.95])
@pytest.mark.parametrize(
    ("kind", "values", "extent"),
    [
        (GaussianSpatialModel, {"sigma": "{} deg"}, 7.0),
        (GeneralizedGaussianSpatialModel, {"r_0": "{} deg", "eta": 0.5}, 5.0),
        (DiskSpatialModel, {"r_0": "{} deg", "edge_width": 0.5}, 3.0),
    ],
)
def test_elongated_shapes_are_of_unit_integral(kind, values, extent, size, e):
    """Trapezia in angle, Gauss-Legendre along the rays: both converge fast for these smooth shapes."""
    numbers = {name: value.format(size) if isinstance(value, str) else value for name, value in values.items()}
    model = kind(e=e, phi="20 deg", **numbers)
    t, weights = np.polynomial.legendre.leggauss(200)
    angle = np.arange(400) * (2 * np.pi / 400)
    # rays end where the shape does in their direction
    end = np.radians(size) * extent * np.sqrt((1 - e**2) / (1 - e**2 * np.cos(angle - np.radians(20)) ** 2))
    radius = end[:, None] * (t + 1) / 2
    points = SkyCoord(0, 0, unit="deg").directional_offset_by(Quantity(angle[:, None], "rad"), Quantity(radius, "rad"))
    total = np.sum(model(points).value * np.sin(radius) * weights * end[:, None] / 2) * 2 * np.pi / 400
    assert total == pytest.approx(1.0, abs=1e-8)


def test_gaussian_at_small_angles():
    """With 50 digits: 1e-9 deg from the centre of a Gaussian of 1e-9 deg, and of 1 deg."""
    mp.mp.dps = 50
    for sigma in (1e-9, 1.0):
        got = at(GaussianSpatialModel(lon_0="83 deg", sigma=f"{sigma} deg"), [(83.0, 1e-9)])[0]
        degree = mp.pi / 180
        a = 1 - mp.cos(mp.mpf(sigma) * degree)
        norm = 1 / (4 * mp.pi * a * (1 - mp.exp(-1 / a)))
        want = norm * mp.exp(-(1 - mp.cos(mp.mpf("1e-9") * degree)) / (2 * a))
        assert got == pytest.approx(float(want), rel=1e-12)


GAUSS = {"sigma": "0.4 deg", "e": 0.6, "phi": "50 deg"}
LON, LAT = st.floats(-180, 540), st.floats(-89.9, 89.9)


@settings(max_examples=30, deadline=None)
@given(lon=LON, lat=LAT, turns=st.integers(-2, 2), angle=st.floats(0, 360), distance=st.floats(0, 1.5))
def test_longitude_is_a_circle_and_east_is_the_mirror_of_west(lon, lat, turns, angle, distance):
    """Whole turns of both longitudes change nothing, and so do mirrored positions with the angle reversed: 1e-10."""
    model = GaussianSpatialModel(lon_0=f"{lon} deg", lat_0=f"{lat} deg", **GAUSS)
    point = model.position.directional_offset_by(Quantity(angle, "deg"), Quantity(distance, "deg"))
    d_lon, there = point.ra.deg - lon, point.dec.deg
    value = at(model, [(lon + d_lon, there)])
    turned = model.replace(lon_0=lon + 360 * turns)
    mirrored = model.replace(phi=-50.0)
    rtol = 1e-10
    np.testing.assert_allclose(at(turned, [(lon + d_lon, there)]), value, rtol=rtol)
    np.testing.assert_allclose(at(model, [(lon + d_lon - 360 * turns, there)]), value, rtol=rtol)
    np.testing.assert_allclose(at(mirrored, [(lon - d_lon, there)]), value, rtol=rtol)


@settings(max_examples=20, deadline=None)
@given(lon=LON, lat=st.floats(-80, 80), kind=st.sampled_from([0, 2, 4, 6]), distance=st.floats(0, 1.0))
def test_frames_agree(lon, lat, kind, distance):
    """The same place in ICRS and Galactic coordinates: 1e-8 (round shapes; position angles differ by frame)."""
    cls, values = PEER[kind][:2]
    place = SkyCoord(lon, lat, unit="deg")
    point = place.directional_offset_by(Quantity(77.0, "deg"), Quantity(distance, "deg"))
    one, two = (cls.from_position(p, **values) for p in (place, place.galactic))
    assert (one.frame, two.frame) == ("icrs", "galactic")
    a, b = one(point).value, two(point).value
    # the rim of a shell turns a shift of 1e-13 deg into 1e-6 of its height, the edge of a disk into 1e-11
    assert abs(a - b) <= 1e-8 * max(a, b) + (1e-6 * 4000 if kind == 6 else 1e-8)


def test_an_elongated_shape_turns_with_its_position_angle():
    """On its major axis it is as a round one of the same sigma, across as one of sigma sqrt(1 - e^2); 1e-10."""
    model = GaussianSpatialModel(lon_0="10 deg", lat_0="70 deg", sigma="0.5 deg", e=0.8, phi="30 deg")
    for angle, sigma in ((30, 0.5), (210, 0.5), (120, 0.3), (-60, 0.3)):
        points = model.position.directional_offset_by(Quantity(angle, "deg"), Quantity([0.0, 0.7], "deg"))
        got, want = model(points).value, at(GaussianSpatialModel(sigma=f"{sigma} deg"), [(0.0, 0.0), (0.7, 0.0)])
        assert got[1] / got[0] == pytest.approx(want[1] / want[0], rel=1e-10)


def test_the_round_shape_is_the_limit_of_elongated_ones():
    for kind, values, *_ in PEER[:6:2]:
        points = np.array(NEAR)
        place = {"lon_0": "83.63 deg", "lat_0": "22.01 deg"}
        round_one, nearly = kind(**place, **values), kind(e=1e-6, phi="70 deg", **place, **values)
        np.testing.assert_allclose(at(nearly, points), at(round_one, points), rtol=1e-10)


class Bowl(SpatialModel):
    """A user's model: a paraboloid."""

    lon_0: Parameter = parameter("0 deg")
    lat_0: Parameter = parameter("0 deg")
    radius: Parameter = parameter("1 deg")

    @staticmethod
    def evaluate(lon, lat, lon_0, lat_0, radius):
        squared = ((lon - lon_0) ** 2 + (lat - lat_0) ** 2) / radius**2
        return (squared < 1) * (1 - squared) * 2 / jnp.pi / jnp.radians(radius) ** 2

    evaluation_radius = property(lambda self: float(self.radius.canonical))
    evaluation_bin_size_min = property(lambda self: float(self.radius.canonical) / 20)


def test_a_users_shape():
    model = Bowl(radius="0.3 deg", lon_0="10 deg")
    assert at(model, [(10.0, 0.0)])[0] == pytest.approx(2 / np.pi / np.radians(0.3) ** 2)
    fractions = model.integrate_geom(WcsGeom.create(skydir=(10.0, 0.0), npix=20, binsz=0.1))
    assert fractions.data.sum() == pytest.approx(1.0, abs=1e-3)


def test_what_is_around_a_shape():
    """Radii and bin sizes as Gammapy has them, outlines by hand."""
    gauss = GaussianSpatialModel(sigma="0.4 deg", e=0.6, phi="50 deg")
    assert (gauss.evaluation_radius, gauss.evaluation_bin_size_min) == pytest.approx((2.0, 0.4 / 3))
    region = gauss.to_region(2.0)
    assert region.height.to_value("deg") == pytest.approx(1.6)
    assert region.width.to_value("deg") == pytest.approx(1.6 * 0.8)
    assert region.angle.to_value("deg") == pytest.approx(50.0)
    disk = DiskSpatialModel(r_0="2 deg")
    assert (disk.evaluation_radius, disk.evaluation_bin_size_min) == pytest.approx((2.222, 0.198))
    general = GeneralizedGaussianSpatialModel(r_0="1 deg", eta=0.25, e=0.5)
    assert (general.evaluation_radius, general.evaluation_bin_size_min) == pytest.approx((3.0, 1 / 5 / 1.5))
    ring = ShellSpatialModel(radius="1 deg", width="0.2 deg")
    assert (ring.evaluation_radius, ring.evaluation_bin_size_min) == pytest.approx((1.2, 0.2))
    assert ring.to_region().inner_radius.to_value("deg") == pytest.approx(1.0)
    assert gauss.evaluation_region.radius.to_value("deg") == pytest.approx(2.0)
    sky = ConstantSpatialModel(value="2 sr-1")
    assert (sky.position, sky.evaluation_radius, sky.evaluation_region) == (None, None, None)
    np.testing.assert_array_equal(at(sky, NEAR), [2.0, 2.0, 2.0])
    assert PointSpatialModel(lon_0="3 deg").to_region().center.ra.deg == 3.0


def test_position_error():
    """sqrt(5.99146) = 2.44775 sigma hold 95 % of a two-dimensional Gaussian; longitude shrinks by cos(lat)."""
    model = PointSpatialModel(lon_0="10 deg", lat_0="60 deg")
    region = model.position_error(np.diag([0.04**2, 0.01**2]))
    assert region.height.to_value("deg") == pytest.approx(2 * 2.4477468 * 0.02)
    assert region.width.to_value("deg") == pytest.approx(2 * 2.4477468 * 0.01)
    assert abs(region.angle.to_value("deg")) == pytest.approx(90.0)


@pytest.mark.parametrize(
    "build",
    [
        lambda: GaussianSpatialModel(frame="ecliptic"),
        lambda: GaussianSpatialModel(sigmma="1 deg"),
        lambda: PointSpatialModel()(0 * Quantity(1, "deg"), 0 * Quantity(1, "deg")),
        lambda: ConstantSpatialModel().plot(),
        lambda: type("GaussianSpatialModel", (Bowl,), {"__module__": "elsewhere"}),
    ],
)
def test_what_is_refused(build):
    with pytest.raises(ModelError, match="GX-MODEL"):
        build()


def test_plot():
    import matplotlib.pyplot as plt

    ax = DiskSpatialModel(r_0="0.2 deg", e=0.5).plot()
    assert len(ax.images) == 1
    plt.close(ax.figure)
