"""Simulation of one observation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord

from gammax.data import EventList, Observation
from gammax.data._lazy import LazyParts
from gammax.errors import DataValueError, SchemaError, did_you_mean
from gammax.simulate._background import background_events
from gammax.simulate._header import events_header
from gammax.simulate._sample import Sample, join
from gammax.simulate._sampling import stream
from gammax.simulate._source import source_events


@dataclass(frozen=True)
class ObservationEventSampler:
    """Simulates the events of observations, unbinned, with the responses that the reduction uses.

    True energies follow spectrum x effective area at the offset of the source; ENERGY follows the energy dispersion,
    the direction the PSF there. Background events follow the interpolated rate of `Background3D` or `Background2D`.
    Times are even over the good time. A source is seen for the live time, the background, by its definition, for the on
    time.

    Parameters
    ----------
    seed : the events of each source in each observation depend on it, on the number of the observation and on the name
        of the source alone: not on the order of runs, nor on which other sources there are.

    Raises
    ------
    SchemaError : a seed that is no whole number from 0 on.
    """

    seed: int = 0

    def __post_init__(self):
        if not isinstance(self.seed, (int, np.integer)) or self.seed < 0:
            raise SchemaError(
                "GX-SIMULATE-030", "a seed is a whole number", found=repr(self.seed), expected="0 or more"
            )

    def run(
        self, observation: Observation, models: Iterable[Any] = (), positions: Mapping[str, SkyCoord] | None = None
    ) -> Observation:
        """The observation with simulated events, in memory; events that it had are not used.

        The truth is in the columns MC_ID (0: background; n: the n-th model), MC_ENERGY, MC_RA, MC_DEC (NaN for
        background), and in the header: SEED; MCNAMEn, MCRAn, MCDECn [deg] of the n-th model; MCMODELS, the models as
        JSON text of what `Models.from_dict` takes.

        Parameters
        ----------
        observation : pointing, good time and responses; without `bkg` there is no background.
        models : sky models, point sources. Those whose `datasets_names` do not name the observation are left out.
        positions : where they are, by name.

        Raises
        ------
        SchemaError : a response or a position is missing, or names no model. DataValueError : a drifting telescope, or
            a flux that cannot be simulated. GeometryError : a source beyond the responses.
        """
        if observation.pointing.mode == "DRIFT":
            raise DataValueError(
                "GX-SIMULATE-031",
                "a drifting telescope cannot be simulated",
                obs_id=observation.obs_id,
                expected="a pointing that is fixed on the sky",
            )
        chosen, places = self._sources(observation, models, positions or {})
        samples = [self._background(observation)]
        for model in chosen:
            rng = stream(self.seed, observation.obs_id, model.name)
            samples.append(source_events(rng, observation, model, places[model.name]))
        meta = events_header(observation, chosen, places, int(self.seed))
        events = _event_list(samples, observation, meta)
        irfs = {name: getattr(observation, name) for name in observation.available_irfs}
        given = {"events": events, "gti": observation.gti, "meta": meta, **irfs}
        return Observation(observation.obs_id, LazyParts({}, given))

    def _background(self, observation: Observation) -> Sample:
        if observation.bkg is None:
            return Sample(*[np.empty(0)] * len(Sample._fields))
        # no model has an empty name
        return background_events(stream(self.seed, observation.obs_id, ""), observation)

    @staticmethod
    def _sources(
        observation: Observation, models: Iterable[Any], positions: Mapping[str, SkyCoord]
    ) -> tuple[list[Any], dict[str, SkyCoord]]:
        """Models of the observation, and the positions of all."""
        from gammax.models import Models

        known = Models(models)
        unknown = next((name for name in positions if name not in known.names), None)
        if unknown is not None:
            raise SchemaError(
                "GX-SIMULATE-032",
                f"a position of {unknown!r}, which is no model",
                do=did_you_mean(unknown, known.names),
            )
        missing = next((name for name in known.names if name not in positions), None)
        if missing is not None:
            raise SchemaError(
                "GX-SIMULATE-033",
                f"model {missing!r} has no position",
                found=", ".join(positions) or "no positions",
                do=f"run(observation, models, {{{missing!r}: SkyCoord(...)}})",
            )
        for name, position in positions.items():
            if not isinstance(position, SkyCoord) or position.shape != ():
                raise SchemaError(
                    "GX-SIMULATE-034", f"the position of {name!r} is no single SkyCoord", found=repr(position)[:200]
                )
        places: dict[str, Any] = {name: position.icrs for name, position in positions.items()}
        return [model for model in known if model.applies_to(str(observation.obs_id))], places


def _event_list(samples: list[Sample], observation: Observation, meta: dict[str, Any]) -> EventList:
    sample, number = join(samples)
    columns = {
        "EVENT_ID": np.arange(1, len(number) + 1),
        "MC_ID": number.astype(np.int32),
        "MC_ENERGY": sample.true_energy,
        "MC_RA": sample.true_ra,
        "MC_DEC": sample.true_dec,
    }
    units = {"MC_ENERGY": "TeV", "MC_RA": "deg", "MC_DEC": "deg"}
    reference = observation.gti.reference
    return EventList(sample.time, sample.energy, sample.ra, sample.dec, reference, columns, units, meta)
