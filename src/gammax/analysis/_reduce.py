"""From the configuration to makers, and from observations to datasets."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from astropy.coordinates import Angle, SkyCoord

from gammax import _regions as sky_regions
from gammax.analysis._check import convert_section
from gammax.analysis._sections import EnergyAxis, ReflectedOptions, SafeMaskOptions, WobbleOptions
from gammax.data import Observations
from gammax.datasets import MapDataset, SpectrumDataset
from gammax.errors import DataValueError, GammaxError, SchemaError
from gammax.makers import (
    DatasetsMaker,
    Reduction,
    ReflectedRegionsBackgroundMaker,
    ReflectedRegionsFinder,
    SafeMaskMaker,
    SpectrumDatasetMaker,
    WobbleRegionsFinder,
)
from gammax.maps import MapAxis, RegionGeom, WcsNDMap

if TYPE_CHECKING:
    from gammax.analysis._config import AnalysisConfig

# what the makers refuse, by the key that is to be changed
_KEYS = {
    "GX-MAKERS-004": ("datasets.background.parameters.binsz", "choose a smaller one"),
    "GX-MAKERS-011": ("datasets.on_region.radius", "give the radius of the ON region"),
    "GX-MAKERS-012": ("datasets.on_region.radius", "leave it out (null): RAD_MAX takes its place"),
    "GX-MAKERS-013": ("datasets.on_region.radius", "give the expected one"),
    "GX-MAKERS-024": ("datasets.containment_correction", "set it to false"),
    "GX-MAKERS-026": ("datasets.containment_correction", "set it to false"),
    "GX-MAKERS-032": ("datasets.on_region.radius", "give the radius of the ON region"),
    "GX-MAKERS-043": ("datasets.safe_mask.methods", "leave edisp-bias out"),
    "GX-MAKERS-044": ("datasets.safe_mask.methods", "leave bkg-peak out"),
    "GX-MAKERS-051": ("datasets.on_region", "choose another ON region, exclusion mask or background.parameters"),
}

_CUBE_KEYS = {
    "GX-MAKERS-043": _KEYS["GX-MAKERS-043"],
    "GX-MAKERS-044": _KEYS["GX-MAKERS-044"],
    "GX-MAKERS-051": ("datasets.geom.wcs", "choose another image, or other observations"),
    "GX-DATASETS-233": ("datasets.safe_mask", "choose a mask that leaves something"),
}

# and by the response that is missing
_WITHOUT = {
    "bkg": ("datasets.background.method", "set it to reflected, which needs no background response"),
    "psf": ("datasets.containment_correction", "set it to false"),
}
_CUBE_WITHOUT = dict.fromkeys(("bkg", "psf", "edisp"), ("datasets.map_selection", "leave out what is made of it"))


@dataclass(frozen=True)
class Recipe:
    """How observations are reduced.

    Parameters
    ----------
    dataset : region or image, and axes, with nothing in it.
    makers : run on every observation, in this order.
    exclusion : False where no OFF region may lie, or where the background is not compared with the counts.
    stack : whether datasets are stacked as they come.
    cutout_width : of the part of an image that is reduced.
    """

    dataset: SpectrumDataset | MapDataset
    makers: tuple[Any, ...]
    exclusion: WcsNDMap | None = None
    stack: bool = False
    cutout_width: Angle | None = None


def make_recipe(config: AnalysisConfig) -> Recipe:
    """Makers of spectra that the section datasets describes; of the files only the exclusion mask is read.

    Raises
    ------
    SchemaError : a key that is missing, unknown or of the wrong kind, or a background for maps.
    DataValueError, GeometryError, FileFormatError : values, axes or an exclusion mask that are none.
    """
    section = config.datasets
    region = on_region(config)
    axes = section.geom.axes
    geom = RegionGeom.create(region, [make_axis(config, axes.energy, "energy")])
    dataset = SpectrumDataset.create(geom, make_axis(config, axes.energy_true, "energy_true"), "reduced")
    if isinstance(region, sky_regions.PointSkyRegion) and section.containment_correction:
        raise SchemaError(
            "GX-ANALYSIS-073",
            "an ON region without radius has no containment to correct for",
            key="datasets.containment_correction",
            file=config.file,
            do="set it to false (responses with RAD_MAX have the containment in them), or give on_region.radius",
        )
    parts = ["counts", "exposure", "edisp"]
    if section.background.method is None:
        parts.insert(2, "background")
    makers: list[Any] = [SpectrumDatasetMaker(tuple(parts), section.containment_correction)]
    exclusion = None
    if section.background.method is not None:
        exclusion = read_exclusion(config)
        makers.append(_background(config, region, exclusion))
    return Recipe(dataset, (*makers, make_safe_mask(config)), exclusion)


def reduce(recipe: Recipe, observations: Observations, n_jobs: int) -> Reduction:
    """One dataset for each observation, or their stack, in some processes.

    Raises
    ------
    GammaxError : as `gammax.makers.DatasetsMaker.run`, with the key that is to be changed.
    """
    try:
        with _executor(min(n_jobs, len(observations))) as executor:
            maker = DatasetsMaker(recipe.makers, recipe.stack, executor, cutout_width=recipe.cutout_width)
            return maker.reduce(recipe.dataset, observations)
    except GammaxError as error:
        raise _with_key(error, isinstance(recipe.dataset, MapDataset)) from error


@contextmanager
def _executor(n_jobs: int) -> Iterator[Executor | None]:
    if n_jobs == 1:
        yield None
        return
    # spawned, not forked: JAX and its threads may be running here
    spawn = multiprocessing.get_context("spawn")
    # an interrupt from the keyboard reaches all processes; what it means the first one says
    with ProcessPoolExecutor(n_jobs, spawn, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as executor:
        with _without_interrupts():
            # each task starts a worker; one that is interrupted before it has got ready would break the pool
            for _ in range(n_jobs):
                executor.submit(int)
        yield executor


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes that begin inside inherit that they ignore interrupts; for threads that may not say so, nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _with_key(error: GammaxError, is_cube: bool) -> GammaxError:
    keys, without = (_CUBE_KEYS, _CUBE_WITHOUT) if is_cube else (_KEYS, _WITHOUT)
    missing = error.what.rpartition(" ")[2] if error.code == "GX-MAKERS-020" else None
    if error.code not in keys and missing not in without:
        return error
    key, do = keys[error.code] if missing is None else without[missing]
    where = {name: value for name, value in error.context.items() if name not in ("found", "expected")}
    return type(error)(
        error.code, error.what, found=error.found, expected=error.expected, do=do, **{**where, "key": key}
    )


@contextmanager
def at_key(config: AnalysisConfig, key: str) -> Iterator[None]:
    """Names the key in errors of what is made of its value."""
    try:
        yield
    except GammaxError as error:
        raise error.with_context(key=key, file=config.file) from error


def missing_key(config: AnalysisConfig, section: str, key: str, expected: str) -> SchemaError:
    return SchemaError(
        "GX-ANALYSIS-070", f"{section} has no {key}", key=f"{section}.{key}", file=config.file, expected=expected
    )


def on_region(config: AnalysisConfig) -> sky_regions.CircleSkyRegion | sky_regions.PointSkyRegion:
    """Region of the section on_region; without radius a point.

    Raises
    ------
    SchemaError : a key is missing. DataValueError : no position, a radius that is none.
    """
    circle, section = config.datasets.on_region, "datasets.on_region"
    for key in ("frame", "lon", "lat"):
        if getattr(circle, key) is None:
            expected = "{frame: icrs, lon: 83.63 deg, lat: 22.01 deg, radius: 0.11 deg}, for example"
            raise missing_key(config, section, key, expected)
    center = sky_position(config, circle, section)
    if circle.radius is None:
        return sky_regions.PointSkyRegion(center)
    radius = Angle(circle.radius)
    if not radius.value > 0:
        raise DataValueError(
            "GX-ANALYSIS-072",
            "the radius of the ON region is not positive",
            key=f"{section}.radius",
            file=config.file,
            found=circle.radius,
            expected="more than 0, or null for a point whose size is RAD_MAX of the responses",
        )
    return sky_regions.CircleSkyRegion(center, radius)


def sky_position(config: AnalysisConfig, position: Any, section: str) -> SkyCoord:
    """Position of a section with frame, lon and lat.

    Raises
    ------
    DataValueError : a latitude beyond the poles.
    """
    try:
        return SkyCoord(position.lon, position.lat, frame=position.frame)
    except ValueError as error:
        raise DataValueError(
            "GX-ANALYSIS-071",
            f"no position on the sky: {error}",
            key=f"{section}.lat",
            file=config.file,
            found=position.lat,
        ) from error


def make_axis(config: AnalysisConfig, axis: EnergyAxis, name: str) -> MapAxis:
    """Energy axis; errors as `make_recipe`."""
    section = f"datasets.geom.axes.{name}"
    for key in ("min", "max", "nbins"):
        if getattr(axis, key) is None:
            raise missing_key(config, section, key, "{min: 0.1 TeV, max: 40 TeV, nbins: 26}, for example")
    with at_key(config, section):
        return MapAxis.from_energy_bounds(axis.min, axis.max, axis.nbins, name=name)


def read_exclusion(config: AnalysisConfig) -> WcsNDMap | None:
    """Exclusion mask, an image; None where none is named."""
    name, key = config.datasets.background.exclusion, "datasets.background.exclusion"
    if name is None:
        return None
    with at_key(config, key):
        return WcsNDMap.read(config.path(name), mask=True).to_image()


def _background(
    config: AnalysisConfig, region: sky_regions.CircleSkyRegion | sky_regions.PointSkyRegion, exclusion: WcsNDMap | None
) -> ReflectedRegionsBackgroundMaker:
    section, key = config.datasets.background, "datasets.background"
    if section.method != "reflected":
        raise SchemaError(
            "GX-ANALYSIS-074",
            f"{section.method} estimates the background of maps, not of spectra",
            key=f"{key}.method",
            file=config.file,
            found=section.method,
            expected="reflected, or null for the background in the responses",
        )
    path = (*key.split("."), "parameters")
    wobble = isinstance(region, sky_regions.PointSkyRegion) or "n_off_regions" in section.parameters
    options = convert_section(section.parameters, WobbleOptions if wobble else ReflectedOptions, config.file, path)
    given = as_angles(section.parameters)
    with at_key(config, ".".join(path)):
        finder = (
            WobbleRegionsFinder(**{"n_off_regions": options.n_off_regions, **given})
            if wobble
            else ReflectedRegionsFinder(**given)
        )
    return ReflectedRegionsBackgroundMaker(finder, exclusion)


def as_angles(parameters: dict[str, Any]) -> dict[str, Any]:
    """Options with the angles among them read."""
    return {name: Angle(value) if isinstance(value, str) else value for name, value in parameters.items()}


def make_safe_mask(config: AnalysisConfig) -> SafeMaskMaker:
    """Maker of the section safe_mask; errors as `make_recipe`."""
    section, path = config.datasets.safe_mask, ("datasets", "safe_mask", "parameters")
    options = convert_section(section.parameters, SafeMaskOptions, config.file, path)
    given = as_angles(section.parameters)
    if "position" in given:
        for key in ("frame", "lon", "lat"):
            if getattr(options.position, key) is None:
                raise missing_key(config, ".".join((*path, "position")), key, "frame, lon and lat")
        given["position"] = sky_position(config, options.position, ".".join((*path, "position")))
    with at_key(config, ".".join(path)):
        return SafeMaskMaker(section.methods, **given)
