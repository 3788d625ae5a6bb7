"""The demo data set as files: simulated anew, or copied from the package."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from astropy.io import fits

from gammax import __version__
from gammax._fits import write_fits
from gammax._paths import check_targets, replace_file, resolve_path
from gammax.data import DataStore, Observation
from gammax.simulate._demo import demo_exclusion, simulate_demo

RUNS = tuple(f"run_{number}.fits.gz" for number in (1, 2, 3, 4))
IRFS = "irfs.fits.gz"
INDEX = ("hdu-index.fits.gz", "obs-index.fits.gz")
# written by hand, and not simulated
SETTINGS = ("config.yaml", "models.yaml", "config_3d.yaml", "models_3d.yaml")
EXCLUSION = "exclusion.fits.gz"
FILES = (*RUNS, IRFS, *INDEX, EXCLUSION, *SETTINGS)


def make_demo(folder: str | Path, overwrite: bool = False) -> Path:
    """Simulate the demo data set into a folder: always the same events, and on one platform the same bytes.

    Four runs of 28 minutes, 0.5 deg around a point source, with an extended one 0.8 deg beside it (the truth is in the
    headers of the events); one file with the responses of an invented telescope for all of them, index tables, a mask
    that excludes the sources from the background; configurations and start models for spectrum and cube.

    Raises
    ------
    FileFormatError : one of its files exists and `overwrite` is false. FitError : JAX is not set to 64 bits.
    """
    folder = resolve_path(folder)
    check_targets([folder / name for name in FILES], overwrite)
    # read before anything is written: the folder may be the package's own
    settings = {folder / name: packaged(name).read_bytes() for name in SETTINGS}
    runs = simulate_demo()
    for run, name in zip(runs, RUNS, strict=True):
        run.write(folder / name, overwrite, include_irfs=False)
    _write_irfs(runs[0], folder / IRFS, overwrite)
    DataStore.from_events_files([folder / name for name in RUNS], folder / IRFS).write(folder, overwrite)
    demo_exclusion().write(folder / EXCLUSION, overwrite=overwrite)
    for path, content in settings.items():
        replace_file(path, lambda stream, content=content: stream.write(content), overwrite)
    return folder


def _write_irfs(run: Observation, path: Path, overwrite: bool) -> Path:
    primary = fits.PrimaryHDU()
    primary.header["CREATOR"] = f"gammax {__version__}"
    responses = [getattr(run, name).to_hdu() for name in run.available_irfs]
    return write_fits(fits.HDUList([primary, *responses]), path, overwrite)


def copy_demo(folder: str | Path, overwrite: bool = False) -> Path:
    """Copy the demo data set that comes with the package into a folder, see `make_demo`.

    Raises
    ------
    FileFormatError : one of its files exists and `overwrite` is false.
    """
    folder = resolve_path(folder)
    check_targets([folder / name for name in FILES], overwrite)
    for name in FILES:
        content = packaged(name).read_bytes()
        replace_file(folder / name, lambda stream, content=content: stream.write(content), overwrite)
    return folder


def packaged(name: str) -> Traversable:
    """A file of the demo in the package."""
    return files("gammax.simulate").joinpath("demo", name)
