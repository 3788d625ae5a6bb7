"""Simulation of one observation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gammax.data import EventList, Observation
from gammax.data._lazy import LazyParts
from gammax.errors import DataValueError, SchemaError
from gammax.simulate._background import background_events
from gammax.simulate._header import events_header
from gammax.simulate._sample import Sample, join
from gammax.simulate._sampling import stream
from gammax.simulate._source import source_events


@dataclass(frozen=True)
class ObservationEventSampler:
    """Simulates the events of observations, unbinned, with the responses that the reduction uses.

    True energies and positions follow spectrum x shape x effective area at the offset of the position; ENERGY follows
    the energy dispersion, the direction the PSF there. Background events follow the interpolated rate of
    `Background3D` or `Background2D`. Times are even over the good time. A source is seen for the live time, the
    background, by its definition, for the on time.

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

    def run(self, observation: Observation, models: Iterable[Any] = ()) -> Observation:
        """The observation with simulated events, in memory; events that it had are not used.

        The truth is in the columns MC_ID (0: background; n: the n-th model), MC_ENERGY, MC_RA, MC_DEC (NaN for
        background), and in the header: SEED; MCNAMEn, MCRAn, MCDECn [deg] of the n-th model, where it has a position;
        MCMODELS, the models as JSON text of what `Models.from_dict` takes.

        Parameters
        ----------
        observation : pointing, good time and responses; without `bkg` there is no background.
        models : sky models with spatial models of any kind. Those whose `datasets_names` do not name the observation
            are left out.

        Raises
        ------
        SchemaError : a response or a spatial model is missing, or a model that is no source. DataValueError : a
            drifting telescope, or a flux that cannot be simulated. GeometryError : a source beyond the responses.
        """
        if observation.pointing.mode == "DRIFT":
            raise DataValueError(
                "GX-SIMULATE-031",
                "a drifting telescope cannot be simulated",
                obs_id=observation.obs_id,
                expected="a pointing that is fixed on the sky",
            )
        chosen = self._sources(observation, models)
        samples = [self._background(observation)]
        for model in chosen:
            samples.append(source_events(stream(self.seed, observation.obs_id, model.name), observation, model))
        meta = events_header(observation, chosen, int(self.seed))
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
    def _sources(observation: Observation, models: Iterable[Any]) -> list[Any]:
        """Models of the observation."""
        from gammax.models import Models, SkyModel

        chosen = [model for model in Models(models) if model.applies_to(str(observation.obs_id))]
        for model in chosen:
            if not isinstance(model, SkyModel) or not model.apply_irf["exposure"]:
                raise SchemaError(
                    "GX-SIMULATE-032",
                    f"model {model.name!r} is no source of photons",
                    found=type(model).__name__,
                    expected="a SkyModel with apply_irf exposure; the background is that of the responses",
                )
            if model.spatial_model is None:
                raise SchemaError(
                    "GX-SIMULATE-033",
                    f"model {model.name!r} has no position",
                    found="no spatial model",
                    do="model.replace(spatial_model=PointSpatialModel.from_position(SkyCoord(...)))",
                )
        return chosen


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
