import pytest
from small_store import HEADER, OBS_ROWS, Run, event_columns, hdu_rows, write_hdu_index, write_obs_index


@pytest.fixture
def run():
    return Run()


@pytest.fixture
def store_dir(tmp_path):
    """Folder of a store of the runs 1, 2 and 7."""
    for number, *_, start, stop, _, _ in OBS_ROWS:
        header = {**HEADER, "TSTART": start, "TSTOP": stop}
        Run(number, event_columns(start=start), header=header, gti=[(start, stop)]).write(
            tmp_path / "data" / f"run_{number}.fits"
        )
    write_hdu_index(tmp_path / "hdu-index.fits.gz", [row for number in (1, 2, 7) for row in hdu_rows(number)])
    write_obs_index(tmp_path / "obs-index.fits.gz", OBS_ROWS)
    return tmp_path
