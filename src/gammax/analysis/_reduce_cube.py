"""From the configuration to makers of cubes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astropy.coordinates import Angle

from gammax import _regions as sky_regions
from gammax.analysis._check import convert_section
from gammax.analysis._ledger import Ledger
from gammax.analysis._reduce import (
    Recipe,
    as_angles,
    at_key,
    make_axis,
    make_safe_mask,
    missing_key,
    on_region,
    read_exclusion,
    sky_position,
)
from gammax.analysis._sections import AdaptiveRingOptions, FoVOptions, RingOptions, SkyCircle
from gammax.datasets import MapDataset
from gammax.errors import SchemaError
from gammax.makers import AdaptiveRingBackgroundMaker, FoVBackgroundMaker, MapDatasetMaker, RingBackgroundMaker
from gammax.maps import WcsGeom, WcsNDMap

if TYPE_CHECKING:
    from gammax.analysis._config import AnalysisConfig
    from gammax.models import Models

# around a source without a region of its own: more than the PSF of most instruments
_REGION_DEG = 0.15
# sources larger than this have no region
_WIDEST_DEG = 2.0


def make_cube_recipe(config: AnalysisConfig, models: Models | None = None) -> Recipe:
    """Makers of cubes that the section datasets describes; of the files only the exclusion mask is read.

    Parameters
    ----------
    models : say what will be needed, and where `source_region` is.

    Raises
    ------
    SchemaError : a key that is missing, unknown or of the wrong kind, a background that is not for maps, a part of the
    datasets that the background or a fit needs and that is not selected. DataValueError, GeometryError,
    FileFormatError : values, axes, an image or an exclusion mask that are none.
    """
    section = config.datasets
    _check_parts(config, models)
    dataset = _empty(config)
    exclusion = read_exclusion(config) if section.background.method is not None else None
    makers: list[Any] = [MapDatasetMaker(section.map_selection), make_safe_mask(config)]
    if section.background.method is not None:
        makers.append(_background(config, exclusion))
    makers.append(Ledger(source_region(config, models)))
    return Recipe(dataset, tuple(makers), exclusion, section.stack, 2 * Angle(section.geom.selection.offset_max))


def source_region(config: AnalysisConfig, models: Models | None) -> sky_regions.CircleSkyRegion | None:
    """Region whose counts are told by observation: the first of `source_regions`, None where there is none."""
    return next(iter(source_regions(config, models).values()), None)


def source_regions(config: AnalysisConfig, models: Models | None) -> dict[str, sky_regions.CircleSkyRegion]:
    """Regions whose counts are shown: ``datasets.on_region`` alone, or one about each source that is not too large.

    The source of the flux points comes first.
    """
    circle = config.datasets.on_region
    if config.datasets.type == "3d" and circle != SkyCircle():
        region = on_region(config)
        if not isinstance(region, sky_regions.CircleSkyRegion):
            region = sky_regions.CircleSkyRegion(region.center, Angle(_REGION_DEG, "deg"))
        return {"datasets.on_region": region}
    sources = [] if models is None else [model for model in models.sky_models if model.spatial_model is not None]
    sources = [model for model in sources if model.position is not None and _radius(model) < _WIDEST_DEG]
    sources.sort(key=lambda model: model.name != config.flux_points.source)
    return {
        model.name: sky_regions.CircleSkyRegion(model.position, Angle(_REGION_DEG + _radius(model) / 2, "deg"))
        for model in sources
    }


def _radius(model: Any) -> float:
    radius = model.spatial_model.evaluation_radius
    return float("inf") if radius is None else float(radius)


def _empty(config: AnalysisConfig) -> MapDataset:
    """Dataset of zeros on the image and the axes, without masks."""
    section, key = config.datasets.geom, "datasets.geom.wcs"
    for name in ("frame", "lon", "lat"):
        if getattr(section.wcs.skydir, name) is None:
            raise missing_key(
                config, f"{key}.skydir", name, "{frame: icrs, lon: 83.63 deg, lat: 22.01 deg}, for example"
            )
    center = sky_position(config, section.wcs.skydir, f"{key}.skydir")
    energy = make_axis(config, section.axes.energy, "energy")
    energy_true = make_axis(config, section.axes.energy_true, "energy_true")
    size = section.wcs.width
    with at_key(config, key):
        geom = WcsGeom.create(
            skydir=center,
            binsz=Angle(section.wcs.binsize),
            width=(Angle(size.width), Angle(size.height)),
            frame=section.wcs.skydir.frame,
            proj="CAR",
            axes=[energy],
        )
    with at_key(config, f"{key}.binsize_irf"):
        dataset = MapDataset.create(geom, energy_true, binsz_irf=Angle(section.wcs.binsize_irf), name="reduced")
    return dataset.replace(mask_safe=None)


def _check_parts(config: AnalysisConfig, models: Models | None) -> None:
    """Raise where a part of the datasets is needed and not selected."""
    section = config.datasets
    needs = {}
    if models is not None:
        needs |= dict.fromkeys(("counts", "exposure"), "a fit")
    if section.background.method in ("fov_background", "ring"):
        needs |= dict.fromkeys(("counts", "background"), f"datasets.background.method {section.background.method}")
    for part, who in needs.items():
        if part not in section.map_selection:
            raise SchemaError(
                "GX-ANALYSIS-090",
                f"{who} needs {part}, which is not selected",
                key="datasets.map_selection",
                file=config.file,
                found=", ".join(section.map_selection) or "nothing",
                do=f"add {part}",
            )


def _background(
    config: AnalysisConfig, exclusion: WcsNDMap | None
) -> FoVBackgroundMaker | RingBackgroundMaker | AdaptiveRingBackgroundMaker:
    section, key = config.datasets.background, "datasets.background"
    if section.method == "reflected":
        raise SchemaError(
            "GX-ANALYSIS-091",
            "reflected estimates the background of spectra, not of maps",
            key=f"{key}.method",
            file=config.file,
            found="reflected",
            expected="fov_background, ring, or null for the background in the responses as it is",
        )
    path = (*key.split("."), "parameters")
    adaptive = "r_out_max" in section.parameters
    kind = FoVOptions if section.method == "fov_background" else AdaptiveRingOptions if adaptive else RingOptions
    options = convert_section(section.parameters, kind, config.file, path)
    for name in ("r_in", "width", "r_out_max"):
        if getattr(options, name, 0.0) is None:
            raise missing_key(config, ".".join(path), name, "an angle, 0.5 deg for example")
    given = as_angles(section.parameters) if section.method == "ring" else section.parameters
    with at_key(config, ".".join(path)):
        if section.method == "fov_background":
            return FoVBackgroundMaker(exclusion_mask=exclusion, **given)
        maker = AdaptiveRingBackgroundMaker if adaptive else RingBackgroundMaker
        return maker(exclusion_mask=exclusion, **given)
