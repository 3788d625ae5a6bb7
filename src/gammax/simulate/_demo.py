"""The demo data set: four wobble runs on one source."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.time import Time

from gammax.data import Observation
from gammax.data._header import read_location
from gammax.data._lazy import LazyParts
from gammax.simulate._demo_irfs import INSTRUMENT, demo_irfs
from gammax.simulate._sampler import ObservationEventSampler

# a draw whose fit lies within one sigma of the truth; over many seeds the pulls are standard normal
SEED = 0
NAME = "demo source"
SOURCE = (83.63, 22.01)
INDEX, AMPLITUDE, REFERENCE = 2.6, "3.8e-11 cm-2 s-1 TeV-1", "1 TeV"
RUN_MINUTES, PAUSE_MINUTES, DEAD_FRACTION = 28, 2, 0.05
WOBBLE_DEG = 0.5
# directions of the pointings, from the north over the east
_ANGLES = (90.0, 270.0, 0.0, 180.0)
_REFERENCE = Time(59215, format="mjd", scale="tt")
# the source culminates here, at a place that is no observatory
_FIRST = Time(59229, 0.88, format="mjd", scale="tt")
_SITE = {"GEOLON": 0.0, "GEOLAT": 30.0, "ALTITUDE": 2000.0}


def demo_models() -> Any:
    """The truth: one source with a power law."""
    from gammax.models import Models, PowerLawSpectralModel, SkyModel

    spectrum = PowerLawSpectralModel(index=INDEX, amplitude=AMPLITUDE, reference=REFERENCE)
    return Models([SkyModel(spectrum, name=NAME)])


def simulate_demo(seed: int = SEED) -> list[Observation]:
    """The four runs with their events; they share their responses."""
    irfs, source = demo_irfs(), SkyCoord(*SOURCE, unit="deg")
    sampler, models = ObservationEventSampler(seed), demo_models()
    return [
        sampler.run(_empty_run(number, source, angle, irfs), models, {NAME: source})
        for number, angle in enumerate(_ANGLES, start=1)
    ]


def _empty_run(number: int, source: SkyCoord, angle: float, irfs: dict[str, Any]) -> Observation:
    """Run with pointing, times, responses and header."""
    off = source.directional_offset_by(angle * u.deg, WOBBLE_DEG * u.deg)
    pointing = SkyCoord(np.round(off.ra.deg, 5), np.round(off.dec.deg, 5), unit="deg")
    start = round((_FIRST - _REFERENCE).to_value(u.s)) + (number - 1) * (RUN_MINUTES + PAUSE_MINUTES) * 60
    run = Observation.create(
        pointing,
        read_location(_SITE),
        obs_id=number,
        tstart=start * u.s,
        tstop=(start + RUN_MINUTES * 60) * u.s,
        irfs=irfs,
        deadtime_fraction=DEAD_FRACTION,
        reference_time=_REFERENCE,
    )
    horizon = run.get_pointing_altaz()
    cards = {
        **INSTRUMENT,
        **_SITE,
        "OBJECT": NAME,
        "RA_OBJ": SOURCE[0],
        "DEC_OBJ": SOURCE[1],
        "ALT_PNT": round(float(horizon.alt.deg), 2),
        "AZ_PNT": round(float(horizon.az.deg), 2),
    }
    given = {**run.parts.given, "meta": {**run.meta, **cards}}
    return replace(run, parts=LazyParts({}, given))
