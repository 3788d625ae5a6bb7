"""One line for each observation of a reduction, spectra or cubes: when and where it was, and what became of it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from astropy.coordinates import SkyCoord
from astropy.table import Table

from gammax.data import Observation, Observations
from gammax.errors import GammaxWarning
from gammax.makers._datasets_maker import _names

USED = "used"


class Column(NamedTuple):
    """Of a table of observations."""

    unit: str
    digits: str | None
    description: str


class Run(NamedTuple):
    """An observation in short; angles in degrees, time in seconds, NaN where unknown."""

    name: str
    obs_id: str
    target: str
    start: str
    livetime: float
    pointing: SkyCoord
    zenith: float
    offset: float
    status: str

    @property
    def cells(self) -> tuple[Any, ...]:
        """What the columns hold that `table_columns` begins with."""
        where = self.pointing.ra.deg, self.pointing.dec.deg, self.zenith, self.offset
        return (self.obs_id, self.name, self.target, self.start, self.livetime, *where)


def table_columns(dataset: str, offset: str, numbers: Mapping[str, Column]) -> dict[str, Column]:
    """Columns of the table of observations.

    Parameters
    ----------
    dataset, offset : descriptions of these columns.
    numbers : the columns between those that all tables begin with, and STATUS.
    """
    return {
        "OBS_ID": Column("", None, "number of the observation"),
        "DATASET": Column("", None, dataset),
        "OBJECT": Column("", None, "target as the header calls it"),
        "DATE-OBS": Column("", None, "start of the good time, UTC"),
        "LIVETIME": Column("s", ".3f", "good time without dead time"),
        "RA_PNT": Column("deg", ".5f", "pointing at half-time, ICRS"),
        "DEC_PNT": Column("deg", ".5f", "pointing at half-time, ICRS"),
        "ZEN_PNT": Column("deg", ".3f", "zenith angle, as the header says"),
        "OFFSET": Column("deg", ".4f", offset),
        **numbers,
        "STATUS": Column("", None, "used, or why it was left out"),
    }


def make_table(columns: Mapping[str, Column], runs: Sequence[Run], numbers: Mapping[str, Sequence[float]]) -> Table:
    """Table of all observations, numbers that do not exist as NaN; `numbers` by name, for those that have any."""
    missing = [math.nan] * (len(columns) - len(runs[0].cells) - 1)
    lines = [(*run.cells, *numbers.get(run.name, missing), run.status) for run in runs]
    table = Table(rows=lines, names=list(columns))
    for name, column in columns.items():
        table[name].description = column.description
        table[name].unit = column.unit or None
        table[name].format = column.digits
    return table


def observed(observations: Observations) -> Iterator[tuple[str, Observation]]:
    """Names of datasets and their observations, read once more; of what is read a reduction has told already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GammaxWarning)
        for group in _sharing(dict(zip(_names(observations), observations, strict=True))):
            yield from group.items()


def make_run(name: str, observation: Observation, center: SkyCoord, status: str) -> Run:
    """Observation in short, `center` being what its offset is told of."""
    meta, pointing = observation.meta, observation.get_pointing_icrs()
    altitude = meta.get("ALT_PNT")
    known = isinstance(altitude, (int, float)) and math.isfinite(altitude) and -90 <= altitude <= 90
    return Run(
        name,
        str(observation.obs_id),
        str(meta.get("OBJECT", "")).strip(),
        observation.tstart.utc.strftime("%Y-%m-%d %H:%M:%S"),
        float(observation.livetime.to_value("s")),
        pointing,
        90.0 - float(altitude) if known else math.nan,
        float(center.separation(pointing).deg),
        status,
    )


def _sharing(observations: dict[str, Observation]) -> Iterator[dict[str, Observation]]:
    """Observations in groups that share one reading of their file: one, or its pieces; it is forgotten after each."""
    groups: dict[int, dict[str, Observation]] = {}
    for name, observation in observations.items():
        groups.setdefault(id(observation.parts), {})[name] = observation
    for group in groups.values():
        parts = next(iter(group.values())).unread().parts
        yield {name: replace(observation, parts=parts) for name, observation in group.items()}
