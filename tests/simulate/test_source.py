"""Events of a source: energies, directions and numbers against the responses they are drawn from."""

from itertools import pairwise

import astropy.units as u
import numpy as np
import pytest
from numpy.testing import assert_allclose
from regions import CircleSkyRegion
from scipy import stats
from scipy.special import ndtr

from gammax.datasets import SpectrumDataset
from gammax.errors import DataValueError, GeometryError, SchemaError
from gammax.irf import EffectiveAreaTable2D, EnergyDispersion2D
from gammax.makers import SpectrumDatasetMaker
from gammax.maps import MapAxes, MapAxis, RegionGeom
from gammax.models import Models, PowerLawSpectralModel
from gammax.simulate import ObservationEventSampler
from gammax.simulate._shape import Shape
from gammax.simulate._source import event_rate, sample_migra
from simulate.sources import IRFS, OFFSET, POINTING, SOURCE, empty_run, expected_rate, source

HOURS = 100


@pytest.fixture(scope="module")
def long_run():
    """100 hours without background: 6e4 events."""
    return ObservationEventSampler(1).run(empty_run(HOURS, bkg=None), [source()])


def test_grid_integrates_the_rate():
    log_energy, rate = event_rate(IRFS["aeff"], source().spectral_model, Shape(SOURCE), (OFFSET, OFFSET), {})
    # the trapezoids against adaptive integration between the kinks
    assert_allclose(np.trapezoid(rate, log_energy), expected_rate(0.05, 150), rtol=2e-6)


def test_number_of_events(long_run):
    expected = expected_rate(0.05, 150) * HOURS * 3600
    assert expected > 5e4
    assert abs(len(long_run.events) - expected) < 3 * np.sqrt(expected)


def test_true_energies_follow_spectrum_times_area(long_run):
    edges = np.geomspace(0.05, 150, 31)
    expected = np.array([expected_rate(*pair) for pair in pairwise(edges)]) * HOURS * 3600
    counts, _ = np.histogram(long_run.events.columns["MC_ENERGY"], edges)
    many = expected > 5
    chi2 = np.sum((counts - expected)[many] ** 2 / expected[many])
    assert stats.chi2(many.sum()).sf(chi2) > 0.01


def test_reconstructed_spectrum_is_what_a_reduction_predicts(long_run):
    # an axis of true energy so fine that the responses at its bin centres stand for the bins
    energy = MapAxis.from_energy_bounds("0.3 TeV", "50 TeV", nbin=20)
    true = MapAxis.from_energy_bounds("0.05 TeV", "150 TeV", nbin=400, name="energy_true")
    circle = CircleSkyRegion(SOURCE, 0.11 * u.deg)
    empty = SpectrumDataset.create(RegionGeom.create(circle, [energy]), true, "fine")
    dataset = SpectrumDatasetMaker(containment_correction=True).run(empty, long_run)
    counts, expected = dataset.counts.values(), dataset.npred_signal(Models(source())).values()
    many = expected > 5
    chi2 = np.sum((counts - expected)[many] ** 2 / expected[many])
    assert many.sum() > 14
    assert stats.chi2(many.sum()).sf(chi2) > 0.01
    assert abs(counts.sum() - expected.sum()) < 2 * np.sqrt(expected.sum())


def test_energies_are_dispersed_as_the_table_tells(long_run):
    events = long_run.events.select_rows(slice(20_000))
    true, axis = events.columns["MC_ENERGY"], IRFS["edisp"].axes["migra"]
    edges, centers = axis.edges_value(""), axis.center_value("")
    density = IRFS["edisp"].values(energy_true=true[:, None], migra=centers, offset=OFFSET)
    cumulative = np.cumsum(density, axis=1) / density.sum(axis=1, keepdims=True)
    fraction = [np.interp(x, edges[1:], row) for x, row in zip(events.energy_tev / true, cumulative, strict=True)]
    assert stats.kstest(fraction, "uniform").pvalue > 0.01


def test_migration_is_that_of_the_table():
    axis = IRFS["edisp"].axes["migra"]
    energy = IRFS["edisp"].axes["energy_true"].center_value("TeV")[20]
    migra = sample_migra(
        np.random.default_rng(2), IRFS["edisp"], np.full(100_000, energy), np.full(100_000, OFFSET), {}
    )
    # the demo's formula, written again
    width = (0.09 + 0.05 * energy**-0.35) * (1 + 0.1 * OFFSET)
    shift = np.log1p(0.025 * energy**-0.9 - 0.015 * np.log10(1 + energy))
    expected = 1e5 * np.diff(ndtr((np.log(axis.edges_value("")) - shift) / width))
    counts, _ = np.histogram(migra, axis.edges_value(""))
    many = expected > 5
    chi2 = np.sum((counts - expected)[many] ** 2 / expected[many])
    assert stats.chi2(many.sum()).sf(chi2) > 0.01


def test_migration_beyond_the_table_uses_its_edge():
    # as to_edisp_kernel does
    def drawn(energy):
        return sample_migra(np.random.default_rng(2), IRFS["edisp"], np.full(100, energy), np.full(100, OFFSET), {})

    assert_allclose(drawn(1e4), drawn(150.0))
    assert not np.allclose(drawn(150.0), drawn(50.0))


def test_directions_follow_the_psf(long_run):
    radec, energy = long_run.events.radec, long_run.events.columns["MC_ENERGY"]
    distance, angle = SOURCE.separation(radec), SOURCE.position_angle(radec)
    fraction = IRFS["psf"].containment(distance, energy * u.TeV, OFFSET * u.deg)
    assert stats.kstest(fraction, "uniform").pvalue > 0.01
    assert stats.kstest(angle.wrap_at("360d").deg / 360, "uniform").pvalue > 0.01


def test_table_psf_is_sampled_as_well():
    table = IRFS["psf"].to_psf3d(MapAxis.from_edges(np.linspace(0, 1, 201), "rad", unit="deg"))
    run = ObservationEventSampler(1).run(empty_run(20, psf=table, bkg=None), [source()])
    distance = SOURCE.separation(run.events.radec)
    fraction = table.containment(distance, run.events.columns["MC_ENERGY"] * u.TeV, OFFSET * u.deg)
    assert len(run.events) > 1e4
    assert stats.kstest(fraction, "uniform").pvalue > 0.01


def test_true_direction_is_the_source(long_run):
    columns = long_run.events.columns
    assert set(columns["MC_RA"]) == {SOURCE.ra.deg}
    assert set(columns["MC_DEC"]) == {SOURCE.dec.deg}


def test_source_at_the_pole():
    pole = POINTING.directional_offset_by(0 * u.deg, 67.49 * u.deg)
    assert pole.dec.deg == pytest.approx(90, abs=1e-6)
    run = empty_run(10, bkg=None)
    meta = {**run.meta, "RA_PNT": 0.0, "DEC_PNT": 89.5}
    run = type(run)(1, type(run.parts)({}, {**run.parts.given, "meta": meta}))
    events = ObservationEventSampler(1).run(run, [source(place=pole)]).events
    assert np.median(pole.separation(events.radec).deg) < 0.1


def test_source_beyond_the_effective_area_is_not_seen():
    far = POINTING.directional_offset_by(0 * u.deg, 30 * u.deg)
    assert len(ObservationEventSampler(1).run(empty_run(bkg=None), [source(place=far)]).events) == 0


def test_energies_without_dispersion_are_lost():
    # dispersion below 1 TeV only; nodes far above 1 TeV
    edisp = IRFS["edisp"]
    known = edisp.axes["energy_true"].center_value("TeV") < 1
    cut = EnergyDispersion2D(edisp.axes, np.where(known[:, None, None], edisp.data, 0.0))
    events = ObservationEventSampler(1).run(empty_run(20, edisp=cut, bkg=None), [source()]).events
    step = edisp.axes["energy_true"].edges_value("TeV")
    assert events.columns["MC_ENERGY"].max() < 1.0 * (step[1] / step[0])
    assert np.isfinite(events.energy_tev).all()


def run_with(spectrum=None, **irfs):
    chosen = source() if spectrum is None else source().replace(spectral_model=spectrum)
    return ObservationEventSampler(1).run(empty_run(bkg=None, **irfs), [chosen])


@pytest.mark.parametrize("name", ["aeff", "edisp", "psf"])
def test_missing_response(name):
    with pytest.raises(SchemaError, match=f"GX-SIMULATE-010 the observation has no {name}"):
        run_with(**{name: None})


def test_pointlike_responses_are_refused():
    aeff = IRFS["aeff"]
    pointlike = EffectiveAreaTable2D(aeff.axes, aeff.data, "m2", is_pointlike=True)
    with pytest.raises(SchemaError, match="GX-SIMULATE-011"):
        run_with(aeff=pointlike)


def test_negative_flux_is_refused():
    with pytest.raises(DataValueError, match="GX-SIMULATE-012"):
        run_with(PowerLawSpectralModel(amplitude="-1e-11 cm-2 s-1 TeV-1"))


def test_no_flux_gives_no_events():
    assert len(run_with(PowerLawSpectralModel(amplitude="0 cm-2 s-1 TeV-1")).events) == 0


def test_dispersion_that_ends_before_the_source():
    true, migra, _ = IRFS["edisp"].axes
    near = MapAxis.from_edges([0.0, 0.4], "offset", unit="deg")
    edisp = EnergyDispersion2D(MapAxes([true, migra, near]), IRFS["edisp"].data[:, :, :1])
    with pytest.raises(GeometryError, match="GX-SIMULATE-013"):
        run_with(edisp=edisp)
