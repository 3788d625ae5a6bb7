"""Header of simulated events: what the format asks for, and the truth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from gammax import __version__
from gammax.data import Observation

_GADF = {
    "HDUCLASS": "GADF",
    "HDUDOC": "https://github.com/open-gamma-ray-astro/gamma-astro-data-formats",
    "HDUVERS": "0.2",
    "HDUCLAS1": "EVENTS",
    "HDUCLAS2": "ACCEPTED",
    "EQUINOX": 2000.0,
    "RADECSYS": "ICRS",
}
_IF_UNKNOWN = {"TELESCOP": "SIMULATED", "INSTRUME": "SIMULATED", "ORIGIN": "gammax"}


def events_header(observation: Observation, models: Sequence[Any], seed: int) -> dict[str, Any]:
    """Cards of the events: those of the observation, those that the format asks for, and the truth."""
    from gammax.models import Models

    ends = observation.gti.start_s.min(), observation.gti.stop_s.max()
    times = {
        "TSTART": float(ends[0]),
        "TSTOP": float(ends[1]),
        "TELAPSE": float(ends[1] - ends[0]),
        "ONTIME": float(observation.ontime.to_value("s")),
        "LIVETIME": float(observation.livetime.to_value("s")),
        "DEADC": 1.0 - observation.deadtime_fraction,
    }
    truth: dict[str, Any] = {"SEED": seed}
    for number, model in enumerate(models, start=1):
        truth[f"MCNAME{number}"] = model.name
        if model.position is not None:
            icrs = model.position.icrs
            truth |= {f"MCRA{number}": float(icrs.ra.deg), f"MCDEC{number}": float(icrs.dec.deg)}
    # without a covariance, which belongs to a fit and not to a truth
    truth["MCMODELS"] = json.dumps(Models(models).to_dict(), default=_number)
    return {
        **_IF_UNKNOWN,
        **observation.meta,
        **_GADF,
        **observation.gti.reference.header(),
        **times,
        **observation.pointing.header(),
        "OBS_ID": observation.obs_id,
        "CREATOR": f"gammax {__version__}",
        **truth,
    }


def _number(value: Any) -> Any:
    return np.asarray(value).item()
