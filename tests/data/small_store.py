"""A small data set with closed-form content: two runs, events on a grid in time, written by plain astropy."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

TIME = {"MJDREFI": 51910, "MJDREFF": 0.000742870370370241, "TIMESYS": "TT", "TIMEUNIT": "s"}
HEADER = {
    **TIME,
    "OBS_ID": 1,
    "TSTART": 1000.0,
    "TSTOP": 1100.0,
    "ONTIME": 100.0,
    "LIVETIME": 90.0,
    "DEADC": 0.9,
    "RA_PNT": 83.6,
    "DEC_PNT": 22.5,
    "OBS_MODE": "POINTING",
    "GEOLON": 16.5,
    "GEOLAT": -23.27,
    "ALTITUDE": 1835.0,
    "TELESCOP": "TEST",
}
HDU_COLUMNS = ("OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")
UNITS = {"TIME": "s", "ENERGY": "TeV", "RA": "deg", "DEC": "deg"}


def event_columns(n=20, start=1000.0):
    """Event k at start + 5 k seconds, with energy 2^(k / 4) TeV, k / 100 deg above the pointing."""
    k = np.arange(n)
    return {
        "EVENT_ID": k,
        "TIME": start + 5.0 * k,
        "ENERGY": 2.0 ** (k / 4),
        "RA": np.full(n, 83.6),
        "DEC": 22.5 + k / 100,
        "MULTIP": k % 4,
    }


@dataclass
class Run:
    """What one file holds; change it, then write it."""

    obs_id: int = 1
    columns: dict = field(default_factory=event_columns)
    units: dict = field(default_factory=lambda: dict(UNITS))
    header: dict = field(default_factory=lambda: dict(HEADER))
    gti: list = field(default_factory=lambda: [(1000.0, 1100.0)])
    gti_header: dict = field(default_factory=lambda: dict(TIME))
    gti_unit: str | None = "s"

    def write(self, path: Path) -> Path:
        events = fits.BinTableHDU(Table(self.columns), name="EVENTS")
        for name, unit in self.units.items():
            if name in self.columns:
                events.columns[name].unit = unit
        events.header.update({**self.header, "OBS_ID": self.obs_id})
        gti = fits.BinTableHDU(Table(rows=self.gti, names=("START", "STOP"), dtype=(float, float)), name="GTI")
        for name in ("START", "STOP"):
            gti.columns[name].unit = self.gti_unit
        gti.header.update(self.gti_header)
        path.parent.mkdir(parents=True, exist_ok=True)
        fits.HDUList([fits.PrimaryHDU(), events, gti]).writeto(path, overwrite=True)
        return path


def hdu_rows(obs_id, file_dir="data", name=None):
    """Rows of the HDU index of one run."""
    name = name or f"run_{obs_id}.fits"
    return [(obs_id, kind, kind, file_dir, name, kind.upper()) for kind in ("events", "gti")]


def write_hdu_index(path, rows, **header):
    hdu = fits.BinTableHDU(Table(rows=rows, names=HDU_COLUMNS), name="HDU_INDEX")
    hdu.header.update(header)
    path.parent.mkdir(parents=True, exist_ok=True)
    hdu.writeto(path, overwrite=True)


def write_obs_index(path, rows, **header):
    names = ("OBS_ID", "RA_PNT", "DEC_PNT", "TSTART", "TSTOP", "N_TELS", "OBJECT")
    table = Table(rows=rows, names=names)
    for name, unit in {"RA_PNT": "deg", "DEC_PNT": "deg", "TSTART": "s", "TSTOP": "s"}.items():
        table[name].unit = unit
    hdu = fits.BinTableHDU(table, name="OBS_INDEX")
    hdu.header.update({**TIME, **header})
    hdu.writeto(path, overwrite=True)


OBS_ROWS = [
    (1, 83.6, 22.5, 1000.0, 1100.0, 4, "Crab"),
    (2, 83.6, 21.5, 2000.0, 2100.0, 3, "Crab"),
    (7, 329.7, -30.2, 3000.0, 3100.0, 4, "PKS 2155"),
]
