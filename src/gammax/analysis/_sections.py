"""The sections of an analysis configuration: names, order and defaults of the field's YAML layout.

Energies, angles and times are kept as the text that the user wrote; `gammax.analysis._check` reads them once.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from gammax import __version__

# what a text field must convert to; "time" for a date
Energy = Annotated[str, Meta(extra={"unit": "TeV"})]
Angle = Annotated[str, Meta(extra={"unit": "deg"})]
Time = Annotated[str, Meta(extra={"unit": "time"})]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Percent = Annotated[float, Meta(ge=0, le=100)]
AtLeastOne = Annotated[int, Meta(ge=1)]
FluxQuantity = Literal["errn-errp", "ul", "scan", "sensitivity"]
Frame = Literal["icrs", "galactic"]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all sections."""


class SkyCircle(Section, frozen=True):
    """Circle on the sky."""

    frame: Frame | None = None
    lon: Angle | None = None
    lat: Angle | None = None
    radius: Angle | None = None


class SkyPosition(Section, frozen=True):
    """Point on the sky."""

    frame: Frame | None = None
    lon: Angle | None = None
    lat: Angle | None = None


class TimeRange(Section, frozen=True):
    """Interval of time, or several: as many starts as stops."""

    start: Time | tuple[Time, ...] | None = None
    stop: Time | tuple[Time, ...] | None = None


class EnergyRange(Section, frozen=True):
    """Interval of energy."""

    min: Energy | None = None
    max: Energy | None = None


class EnergyAxis(Section, frozen=True):
    """Interval of energy in equal logarithmic bins."""

    min: Energy | None = None
    max: Energy | None = None
    nbins: AtLeastOne | None = None


class Log(Section, frozen=True):
    """What `logging.basicConfig` takes; `level` is one of debug, info, warning, error, critical."""

    level: str = "info"
    filename: str | None = None
    filemode: str | None = None
    format: str | None = None
    datefmt: str | None = None


class General(Section, frozen=True):
    """Files and folders."""

    log: Log = Log()
    outdir: str | None = "."
    n_jobs: AtLeastOne = 1
    datasets_file: str | None = None
    models_file: str | None = None


class Observations(Section, frozen=True):
    """Which observations to reduce."""

    datastore: str = "$GAMMAPY_DATA/hess-dl3-dr1"
    obs_ids: tuple[int, ...] = ()
    obs_file: str | None = None
    obs_cone: SkyCircle = SkyCircle()
    obs_time: TimeRange = TimeRange()
    required_irf: tuple[Literal["events", "gti", "aeff", "bkg", "edisp", "psf", "rad_max"], ...] = (
        "aeff",
        "edisp",
        "psf",
        "bkg",
    )


class MapSize(Section, frozen=True):
    """Size of a map."""

    width: Angle = "5.0 deg"
    height: Angle = "5.0 deg"


class Wcs(Section, frozen=True):
    """Pixels of a map."""

    skydir: SkyPosition = SkyPosition()
    binsize: Angle = "0.02 deg"
    width: MapSize = MapSize()
    binsize_irf: Angle = "0.2 deg"


class Selection(Section, frozen=True):
    """Cuts on events."""

    offset_max: Angle = "2.5 deg"


class Axes(Section, frozen=True):
    """Reconstructed and true energy axes."""

    energy: EnergyAxis = EnergyAxis(min="1.0 TeV", max="10.0 TeV", nbins=5)
    energy_true: EnergyAxis = EnergyAxis(min="0.5 TeV", max="20.0 TeV", nbins=16)


class Geom(Section, frozen=True):
    """Geometry of the reduced datasets."""

    wcs: Wcs = Wcs()
    selection: Selection = Selection()
    axes: Axes = Axes()


class Background(Section, frozen=True):
    """How the background is estimated; `parameters` are the options of the method, as in `ReflectedOptions`."""

    method: Literal["reflected", "fov_background", "ring"] | None = None
    exclusion: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)


class ReflectedOptions(Section, frozen=True):
    """Options of `gammax.makers.ReflectedRegionsFinder`, which has the defaults."""

    angle_increment: float | Angle = 0.1
    min_distance: float | Angle = 0.0
    min_distance_input: float | Angle = 0.1
    max_region_number: AtLeastOne = 10000
    binsz: float | Angle = 0.01


class WobbleOptions(Section, frozen=True):
    """Options of `gammax.makers.WobbleRegionsFinder`."""

    n_off_regions: AtLeastOne = 3
    binsz: float | Angle = 0.01


class FoVOptions(Section, frozen=True):
    """Options of `gammax.makers.FoVBackgroundMaker`, which has the defaults."""

    method: Literal["scale", "fit"] = "scale"
    min_counts: NotNegative = 0
    min_npred_background: NotNegative = 0


class RingOptions(Section, frozen=True):
    """Options of `gammax.makers.RingBackgroundMaker`; the radii have no defaults."""

    r_in: float | Angle | None = None
    width: float | Angle | None = None


class AdaptiveRingOptions(RingOptions, frozen=True):
    """Options of `gammax.makers.AdaptiveRingBackgroundMaker`, which has the other defaults."""

    r_out_max: float | Angle | None = None
    stepsize: float | Angle = "0.02 deg"
    threshold_alpha: Positive = 0.1
    theta: float | Angle = "0.22 deg"
    method: Literal["fixed_width", "fixed_r_in"] = "fixed_width"


class SafeMaskOptions(Section, frozen=True):
    """Options of `gammax.makers.SafeMaskMaker`, which has the defaults."""

    aeff_percent: Percent = 10
    bias_percent: Percent = 10
    position: SkyPosition = SkyPosition()
    fixed_offset: float | Angle | None = None
    offset_max: float | Angle = "3 deg"
    irfs: Literal["DL4", "DL3"] = "DL4"


class SafeMask(Section, frozen=True):
    """Where the responses are trusted; `parameters` are those of `SafeMaskOptions`."""

    methods: tuple[Literal["aeff-default", "aeff-max", "edisp-bias", "offset-max", "bkg-peak"], ...] = ("aeff-default",)
    parameters: dict[str, Any] = field(default_factory=dict)


class DatasetsSection(Section, frozen=True):
    """How observations are reduced to datasets."""

    type: Literal["1d", "3d"] = "1d"
    stack: bool = True
    geom: Geom = Geom()
    map_selection: tuple[Literal["counts", "exposure", "background", "psf", "edisp"], ...] = (
        "counts",
        "exposure",
        "background",
        "psf",
        "edisp",
    )
    background: Background = Background()
    safe_mask: SafeMask = SafeMask()
    on_region: SkyCircle = SkyCircle()
    containment_correction: bool = True


class FitSection(Section, frozen=True):
    """The fit."""

    fit_range: EnergyRange = EnergyRange()


class FluxOptions(Section, frozen=True):
    """Options of `gammax.estimators.FluxPointsEstimator`, which has the defaults."""

    n_sigma: Positive = 1.0
    n_sigma_ul: Positive = 2.0
    n_sigma_sensitivity: Positive = 5.0
    selection_optional: Literal["all"] | FluxQuantity | tuple[FluxQuantity, ...] | None = None
    reoptimize: bool = False
    norm_scan: Annotated[tuple[float, ...], Meta(min_length=1)] = (1.0,)
    tolerance: Positive = 1e-10
    max_steps: AtLeastOne = 100


class FluxPointsSection(Section, frozen=True):
    """Flux points; `parameters` are those of `FluxOptions`, checked by a run."""

    energy: EnergyAxis = EnergyAxis()
    source: str = "source"
    parameters: dict[str, Any] = field(default_factory=lambda: {"selection_optional": "all"})


class ExcessMap(Section, frozen=True):
    """Map of the excess."""

    correlation_radius: Angle = "0.1 deg"
    parameters: dict[str, Any] = field(default_factory=dict)
    energy_edges: EnergyAxis = EnergyAxis()


class LightCurve(Section, frozen=True):
    """Flux over time."""

    time_intervals: TimeRange = TimeRange()
    energy_edges: EnergyAxis = EnergyAxis()
    source: str = "source"
    parameters: dict[str, Any] = field(default_factory=lambda: {"selection_optional": "all"})


class Metadata(Section, frozen=True):
    """Who wrote the file, when, from what."""

    creator: str | None = f"gammax {__version__}"
    date: str | None = None
    origin: str | None = None
