"""Points and Gaussians through sums of Gaussians: closed forms against direct integration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from scipy.integrate import dblquad
from scipy.signal import fftconvolve

from derivatives import assert_derivative, fd_gradient
from gammax.folding._mixture import Mixture, at_pixels, in_masks, local_quadratic
from gammax.folding._plane import make_plane
from gammax.maps import WcsGeom

SIGMA = np.array([0.03, 0.08])
WEIGHTS = np.array([[0.7, 0.3], [0.4, 0.6]])
# exposure as a quadratic of the distance [deg] to the anchor, at two energies
AREA = np.array([[1.0, 0.4, -0.2, -0.5, 0.1, -0.3], [2.0, -0.6, 0.1, 0.2, 0.3, -0.4]])


def mixture(area=AREA, exposure=None, corner=(0.0, 0.0), shape=(61, 61)):
    geom = WcsGeom.create(skydir=(83.6, 22.0), npix=(61, 61), binsz=0.02, proj="TAN")
    plane = make_plane(geom, SkyCoord(83.6, 22.0, unit="deg"), 0.5)
    return Mixture(plane, SIGMA, WEIGHTS, area, exposure, np.array(corner), shape)


def test_a_pixel_holds_the_integral_over_it():
    found = mixture(area=None, exposure=np.ones((2, 61, 61))).basis(83.607, 22.011)
    x, y = (float(pix) for pix in mixture().plane.pixels(83.607, 22.011))

    def density(v, u):
        r2 = ((u - x) ** 2 + (v - y) ** 2) * 0.02**2
        return 0.02**2 * np.sum(WEIGHTS[0] * np.exp(-r2 / 2 / SIGMA**2) / (2 * np.pi * SIGMA**2))

    for i, j in ((30, 30), (27, 33), (20, 25)):
        expected = dblquad(density, i - 0.5, i + 0.5, j - 0.5, j + 0.5, epsabs=1e-14)[0]
        # the pixels of a TAN image are smaller than 0.02 deg by 1e-5 away from its centre
        assert found[0, j, i] == pytest.approx(expected, rel=3e-4)


@pytest.mark.parametrize("size", [None, 0.0, 1e-6, 0.05])
def test_nothing_is_lost_or_moved_by_sub_pixel_steps(size):
    """Total and centroid of the pixels, at 21 steps through pixel centres and edges."""
    plain = mixture(area=None, exposure=np.ones((2, 61, 61)))
    y, x = np.indices((61, 61))
    for lon in np.linspace(83.59, 83.62, 21):
        basis = np.asarray(plain.basis(lon, 22.003, size))
        expected = [float(pix) for pix in plain.plane.pixels(lon, 22.003)]
        assert np.allclose(basis.sum(axis=(1, 2)), 1.0, rtol=1e-9)
        centroid = [(basis[0] * axis).sum() / basis[0].sum() for axis in (x, y)]
        assert np.allclose(centroid, expected, rtol=0, atol=1e-6)


def test_exposure_is_that_of_the_true_position():
    """A Gaussian times a quadratic exposure, convolved with the PSF on a grid ten times as fine."""
    size, fine, n = 0.06, 0.02 / 10, 61 * 10
    terms = mixture().terms(83.61, 22.02, size)
    x, y = (float(pix) for pix in mixture().plane.pixels(83.61, 22.02))
    edges = (np.arange(n) + 0.5) / 10 - 0.5
    u, v = np.meshgrid((edges - x) * 0.02, (edges - y) * 0.02)
    shape = np.exp(-(u**2 + v**2) / 2 / size**2) / (2 * np.pi * size**2) * fine**2
    a, b = np.meshgrid((edges - 30) * 0.02, (edges - 30) * 0.02)
    kernel_axis = (np.arange(n + 1) - n // 2) * fine
    r2 = kernel_axis[:, None] ** 2 + kernel_axis[None] ** 2
    for t in range(2):
        exposed = shape * np.einsum("m,myx->yx", AREA[t], [np.ones_like(a), a, b, a * a, a * b, b * b])
        psf = sum(w * np.exp(-r2 / 2 / s**2) / (2 * np.pi * s**2) for w, s in zip(WEIGHTS[t], SIGMA, strict=True))
        seen = fftconvolve(exposed, psf * fine**2, mode="same").reshape(61, 10, 61, 10).sum(axis=(1, 3))
        found = np.asarray(mixture().basis(83.61, 22.02, size))[t]
        assert np.allclose(found, seen, rtol=0, atol=2e-3 * seen.max())
        assert found.sum() == pytest.approx(seen.sum(), rel=1e-4)
    assert terms.coefficients.shape == (2, 2, 6)


def test_a_point_sees_the_exposure_where_it_is():
    basis = np.asarray(mixture().basis(83.61, 22.02))
    x, y = (float(pix) for pix in mixture().plane.pixels(83.61, 22.02))
    u, v = (x - 30) * 0.02, (y - 30) * 0.02
    assert np.allclose(basis.sum(axis=(1, 2)), AREA @ [1, u, v, u * u, u * v, v * v], rtol=1e-4)


def test_a_vanishing_size_is_a_point():
    assert np.allclose(mixture().basis(83.61, 22.02, 1e-7), mixture().basis(83.61, 22.02), rtol=1e-9)


@pytest.mark.parametrize("size", [None, 0.04])
@pytest.mark.parametrize("many", [False, True])
def test_single_bins_and_masks_are_parts_of_the_basis(size, many):
    random = np.random.default_rng(5)
    contracted = random.uniform(size=(3, 2, 2))
    terms = mixture().terms(83.61, 22.01, size)
    cube = np.einsum("rt,tyx->ryx", contracted[:, :, 0], np.asarray(mixture().basis(83.61, 22.01, size)))
    weights = jnp.einsum("rt,tkm->rkm", contracted[:, :, 0], terms.coefficients)
    n = 5000 if many else 50
    x, y, energy = random.integers(0, 61, n), random.integers(0, 61, n), random.integers(0, 3, n)
    assert np.allclose(
        at_pixels(terms.columns, terms.rows, x, y, energy, weights), cube[energy, y, x], rtol=1e-9, atol=1e-15
    )
    masks = random.uniform(size=(2, 61, 61)) > 0.5
    sums = np.einsum("rkm,ukm->ru", weights, in_masks(terms.columns, terms.rows, masks.astype(float)))
    assert np.allclose(sums, np.einsum("uyx,ryx->ru", masks, cube), rtol=1e-10)
    whole = np.einsum("rkm,km->r", weights, in_masks(terms.columns, terms.rows, None)[0])
    assert np.allclose(whole, cube.sum(axis=(1, 2)), rtol=1e-10)


def test_derivatives_in_position_and_size():
    chosen = np.random.default_rng(1).uniform(size=(2, 61, 61))

    def total(p):
        return jnp.sum(chosen * mixture().basis(83.6 + 0.01 * p[0], 22.0 + 0.01 * p[1], 0.05 * p[2]))

    value, gradient, hessian = jax.jit(total), jax.jit(jax.grad(total)), jax.jit(jax.hessian(total))
    for point in ([0.3, 1.1, 1.0], [0.0, 0.0, 0.2], [1.0, 1.0, 1e-3]):
        point = np.array(point)
        assert_derivative(gradient(point), fd_gradient(value, point), rtol=1e-6)
        assert_derivative(hessian(point), fd_gradient(gradient, point), rtol=1e-5)


def test_the_local_quadratic_is_exact_for_one():
    y, x = np.indices((40, 50))
    u, v = (x - 20.3) * 0.02, (y - 18.8) * 0.02
    maps = np.einsum("tm,myx->tyx", AREA, [np.ones_like(u), u, v, u * u, u * v, v * v])
    found = local_quadratic(maps, 20.3, 18.8, np.array([0.02, 0.02]), 0.3)
    # the constant is bilinear between pixels
    assert np.allclose(found, AREA, rtol=0, atol=2e-3)
