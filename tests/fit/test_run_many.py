"""The same models on many datasets: what `Fit.run` finds on each of them."""

import os
import signal
from collections.abc import Sequence
from time import sleep

import jax
import numpy as np
import pytest
from astropy import units as u
from test_many import assert_same_fit, power_law, run

from cubes import CENTER, make_cube
from derivatives import toy_spectrum
from gammax.datasets import Datasets
from gammax.errors import DataValueError, FitError, ModelError, ResourceError
from gammax.fit import Fit, fit_many
from gammax.likelihood import Likelihood
from gammax.models import (
    FoVBackgroundModel,
    Models,
    PointSpatialModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)

pytestmark = pytest.mark.filterwarnings("ignore::gammax.errors.GammaxWarning")


def with_map(dataset, name, values):
    return dataset.replace(**{name: getattr(dataset, name).replace(data=values.reshape(dataset.counts.data.shape))})


def test_spectra_of_equal_shape():
    """Names, counts and responses of their own; a bad one spoils no other."""
    spectra = [toy_spectrum("wstat", f"run-{seed}", seed) for seed in range(4)]
    exposure = spectra[1].exposure
    spectra[1] = spectra[1].replace(exposure=exposure.replace(data=1.3 * exposure.data))
    bad = spectra[2].counts.data.copy()
    bad[0] = np.nan
    spectra[2] = with_map(spectra[2], "counts", bad)
    results = Fit().run_many(Datasets(spectra), power_law())
    assert list(results.status) == ["ok", "ok", "invalid_input", "ok"]
    for k in (0, 1, 3):
        assert_same_fit(results, k, run([spectra[k]], power_law()))
    assert results[1].models["x"].spectral_model.index.value == results.values[1, 0]


def test_joint_sets():
    sets = [[toy_spectrum("cash", "a", seed), toy_spectrum("cash", "b", seed + 10)] for seed in range(3)]
    results = Fit().run_many(sets, power_law())
    for k, datasets in enumerate(sets):
        assert_same_fit(results, k, run(datasets, power_law()))


def test_spectra_of_other_shapes(tmp_path):
    """One by one; with a path, the second time from there."""
    spectra = [toy_spectrum("wstat"), toy_spectrum("wstat", n_reco=7)]
    results = Fit().run_many(spectra, power_law(), path=tmp_path / "batch")
    for k, dataset in enumerate(spectra):
        assert_same_fit(results, k, run([dataset], power_law()))
    again = Fit().run_many(spectra, power_law(), path=tmp_path / "batch")
    np.testing.assert_array_equal(again.covariance, results.covariance)
    with pytest.raises(FitError) as raised:
        Fit().run_many(spectra[::-1], power_law(), path=tmp_path / "batch")
    assert raised.value.code == "GX-FIT-313"


def cube_models(amplitude="2e-9 TeV-1 s-1 cm-2", shift=0.0):
    source = SkyModel(
        PowerLawSpectralModel(index=2.0, amplitude=amplitude),
        spatial_model=PointSpatialModel(lon_0=CENTER.ra + shift * u.deg, lat_0=CENTER.dec),
        name="source",
    )
    background = FoVBackgroundModel(dataset_name="a", spectral_model=PowerLawNormSpectralModel().freeze())
    return Models([source, background])


def cube_toys(number, models, seed=5):
    """Cubes with counts drawn from models, and one without any counts."""
    cube, rng = make_cube(), np.random.default_rng(seed)
    mean = cube.npred(models).data
    return [with_map(cube, "counts", rng.poisson(mean).astype(float)) for _ in range(number)]


def assert_near_fit(results, k, alone):
    """Minima to an edm of 1e-10 are 1e-5 sigma away from the true one, each of the two. `run` looks responses up anew
    at the minimum, but those of these cubes are the same everywhere."""
    np.testing.assert_allclose((results.values[k] - alone.values) / alone.errors, 0.0, atol=2e-5)
    np.testing.assert_allclose(results.errors[k], alone.errors, rtol=2e-5)


def test_cubes(tmp_path):
    """Each has merged bins of its own."""
    models = cube_models()
    cubes = cube_toys(3, models)
    empty = with_map(cubes[0], "counts", np.zeros_like(cubes[0].counts.data))
    bad = with_map(cubes[0], "counts", np.full_like(cubes[0].counts.data, -1.0))
    members = [*cubes, empty, bad]
    results = Fit().run_many(members, models, path=tmp_path / "batch")
    assert list(results.status) == ["ok", "ok", "ok", "no_data", "invalid_input"]
    assert "GX-DATASETS-210" in results.messages[4]
    for k, cube in enumerate(cubes):
        assert_near_fit(results, k, run([cube], models))
    again = Fit().run_many(members, models, path=tmp_path / "batch")
    np.testing.assert_array_equal(again.values, results.values)
    assert list(again.status) == list(results.status)
    assert again.messages == results.messages
    # as if killed while the third was written; the bad one is not in the file
    content = (tmp_path / "batch").read_bytes()
    header = content.index(b"\n") + 1
    (tmp_path / "batch").write_bytes(content[: header + (len(content) - header) // 4 * 2 + 9])
    resumed = Fit().run_many(members, models, path=tmp_path / "batch")
    for name in ("values", "covariance", "total_stat", "edm", "n_steps"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(results, name))
    assert (tmp_path / "batch").read_bytes() == content


def test_other_counts_of_a_dense_cube():
    """By elements, as the likelihood predicts them; not where bins are merged."""
    cube, models = make_cube(), cube_models()
    likelihood = Likelihood([cube], models, dense=True)
    # what is left of a source outside its single bins is nothing, to rounding
    mean = np.maximum(likelihood.npred(likelihood.theta0)["a"], 0.0)
    toys = np.random.default_rng(6).poisson(mean, (2, len(mean))).astype(float)
    results = fit_many(likelihood, {"a": toys})
    assert results.success.all()
    for k, counts in enumerate(toys):
        alone = likelihood.with_counts({"a": counts})
        theta = results.values[k] / np.asarray(likelihood.problem.scale)
        slope = np.asarray(alone.derivatives(theta).gradient) / np.asarray(likelihood.problem.scale)
        np.testing.assert_allclose(slope * results.errors[k], np.zeros(4), atol=1e-4)
    with pytest.raises(FitError) as raised:
        fit_many(Likelihood([cube], models), {"a": toys})
    assert raised.value.code == "GX-FIT-310"


def test_a_source_that_goes_far_is_looked_up_anew():
    """From 0.15 deg away the fit ends where `run` ends."""
    (cube,) = cube_toys(1, cube_models())
    models = cube_models("1.5e-9 TeV-1 s-1 cm-2", shift=0.15)
    results, alone = Fit().run_many([cube], models), run([cube], models)
    assert list(results.status) == [alone.status] == ["ok"]
    assert_near_fit(results, 0, alone)


def test_what_no_member_can_be_fitted_by_is_an_error():
    away = SkyModel(power_law().spectral_model, name="x", datasets_names=["elsewhere"])
    for members in ([toy_spectrum("wstat")] * 2, cube_toys(2, cube_models())):
        with pytest.raises(ModelError) as raised:
            Fit().run_many(members, away)
        assert raised.value.code == "GX-FIT-006"
    for fit, members, code in (
        (Fit(), [], "GX-FIT-303"),
        (Fit(backend="minuit"), [toy_spectrum("wstat")], "GX-FIT-315"),
        (Fit(mesh=jax.make_mesh((1,), ("datasets",))), [toy_spectrum("wstat")], "GX-FIT-316"),
    ):
        with pytest.raises(FitError) as raised:
            fit.run_many(members, power_law())
        assert raised.value.code == code
    with pytest.raises(FitError) as raised:
        Fit().run_many(toy_spectrum("wstat"), power_law())
    assert raised.value.code == "GX-FIT-318"


class Lazy(Sequence):
    """Members that are made when they are asked for; `before(k, times)` is called first, and may raise."""

    def __init__(self, members, before):
        self.members, self.before, self.times = members, before, [0] * len(members)

    def __len__(self):
        return len(self.members)

    def __getitem__(self, k):
        if k >= len(self):
            raise IndexError
        self.times[k] += 1
        self.before(k, self.times[k])
        return self.members[k]


def unlike():
    """Spectra that are fitted one by one."""
    return [toy_spectrum("wstat", seed=seed, n_reco=n_reco) for seed, n_reco in enumerate((9, 9, 7, 9))]


def failing(k, error, times):
    """What goes wrong when the member `k` is read, from some number of readings on."""

    def before(asked, time):
        if asked == k and time in times:
            raise error

    return before


OUTSIDE = {"file": OSError("disk away"), "memory": MemoryError(), "own": ResourceError("GX-X-001", "too large")}


@pytest.mark.parametrize("error", OUTSIDE.values(), ids=OUTSIDE)
def test_what_went_wrong_outside_is_tried_again(tmp_path, error):
    """Read for its shape, for the file's mark, ahead and for its fit: the last two fail. A batch that goes on makes
    that one fit, and ends as one that was never disturbed."""
    results = Fit().run_many(Lazy(unlike(), failing(1, error, (3, 4))), power_law(), path=tmp_path / "batch")
    assert list(results.status) == ["ok", "interrupted", "ok", "ok"]
    assert np.isnan(results.values[1]).all()
    assert str(error) in results.messages[1]
    calm = Fit().run_many(unlike(), power_law(), path=tmp_path / "calm")
    again = Fit().run_many(unlike(), power_law(), path=tmp_path / "batch")
    for name in ("values", "covariance", "total_stat", "edm", "n_steps", "status"):
        np.testing.assert_array_equal(getattr(again, name), getattr(calm, name))
    assert again.messages == calm.messages


def test_what_fails_ahead_of_its_turn_is_fitted():
    """As when the memory of two is not there."""
    results = Fit().run_many(Lazy(unlike(), failing(1, MemoryError(), (2,))), power_law())
    assert results.success.all()


def test_members_that_cannot_be_read():
    """Of spectra that are otherwise alike: the others are fitted. All of them: the first one's error."""
    wrong = DataValueError("GX-X-002", "bad header")
    spectra = [toy_spectrum("wstat", seed=seed) for seed in range(3)]
    results = Fit().run_many(Lazy(spectra, failing(0, wrong, range(9))), power_law())
    assert list(results.status) == ["invalid_input", "ok", "ok"]
    assert results.messages[0] == str(wrong)
    with pytest.raises(OSError, match="disk away"):
        Fit().run_many(Lazy(spectra[:1], failing(0, OSError("disk away"), range(9))), power_law())


def test_a_file_cannot_vouch_for_what_cannot_be_read(tmp_path):
    """Bad data are themselves again the next time; what is away may be anything."""
    wrong, path = DataValueError("GX-X-002", "bad header"), tmp_path / "batch"
    for _ in range(2):
        results = Fit().run_many(Lazy(unlike(), failing(1, wrong, range(9))), power_law(), path=path)
        assert list(results.status) == ["ok", "invalid_input", "ok", "ok"]
        assert results.messages[1] == str(wrong)
    with pytest.raises(OSError, match="disk away"):
        Fit().run_many(Lazy(unlike(), failing(1, OSError("disk away"), (2,))), power_law(), path=path)


def test_ctrl_c_beside_a_member_that_failed(tmp_path):
    """What is finished is returned, the failed one's status in its place; a batch that goes on makes the others."""
    members = unlike()
    bad = members[1].counts.data.copy()
    bad[0] = -1.0
    members[1] = with_map(members[1], "counts", bad)
    fits = []

    def interrupt(k, time):
        if k == 2 and time == 3:
            os.kill(os.getpid(), signal.SIGINT)
            sleep(0.3)
        fits.append(k)

    # a process that was started in the background may ignore the signal
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        results = Fit().run_many(Lazy(members, interrupt), power_law(), path=tmp_path / "batch")
    finally:
        signal.signal(signal.SIGINT, before)
    assert list(results.status) == ["ok", "invalid_input", "interrupted", "interrupted"]
    assert "GX-DATASETS-" in results.messages[1]
    fits.clear()
    again = Fit().run_many(Lazy(members, lambda k, time: fits.append(k)), power_law(), path=tmp_path / "batch")
    assert list(again.status) == ["ok", "invalid_input", "ok", "ok"]
    assert again.messages[1] == results.messages[1]
    np.testing.assert_array_equal(again.values[0], results.values[0])
    # shapes and mark, then all but the finished one
    assert fits.count(0) == 2


def test_generators_and_a_batch_of_one():
    """Joint sets that can be read only once, in a generator of them; what is unlike is read again."""
    spectra = unlike()
    results = Fit().run_many((iter([spectrum]) for spectrum in spectra), power_law())
    assert results.success.all()
    one = Fit().run_many([spectra[0]], power_law())
    assert len(one) == 1
    assert_same_fit(one, 0, run([spectra[0]], power_law()))
