"""An observation as one GADF file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from astropy.io import fits

from gammax import __version__
from gammax._fits import write_fits

if TYPE_CHECKING:
    from gammax.data._observation import Observation


def write_observation(observation: Observation, path: str | Path, overwrite: bool, include_irfs: bool) -> Path:
    """Write; see `Observation.write`."""
    primary = fits.PrimaryHDU()
    primary.header["CREATOR"] = f"gammax {__version__}"
    hdus: list[Any] = [primary]
    if "events" in observation.parts:
        hdus.append(_events_hdu(observation))
    hdus.append(observation.gti.to_hdu())
    if include_irfs:
        hdus += [getattr(observation, name).to_hdu() for name in observation.available_irfs]
    return write_fits(fits.HDUList(hdus), path, overwrite)


def _events_hdu(observation: Observation) -> fits.BinTableHDU:
    """Events whose header says what the observation, as it is cut, really is."""
    events, gti = observation.events, observation.gti
    hdu = events.to_hdu()
    shift = events.reference.shift_from(gti.reference)
    hdu.header.update(observation.pointing.header())
    hdu.header.update(
        OBS_ID=observation.obs_id,
        TSTART=float(gti.start_s.min() + shift),
        TSTOP=float(gti.stop_s.max() + shift),
        ONTIME=float(gti.time_sum.value),
        LIVETIME=float(observation.livetime.value),
        DEADC=1.0 - observation.deadtime_fraction,
    )
    return hdu
