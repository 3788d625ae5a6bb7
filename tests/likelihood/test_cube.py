"""Cubes in the likelihood: the merged, staged statistic against the plain sum over all bins, and its derivatives."""

import equinox as eqx
import jax
import numpy as np
import pytest

from cubes import CENTER, GEOM, make_cube, make_onoff_cube, threshold_mask
from derivatives import assert_derivative, fd_gradient, toy_spectrum
from gammax.errors import FitError, GammaxError, GammaxWarning, ModelError, SchemaError
from gammax.fit import Fit
from gammax.folding import predict_background, predict_cube
from gammax.likelihood import Likelihood
from gammax.maps import WcsGeom, WcsNDMap
from gammax.models import (
    DiskSpatialModel,
    FoVBackgroundModel,
    GaussianSpatialModel,
    Models,
    PointSpatialModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
    TemplateNPredModel,
)
from gammax.stats import cash, wstat

PLACE = {"lon_0": "83.66 deg", "lat_0": "22.03 deg"}
SHAPES = {
    "point": PointSpatialModel(**PLACE),
    "gaussian": GaussianSpatialModel(**PLACE, sigma="0.07 deg"),
    "ellipse": GaussianSpatialModel(**PLACE, sigma="0.12 deg", e=0.6, phi="30 deg").unfreeze("e", "phi"),
    "disk": DiskSpatialModel(**PLACE, r_0="0.15 deg", edge_width=0.1),
}
ORDERS = ("exposure-first", "psf-first")


def source(shape, name="source", amplitude=2e-10):
    spectrum = PowerLawSpectralModel(index=2.2, amplitude=f"{amplitude} cm-2 s-1 TeV-1", reference="1 TeV")
    return SkyModel(spectrum, spatial_model=SHAPES[shape], name=name)


def sparse_cube(name="a", seed=1, **options):
    """Cube with few counts, so that most bins are merged."""
    cube = make_cube(name, seed, slope=0.02, **options)
    counts = np.random.default_rng(seed).poisson(0.1 * cube.counts.data).astype(float)
    background = cube.background.replace(data=0.05 * cube.background.data)
    return cube.replace(counts=cube.counts.replace(data=counts), background=background)


def plain_sum(dataset, models, order):
    """-2 ln L without any merging or staging."""
    arrays, signal = dataset.arrays, predict_cube(dataset, models, order=order)
    if arrays.alpha is None:
        per_bin = cash(arrays.counts, signal + predict_background(dataset, models))
    else:
        per_bin = wstat(arrays.counts, arrays.counts_off, arrays.alpha, signal)
    return float(np.asarray(per_bin)[arrays.mask].sum())


@pytest.mark.parametrize(
    ("kind", "shape", "dense", "order"),
    [
        *(("cash", shape, False, order) for shape in ("point", "gaussian", "disk") for order in ORDERS),
        *(("cash", shape, True, "exposure-first") for shape in ("gaussian", "ellipse")),
        *(("wstat", shape, False, "exposure-first") for shape in ("point", "ellipse")),
    ],
)
def test_the_statistic_is_the_sum_over_all_bins(kind, shape, dense, order):
    cube = sparse_cube(threshold=1) if kind == "cash" else make_onoff_cube(slope=0.02, threshold=1)
    models = [source(shape), source("point", "frozen").freeze("spatial")]
    models += [FoVBackgroundModel("a", PowerLawNormSpectralModel(norm=1.1, tilt=0.2))] if kind == "cash" else []
    likelihood = Likelihood(cube, Models(models), order, dense)
    assert float(likelihood(likelihood.theta0)) == pytest.approx(plain_sum(cube, Models(models), order), rel=1e-10)
    total = sum(float(part.sum()) for part in likelihood.npred_signal(likelihood.theta0).values())
    signal = cube.npred_signal(Models(models)).data if order == "exposure-first" else None
    if signal is not None and kind == "cash":
        assert total == pytest.approx(signal[cube.mask].sum(), rel=1e-10)


def test_masks_that_cut_a_cutout_are_kept_apart_by_energy():
    cube = sparse_cube()
    mask = np.random.default_rng(9).uniform(size=cube.geom.data_shape) > 0.3
    cube = cube.replace(mask_safe=WcsNDMap(cube.geom, mask))
    models = Models([source("gaussian")])
    likelihood = Likelihood(cube, models)
    assert float(likelihood(likelihood.theta0)) == pytest.approx(plain_sum(cube, models, "exposure-first"), rel=1e-10)


@pytest.mark.parametrize("dense", [False, True])
def test_a_spatial_factor_of_the_background_counts_in_merged_bins(dense):
    cube = sparse_cube(threshold=1, geom=WcsGeom.create(skydir=CENTER, binsz=0.05, npix=60, axes=GEOM.axes))
    factor = GaussianSpatialModel(lon_0="83.93 deg", lat_0="22.01 deg", sigma="0.6 deg").freeze()
    models = Models([source("point").freeze("spatial"), FoVBackgroundModel("a", spatial_model=factor)])
    likelihood = Likelihood(cube, models, dense=dense)
    expected = plain_sum(cube, models, "exposure-first")
    assert float(likelihood(likelihood.theta0)) == pytest.approx(expected, rel=1e-10)


def test_rounding_is_not_a_negative_source():
    """What Fourier transforms leave of nothing is not below zero: no fit is repeated with every bin for itself."""
    likelihood = Likelihood(sparse_cube(), Models([source("disk").freeze("spatial"), FoVBackgroundModel("a")]))
    assert float(likelihood.derivatives(likelihood.theta0).lowest) == 0.0


def test_an_ellipse_may_become_a_point():
    model = source("ellipse")
    likelihood = Likelihood(sparse_cube(), Models([model, FoVBackgroundModel("a")]))
    slot = likelihood.names.index("source.spatial.sigma")
    for sigma in (1e-3, 1e-5, 0.0):
        found = likelihood.derivatives(likelihood.theta0.at[slot].set(sigma / likelihood.problem.scale[slot]))
        assert all(np.isfinite(part).all() for part in (found.value, found.gradient, found.hessian))


def test_bins_that_no_source_reaches_keep_their_counts():
    """A source at the border of a wide cube: the far bins are merged, the constant is kept."""
    wide = WcsGeom.create(skydir=CENTER, binsz=0.05, npix=(80, 60), axes=GEOM.axes)
    cube = make_cube(geom=wide)
    models = Models([source("point"), FoVBackgroundModel("a", PowerLawNormSpectralModel(norm=0.9, tilt=0.1))])
    likelihood = Likelihood(cube, models)
    assert likelihood.problem.stacks[0].counts.size < cube.mask.sum() / 2
    assert float(likelihood(likelihood.theta0)) == pytest.approx(plain_sum(cube, models, "exposure-first"), rel=1e-10)


@pytest.mark.parametrize(
    ("shape", "order"),
    [*((shape, "exposure-first") for shape in SHAPES), ("gaussian", "psf-first"), ("disk", "psf-first")],
)
def test_derivatives(shape, order):
    """Gradient against 4th-order differences of the value, Hessian against those of the gradient."""
    background = FoVBackgroundModel("a", PowerLawNormSpectralModel().unfreeze("norm", "tilt"))
    likelihood = Likelihood(sparse_cube(), Models([source(shape), background]), order)
    gradient = jax.jit(jax.grad(likelihood))
    theta = likelihood.theta0 * 1.0005
    # positions of 83 deg are 8.3 in factor space: steps of 2e-5 there are 2e-4 deg
    assert_derivative(gradient(theta), fd_gradient(likelihood, theta, 2e-5), rtol=1e-5, floor=1e-6)
    derivatives = likelihood.derivatives(theta)
    assert_derivative(derivatives.hessian, fd_gradient(gradient, theta, 2e-5), rtol=1e-5, floor=1e-6)
    assert_derivative(derivatives.gradient, gradient(theta), rtol=1e-9)
    assert np.linalg.eigvalsh(derivatives.fisher).min() > -1e-9 * np.abs(derivatives.fisher).max()


def asimov(cube, models, order="exposure-first"):
    expected = predict_cube(cube, models, order=order) + predict_background(cube, models)
    return cube.replace(counts=cube.counts.replace(data=expected))


@pytest.mark.parametrize("shape", ["point", "gaussian", "disk"])
def test_a_fit_finds_what_the_counts_were_made_from(shape):
    """Counts equal to the prediction: the minimum is the truth, from a start several sigma away."""
    truth = Models([source(shape), FoVBackgroundModel("a")])
    cube = asimov(make_cube(slope=0.02), truth)
    moved = truth["source"].spatial_model.replace(lon_0=83.63, lat_0=22.01)
    start = truth.replace(truth["source"].replace(spatial_model=moved))
    result = Fit().run(cube, start)
    assert result.status == "ok", result.message
    expected = [parameter.value for parameter in truth.parameters.values() if not parameter.frozen]
    assert np.allclose((result.values - expected) / result.errors, 0.0, atol=1e-3)


def test_where_a_fit_starts_does_not_matter():
    cube = sparse_cube(seed=4)
    counts = np.random.default_rng(3).poisson(cube.npred(Models([source("gaussian")])).data).astype(float)
    cube = cube.replace(counts=cube.counts.replace(data=counts))
    results = []
    for lon, lat in ((83.66, 22.03), (83.6, 22.0)):
        spatial = SHAPES["gaussian"].replace(lon_0=lon, lat_0=lat)
        results.append(Fit().run(cube, source("gaussian").replace(spatial_model=spatial)))
    assert [result.status for result in results] == ["ok", "ok"]
    assert np.allclose((results[0].values - results[1].values) / results[0].errors, 0.0, atol=1e-2)


def test_a_negative_source_is_fitted_with_every_bin_for_itself():
    """Counts below the background where the source is looked for: merged bins would reward a negative mu."""
    cube = make_cube()
    hole = np.where(cube.geom.separation(SHAPES["point"].position).to_value("deg") < 0.1, 0.3, 1.0)
    cube = cube.replace(counts=cube.counts.replace(data=np.round(cube.background.data * hole)))
    frozen = source("point", amplitude=1e-12).freeze("spatial")
    frozen = frozen.replace(spectral_model=frozen.spectral_model.freeze("index"))
    with pytest.warns(GammaxWarning, match="npred is not positive"):
        result = Fit().run(cube, frozen)
    assert result.values[0] < 0
    dense = Likelihood(cube, result.models, dense=True)
    assert result.total_stat == pytest.approx(float(dense(dense.theta0)), rel=1e-10)


def test_cubes_and_spectra_add_up():
    cube, spectrum = sparse_cube(), toy_spectrum("wstat")
    models = Models([source("point", amplitude=2e-12)])
    joint = Likelihood([cube, spectrum], models)
    alone = [float(Likelihood(one, models)(joint.theta0)) for one in (cube, spectrum)]
    assert float(joint(joint.theta0)) == pytest.approx(sum(alone), rel=1e-12)
    by_dataset = joint.statistic_by_dataset(joint.theta0)
    assert [float(by_dataset[name]) for name in ("a", "toy")] == pytest.approx(alone, rel=1e-12)


def test_templates_of_counts_are_added():
    cube = sparse_cube()
    template = WcsNDMap(cube.geom, np.random.default_rng(2).uniform(0, 0.2, cube.geom.data_shape))
    models = Models([source("point"), TemplateNPredModel(template, datasets_names="a"), FoVBackgroundModel("a")])
    likelihood = Likelihood(cube, models)
    assert float(likelihood(likelihood.theta0)) == pytest.approx(plain_sum(cube, models, "exposure-first"), rel=1e-10)


def test_two_cubes_of_one_structure_share_their_compiled_program():
    """The pytree of the problem has the same structure and shapes: nothing is compiled twice."""
    one, two = (Likelihood(make_cube(), source("point", amplitude=a)) for a in (1e-12, 2e-12))
    shapes = [jax.tree.map(np.shape, eqx.filter(one.problem, eqx.is_array)) for one in (one, two)]
    assert jax.tree.structure(one.problem) == jax.tree.structure(two.problem)
    assert jax.tree.leaves(shapes[0]) == jax.tree.leaves(shapes[1])


# grids of one shape need PSFs of one width, those of one seed
@pytest.mark.parametrize(("shapes", "order", "seed"), [("point", "exposure-first", 2), ("disk", "psf-first", 1)])
def test_equal_cubes_are_one_stack_of_like_sources(shapes, order, seed):
    """Statistics and predictions are those of each cube for itself; derivatives those of the sum of all."""
    cubes = [sparse_cube("a", 1), sparse_cube("b", seed, threshold=1)]
    moved = {"lon_0": "84.15 deg", "lat_0": "22.3 deg"}  # at the border of the image
    sources = [source(shapes), source(shapes, "other").replace(spatial_model=SHAPES[shapes].replace(**moved))]
    # a free source of its own shape, and one that stands still
    models = Models([*sources, source("gaussian", "wide"), source("point", "still").freeze("spatial")])
    models = Models([*models, *(FoVBackgroundModel(cube.name) for cube in cubes)])
    likelihood = Likelihood(cubes, models, order)
    theta = likelihood.theta0
    assert len(likelihood.problem.stacks) == 1
    for cube in cubes:
        found = float(likelihood.statistic_by_dataset(theta)[cube.name])
        assert found == pytest.approx(plain_sum(cube, models, order), rel=1e-10)
        signal = predict_cube(cube, models, order=order)[cube.arrays.mask].sum()
        assert float(likelihood.npred_signal(theta)[cube.name].sum()) == pytest.approx(signal, rel=1e-9)
    derivatives, direction = likelihood.derivatives(theta), np.linspace(-1, 1, len(theta))
    gradient, bend = jax.jvp(jax.grad(likelihood), (theta,), (direction,))
    assert np.allclose(derivatives.gradient, gradient, rtol=1e-9, atol=1e-9 * np.abs(gradient).max())
    assert np.allclose(derivatives.hessian @ direction, bend, rtol=1e-9, atol=1e-9 * np.abs(bend).max())


def test_a_source_without_shape_is_an_error():
    with pytest.raises(ModelError, match="GX-FOLD-011"):
        Likelihood(make_cube(), SkyModel(PowerLawSpectralModel(), name="flat"))


def test_energies_outside_of_the_mask_do_not_count():
    cube = make_cube()
    masked = cube.replace(mask_fit=threshold_mask(cube.geom, 2))
    changed = masked.replace(counts=cube.counts.replace(data=np.where(masked.mask, cube.counts.data, 1e3)))
    both = [Likelihood(one, source("point")) for one in (masked, changed)]
    assert float(both[0](both[0].theta0)) == float(both[1](both[1].theta0))


def test_an_unknown_order_is_an_error():
    """A misspelt order must not be taken for the other one."""
    with pytest.raises(FitError, match="GX-FIT-014"):
        Likelihood(make_cube(), source("point"), order="psf_first")
    with pytest.raises(SchemaError, match="GX-FOLD-013"):
        predict_cube(make_cube(), source("point"), order="psf_first")


def test_two_models_of_one_background_are_an_error():
    cube = make_cube()
    twice = Models([source("point"), FoVBackgroundModel("a"), FoVBackgroundModel("a", name="again")])
    for call in (lambda: Likelihood(cube, twice), lambda: predict_background(cube, twice)):
        with pytest.raises(ModelError, match="GX-FOLD-019"):
            call()


def test_a_template_on_other_pixels_is_an_error():
    cube = sparse_cube()
    moved = WcsGeom.create(skydir=(83.7, 22.0), binsz=0.05, npix=(24, 20), axes=GEOM.axes)
    models = Models(
        [source("point"), TemplateNPredModel(WcsNDMap(moved, np.ones(moved.data_shape)), datasets_names="a")]
    )
    for call in (lambda: Likelihood(cube, models), lambda: predict_background(cube, models)):
        with pytest.raises(ModelError, match="GX-FOLD-012"):
            call()


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"psf": None}, "GX-FOLD-017"), ({"exposure": None, "edisp": None}, "GX-FOLD-015")],
)
def test_what_a_source_needs_of_a_cube(changes, code):
    with pytest.raises(GammaxError, match=code):
        Likelihood(make_cube().replace(**changes), source("point"))


def test_a_background_is_fitted_without_exposure():
    cube = make_cube().replace(exposure=None, edisp=None, psf=None)
    result = Fit().run(cube, FoVBackgroundModel("a"))
    # closed form: counts over background inside the mask
    assert result.values[0] == pytest.approx(cube.counts.data.sum() / cube.background.data.sum(), rel=1e-9)


def test_spectra_predict_the_background_that_their_fit_has():
    spectrum = toy_spectrum("cash")
    models = Models([FoVBackgroundModel("toy", PowerLawNormSpectralModel(norm=1.3, tilt=0.2))])
    factor = 1.3 * spectrum.energy_axis.center.to_value("TeV") ** -0.2
    assert np.allclose(spectrum.npred_background(models).values(), spectrum.background.values() * factor, rtol=1e-12)
    likelihood = Likelihood(spectrum, models)
    assert float(likelihood(likelihood.theta0)) == pytest.approx(spectrum.stat_sum(models), rel=1e-12)


def test_a_source_beside_the_region_of_a_spectrum_does_not_shine_into_it():
    """The region is a circle of 0.11 deg; the peer takes sources in it whole and others not at all."""
    spectrum, inside = toy_spectrum("wstat"), source("point", amplitude=2e-12)
    beside = inside.replace(spatial_model=inside.spatial_model.replace(lon_0=83.9), name="beside")
    both = Models([inside, beside])
    assert np.array_equal(spectrum.npred_signal(both).values(), spectrum.npred_signal(Models([inside])).values())
    assert spectrum.npred_signal(Models([inside])).values().sum() > 0
    with pytest.raises(ModelError, match="GX-FIT-006"):
        Likelihood(spectrum, both)
