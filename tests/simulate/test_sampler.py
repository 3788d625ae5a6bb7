"""One observation simulated: what depends on the seed, what the header and the columns tell."""

import json
from dataclasses import replace
from typing import ClassVar

import astropy.units as u
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import gammax
from gammax.data import Observation
from gammax.errors import SchemaError
from gammax.models import (
    FoVBackgroundModel,
    LogParabolaSpectralModel,
    Models,
    Parameter,
    SkyModel,
    SpectralModel,
    parameter,
)
from gammax.simulate import ObservationEventSampler
from simulate.sources import AMPLITUDE, INDEX, IRFS, POINTING, SOURCE, empty_run, patch_background, source

OTHER = POINTING.directional_offset_by(90 * u.deg, 0.7 * u.deg)


def simulate(seed=1, run=None, names=("source",), **changes):
    chosen = [source(name, place, **changes) for name, place in zip(names, (SOURCE, OTHER), strict=False)]
    return ObservationEventSampler(seed).run(empty_run() if run is None else run, chosen)


def of_model(observation, number):
    events = observation.events
    return events.select_rows(events.columns["MC_ID"] == number)


def test_same_seed_same_events():
    first, again, other = simulate(1).events, simulate(1).events, simulate(2).events
    assert_array_equal(first.energy_tev, again.energy_tev)
    assert_array_equal(first.columns["MC_ID"], again.columns["MC_ID"])
    assert not np.isin(first.energy_tev, other.energy_tev).any()


def test_runs_and_sources_do_not_disturb_each_other():
    alone, both, later = simulate(), simulate(names=("source", "other")), simulate(run=empty_run(obs_id=2))
    for number in (0, 1):
        assert_array_equal(of_model(alone, number).energy_tev, of_model(both, number).energy_tev)
        assert not np.isin(of_model(alone, number).energy_tev, of_model(later, number).energy_tev).any()
    assert len(of_model(both, 2)) > 100


def test_order_of_models_changes_their_numbers_alone():
    forward, backward = (
        simulate(names=("source", "other")),
        ObservationEventSampler(1).run(empty_run(), [source("other", OTHER), source()]),
    )
    assert_array_equal(of_model(forward, 1).energy_tev, of_model(backward, 2).energy_tev)
    assert_array_equal(of_model(forward, 2).ra_deg, of_model(backward, 1).ra_deg)


def test_columns():
    events = simulate().events
    background = events.columns["MC_ID"] == 0
    assert_array_equal(events.columns["EVENT_ID"], np.arange(1, len(events) + 1))
    assert set(events.columns["MC_ID"]) == {0, 1}
    for name in ("MC_ENERGY", "MC_RA", "MC_DEC"):
        assert_array_equal(np.isnan(events.columns[name]), background)
    assert np.all(np.diff(events.time_s) >= 0)
    assert np.median(of_model(simulate(), 1).radec.separation(SOURCE).deg) < 0.1


def test_source_counts_for_the_live_time():
    # 100 h, of which a quarter is dead: 4 sigma are 2 % of the expected ratio
    whole, dead = (len(simulate(run=empty_run(100, dead=d, bkg=None)).events) for d in (0.0, 0.25))
    assert dead / whole == pytest.approx(0.75, rel=0.02)


def test_header_tells_the_truth():
    meta = simulate(7, names=("source", "other")).meta
    assert meta["SEED"] == 7
    assert meta["CREATOR"] == f"gammax {gammax.__version__}"
    assert [meta[f"MCNAME{k}"] for k in (1, 2)] == ["source", "other"]
    assert (meta["MCRA1"], meta["MCDEC1"]) == (SOURCE.ra.deg, SOURCE.dec.deg)
    truth = Models.from_dict(json.loads(meta["MCMODELS"])).parameters
    assert truth["source.spectral.index"].value == INDEX
    assert truth["other.spectral.amplitude"].value == AMPLITUDE
    assert truth["source.spectral.amplitude"].unit == "TeV-1 s-1 cm-2"


def test_header_has_what_the_format_demands():
    # GADF 0.2, EVENTS, mandatory keywords
    meta = simulate(run=empty_run(dead=0.1)).meta
    demanded = (
        "HDUCLASS HDUDOC HDUVERS HDUCLAS1 OBS_ID TSTART TSTOP ONTIME LIVETIME DEADC OBS_MODE RA_PNT DEC_PNT EQUINOX "
        "RADECSYS ORIGIN TELESCOP INSTRUME CREATOR MJDREFI MJDREFF TIMEUNIT TIMESYS TIMEREF GEOLON GEOLAT ALTITUDE"
    )
    assert set(demanded.split()) <= set(meta)
    assert (meta["ONTIME"], meta["LIVETIME"], meta["DEADC"]) == pytest.approx((3600, 3240, 0.9))
    assert (meta["RA_PNT"], meta["DEC_PNT"]) == (POINTING.ra.deg, POINTING.dec.deg)


def test_comes_back_from_a_file(tmp_path):
    made = simulate(run=empty_run(dead=0.1))
    read = Observation.read(made.write(tmp_path / "run.fits.gz"))
    for name in ("time_s", "energy_tev", "ra_deg", "dec_deg"):
        assert_array_equal(getattr(read.events, name), getattr(made.events, name))
    assert read.meta["MCMODELS"] == made.meta["MCMODELS"]
    assert read.livetime.value == pytest.approx(3240)
    assert read.bkg.is_allclose(made.bkg)
    # and can be simulated again, with the same responses and so the same events
    again = simulate(run=read)
    assert_array_equal(again.events.energy_tev, made.events.energy_tev)


def test_time_cut_of_a_run():
    start = empty_run().tstart
    cut = empty_run().select_time([start + 10 * u.min, start + 20 * u.min])
    made = simulate(run=cut)
    assert made.livetime.to_value("min") == pytest.approx(10)
    assert 600 <= made.events.time_s.min() < made.events.time_s.max() < 1200


def test_archived_background_stays_as_it_was_aligned(tmp_path):
    # its old header turns the field of view; with our header the file has to say so itself
    run = empty_run(100, bkg=None)
    meta = {**run.meta, "CREATOR": "SASH FITS::EventListWriter", "HDUVERS": "0.2"}
    bkg = patch_background([1.0, 1.5, 2.0], [-0.5, 0.5])
    run = replace(run, parts=type(run.parts)({}, {**run.parts.given, "bkg": bkg, "meta": meta}))
    made = ObservationEventSampler(1).run(run)
    assert np.all(made.events.ra_deg > POINTING.ra.deg)
    assert made.bkg.fov_alignment == "REVERSE_LON_RADEC"
    assert Observation.read(made.write(tmp_path / "run.fits")).bkg.fov_alignment == "REVERSE_LON_RADEC"


def test_model_of_another_dataset_is_left_out():
    here = source("here").replace(datasets_names="1")
    there = source("there", OTHER).replace(datasets_names=["2", "stacked"])
    made = ObservationEventSampler(1).run(empty_run(), [here, there])
    assert made.meta["MCNAME1"] == "here"
    assert "MCNAME2" not in made.meta


def test_any_spectral_model():
    curved = LogParabolaSpectralModel(amplitude=f"{AMPLITUDE} cm-2 s-1 TeV-1")
    made = ObservationEventSampler(1).run(empty_run(bkg=None), [source().replace(spectral_model=curved)])
    assert len(made.events) > 100


def test_nothing_to_simulate():
    made = ObservationEventSampler(1).run(empty_run(bkg=None))
    assert len(made.events) == 0
    assert json.loads(made.meta["MCMODELS"]) == {"components": []}


def test_without_site():
    run = Observation.create(POINTING, livetime=1 * u.h, irfs=IRFS)
    assert len(simulate(run=run).events) > 100


@pytest.mark.parametrize("seed", [-1, 1.5, "1", None])
def test_seed_that_is_none(seed):
    with pytest.raises(SchemaError, match="GX-SIMULATE-030"):
        ObservationEventSampler(seed)


def test_source_without_a_place():
    nowhere = source().replace(spatial_model=None)
    with pytest.raises(SchemaError, match=r"(?s)GX-SIMULATE-033.*from_position"):
        ObservationEventSampler(1).run(empty_run(), [nowhere])


class Counts(SpectralModel):
    """Not a flux: what it predicts is multiplied with no exposure."""

    tag: ClassVar = ("counts-of-a-test",)
    unit: ClassVar[str] = "TeV-1"
    amplitude: Parameter = parameter("1 TeV-1", is_norm=True)

    @staticmethod
    def evaluate(energy, amplitude):
        return amplitude / energy**2


def test_what_is_no_source():
    inside = SkyModel(Counts(), apply_irf={"exposure": False})
    for model in (FoVBackgroundModel("1"), inside):
        with pytest.raises(SchemaError, match="GX-SIMULATE-032"):
            ObservationEventSampler(1).run(empty_run(), [model])
