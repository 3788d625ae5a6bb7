"""Any shape through any PSF: against direct convolution, closed forms and the mixtures."""

import jax.numpy as jnp
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from scipy.signal import fftconvolve
from scipy.stats import norm

from gammax.folding._grid import Grid, convolve, kernel_transform, pixel_kernels
from gammax.folding._mixture import Mixture
from gammax.folding._plane import make_plane
from gammax.maps import WcsGeom
from gammax.models import GaussianSpatialModel

RAD = np.linspace(0, 0.5, 1001)
SIGMA = np.array([0.03, 0.05])
PSF = np.exp(-(RAD**2) / 2 / SIGMA[:, None] ** 2) / (2 * np.pi * np.deg2rad(SIGMA[:, None]) ** 2)
PER_PIXEL = np.diag([-0.02, 0.02])


def test_convolution_is_that_of_the_kernel_and_loses_nothing_inside_the_map():
    random = np.random.default_rng(3)
    kernels = pixel_kernels(SIGMA, np.eye(2), PER_PIXEL, 0.3)
    maps = np.zeros((2, 60, 70))
    maps[:, 20:40, 22:45] = random.uniform(size=(2, 20, 23))
    found = np.asarray(convolve(jnp.asarray(maps), *_transform(kernels, (60, 70))))
    for t in range(2):
        assert np.allclose(found[t], fftconvolve(maps[t], kernels[t], mode="same"), rtol=0, atol=1e-13)
    assert np.allclose(found.sum(axis=(1, 2)), maps.sum(axis=(1, 2)), rtol=1e-10)


@pytest.mark.parametrize("shape", [(5, 9), (40, 41)])
def test_nothing_comes_round_from_the_other_side(shape):
    kernels = pixel_kernels(SIGMA, np.eye(2), PER_PIXEL, 0.4)
    maps = np.zeros((2, *shape))
    maps[:, 0, 0] = 1.0
    found = np.asarray(convolve(jnp.asarray(maps), *_transform(kernels, shape)))
    middle = kernels.shape[1] // 2
    expected = np.zeros_like(maps)
    part = kernels[:, middle : middle + shape[0], middle : middle + shape[1]]
    expected[:, : part.shape[1], : part.shape[2]] = part
    assert np.allclose(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("psf", "rtol"), [(0.05, 1e-6), (0.02, 2e-5), (0.014, 3e-3), (0.01, 8e-3), (0.004, 4e-3)])
def test_pixels_hold_what_they_hold_of_the_convolved_shape(psf, rtol):
    """A Gaussian of 1.25 pixels through a Gaussian PSF of 2.5 to 0.2: differences of the normal distribution."""
    shape = 0.025
    kernel = pixel_kernels(np.array([psf]), np.ones((1, 1)), PER_PIXEL, 0.4)
    edges = (np.arange(-40, 42) - 0.5 + 0.3) * 0.02
    held, expected = (np.diff(norm.cdf(edges / width)) for width in (shape, np.hypot(shape, psf)))
    found = np.asarray(convolve(jnp.asarray(np.outer(held, held)[None]), *_transform(kernel, (81, 81))))[0]
    # means of the PSF over pixels miss by 1 to 4e-2
    assert np.allclose(found, np.outer(expected, expected), rtol=0, atol=rtol * found.max())
    assert kernel.sum() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("sigma", [0.005, 0.03, 0.06, 0.2])
def test_kernels_of_oblong_pixels_have_the_variance_of_the_psf(sigma):
    kernel = pixel_kernels(np.array([sigma]), np.ones((1, 1)), np.diag([-0.02, 0.1]), 1.5)[0]
    assert kernel.min() >= 0
    y, x = np.indices(kernel.shape)
    for along, step, n in ((x, 0.02, kernel.shape[1]), (y, 0.1, kernel.shape[0])):
        assert (kernel * ((along - n // 2) * step) ** 2).sum() == pytest.approx(sigma**2, rel=1e-10)


def test_an_energy_without_psf_has_an_empty_kernel():
    kernels = pixel_kernels(SIGMA, np.diag([1.0, 0.0]), PER_PIXEL, 0.3)
    assert kernels[0].sum() == pytest.approx(1.0)
    assert not kernels[1].any()


@pytest.mark.parametrize("after", [False, True])
def test_a_gaussian_is_the_same_by_fft_and_in_closed_form(after):
    geom = WcsGeom.create(skydir=(83.6, 22.0), npix=(81, 81), binsz=0.02, proj="TAN")
    plane = make_plane(geom, SkyCoord(83.6, 22.0, unit="deg"), 0.5)
    y, x = np.indices((81, 81))
    u, v = (x - 40) * 0.02, (y - 40) * 0.02
    area = np.array([[1.0, 0.4, -0.2, -0.5, 0.1, -0.3], [2.0, -0.6, 0.1, 0.2, 0.3, -0.4]])
    exposure = np.einsum("tm,myx->tyx", area, [np.ones_like(u), u, v, u * u, u * v, v * v])
    factor = 4
    steps = (np.arange(81 * factor) + 0.5) / factor - 0.5
    sky = geom.pix_to_coord(np.meshgrid(steps, steps))["skycoord"]
    # the cells between nodes, and by how much the shape is wider at them, are taken from the PSF
    sigma = np.sqrt(SIGMA**2 + (1 / 12 - 0.36) * (0.02 / factor) ** 2)
    transform, padded = _transform(pixel_kernels(sigma, np.eye(2), plane.sky_per_pixel, 0.4), (81, 81))
    grid = Grid(
        lon=sky.ra.deg,
        lat=sky.dec.deg,
        spacing=np.asarray(0.02 / factor),
        solid_angle=geom.solid_angle().value,
        exposure=exposure,
        energy=np.array([1.0, 2.0]),
        transform=transform,
        corner=(0, 0),
        factor=factor,
        padded=padded,
        after=after,
        whole=False,
    )
    model = GaussianSpatialModel(lon_0="83.61 deg", lat_0="22.02 deg", sigma="0.06 deg")
    found = np.asarray(grid.basis(model))
    mixture = Mixture(
        plane, SIGMA, np.eye(2), None if after else area, exposure if after else None, np.zeros(2), (81, 81)
    )
    closed = np.asarray(mixture.basis(83.61, 22.02, 0.06))
    # measured: 1e-6 and 8e-8 with the exposure after the PSF
    assert np.allclose(found, closed, rtol=0, atol=1e-4 * closed.max())
    assert np.allclose(found.sum(axis=(1, 2)), closed.sum(axis=(1, 2)), rtol=1e-4)
    if after:
        assert np.allclose(found, closed, rtol=0, atol=1e-5 * closed.max())


def _transform(kernels, shape):
    transform, padded = kernel_transform(kernels, shape)
    return jnp.asarray(transform), padded
