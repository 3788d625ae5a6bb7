"""What should be known about good fits: a batch says of its members what `Fit.run` says, and each kind once."""

import warnings

import numpy as np
import pytest
from test_many import power_law, run, toys

from derivatives import toy_spectrum
from gammax.errors import GammaxWarning
from gammax.fit import Fit, fit_many
from gammax.fit._warnings import say_unseen
from gammax.likelihood import Likelihood
from gammax.models import Models, SkyModel

FROZEN = Models(SkyModel(power_law().spectral_model.freeze("index"), name="x"))
KINDS = "wstat is biased", "less than one count", "npred is not positive"


def told(function):
    """Results, and the warnings given, which point to this file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = function()
    assert all(one.category is GammaxWarning and one.filename == __file__ for one in caught)
    return results, [str(one.message) for one in caught]


def number_of(results, kind):
    return sum(any(text.startswith(kind) for text in texts) for texts in results.warnings)


def test_each_kind_is_told_once():
    """Few OFF counts, and no source, in some; the last has many, and nothing is said of it."""
    spectra, counts = toys(12, flux=1e-14, n_reco=4)
    good = toy_spectrum("wstat", "toy", 0, flux=2e-12, n_reco=4)
    counts = {name: np.append(array, [getattr(good, name).values().ravel()], axis=0) for name, array in counts.items()}
    results, said = told(lambda: fit_many(Likelihood(spectra[:1], FROZEN), {"toy": counts}, models=FROZEN))
    assert results.warnings[:12] == tuple(run([dataset], FROZEN).warnings for dataset in spectra)
    assert results.warnings[12] == ()
    biased, unseen = (number_of(results, kind) for kind in KINDS[:2])
    assert 0 < unseen < biased == 12
    assert [text.partition(": ")[0] for text in said] == [
        "12 of 13 fits, the first of them number 0",
        f"{unseen} of 13 fits, the first of them number {[len(texts) for texts in results.warnings].index(2)}",
    ]
    assert said[0].endswith(results.warnings[0][0])
    k = [len(texts) for texts in results.warnings].index(2)
    assert results[k].warnings == results[[0, k]].warnings[1] == results.warnings[k]


def test_without_models_sources_are_unknown():
    spectra, counts = toys(12, flux=1e-14, n_reco=4)
    results, said = told(lambda: fit_many(Likelihood(spectra[:1], FROZEN), {"toy": counts}))
    assert len(said) == 1
    assert number_of(results, KINDS[0]) == 12
    assert number_of(results, KINDS[1]) == 0


def test_a_norm_that_is_held_is_no_surprise():
    """As the null of a test, it is no source that is not seen."""
    spectra, counts = toys(3)
    results = fit_many(
        Likelihood(spectra[:1], power_law()), {"toy": counts}, held={"x.spectral.amplitude": 0.0}, models=power_law()
    )
    assert set(results.warnings) == {()}


def test_own_names_and_negative_sources(tmp_path):
    """Datasets are called by their own names, in joint sets too; with a path, the second time from there."""
    spectra = [toy_spectrum("wstat", f"run-{seed}", seed, flux=1e-14, n_reco=4) for seed in range(4)]
    results, said = told(lambda: Fit().run_many(spectra, FROZEN, path=tmp_path / "batch"))
    assert results.warnings == tuple(run([dataset], FROZEN).warnings for dataset in spectra)
    assert "in run-2:" in results.warnings[2][0]
    assert len(said) == 2
    again, said_again = told(lambda: Fit().run_many(spectra, FROZEN, path=tmp_path / "batch"))
    assert again.warnings == results.warnings
    assert said_again == said
    known = [toy_spectrum("cash", f"run-{seed}", seed, flux=1e-14) for seed in range(8)]
    known = [dataset for dataset in known if dataset.counts.data.any()]
    results, said = told(lambda: Fit().run_many(known, FROZEN))
    assert results.warnings == tuple(run([dataset], FROZEN).warnings for dataset in known)
    assert number_of(results, KINDS[2]) > 0
    assert f"{number_of(results, KINDS[2])} of {len(known)} fits" in said[-1]


def test_of_fits_one_by_one(tmp_path):
    """Spectra of unlike shapes; from the file, too, which keeps what is said of each."""
    spectra = [toy_spectrum("wstat", "toy", 3, flux=1e-14, n_reco=4), toy_spectrum("wstat"), toy_spectrum("wstat")]
    results, said = told(lambda: Fit().run_many(spectra, FROZEN, path=tmp_path / "batch"))
    assert results.warnings == tuple(run([dataset], FROZEN).warnings for dataset in spectra)
    assert [len(texts) for texts in results.warnings] == [2, 0, 0]
    again, said_again = told(lambda: Fit().run_many(spectra, FROZEN, path=tmp_path / "batch"))
    assert again.warnings == results.warnings
    assert said_again == said


@pytest.mark.filterwarnings("ignore::gammax.errors.GammaxWarning")
def test_of_joint_sets_the_thin_ones_are_named():
    """One of two with many OFF counts, then both with few. The first runs away to steep spectra from where the other
    ends, and is found as it is when it begins as a single fit."""
    sets = [
        [toy_spectrum("wstat", "a", seed, flux=1e-14), toy_spectrum("wstat", "b", seed + 9, flux=flux)]
        for seed, flux in ((0, 2e-12), (1, 1e-14))
    ]
    results = Fit().run_many(sets, power_law())
    assert results.warnings == tuple(run(datasets, power_law()).warnings for datasets in sets)
    assert [text.partition(":")[0] for (text,) in results.warnings] == [
        "wstat is biased in a",
        "wstat is biased in a, b",
    ]


@pytest.mark.filterwarnings("ignore::gammax.errors.GammaxWarning")
def test_one_by_one_a_fit_that_runs_away_begins_again_as_a_single_one():
    """The first of the sets above, beside one of another shape."""
    runaway = [toy_spectrum("wstat", "a", 0, flux=1e-14), toy_spectrum("wstat", "b", 9)]
    results, alone = Fit().run_many([runaway, toy_spectrum("wstat")], power_law()), run(runaway, power_law())
    assert list(results.status) == ["ok", "ok"]
    assert results.warnings[0] == alone.warnings
    np.testing.assert_allclose((results.values[0] - alone.values) / alone.errors, 0.0, atol=1e-4)


def test_one_count_is_not_less_than_one():
    """A single count alone is fitted by one, to rounding, which in a batch may be another."""
    assert say_unseen({"x": 1.0 - 1e-9}) == ""
    assert "of x (0.99)" in say_unseen({"x": 0.99})
