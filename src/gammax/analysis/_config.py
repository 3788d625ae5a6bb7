"""The configuration of an analysis: a YAML file in the field's layout, checked against a schema."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import msgspec

from gammax._paths import resolve_path
from gammax._yaml import dump_yaml, parse_yaml, read_yaml, write_yaml
from gammax.analysis._check import convert_section
from gammax.analysis._sections import (
    DatasetsSection,
    ExcessMap,
    FitSection,
    FluxPointsSection,
    General,
    LightCurve,
    Metadata,
    Observations,
    Section,
)

_WHAT = "analysis configuration"


class AnalysisConfig(Section, frozen=True, dict=True):
    """What an analysis reads, fits and writes: ``config.fit.fit_range.min``; immutable, see `update`.

    The layout and the defaults are Gammapy's, so that its files are read as they are. Sections that this version does
    not carry out (maps, light curves) are kept, and a run that needs one says so.

    Raises
    ------
    SchemaError : an unknown key, a value of the wrong kind. UnitError : a quantity with a missing or wrong unit.
    """

    general: General = General()
    observations: Observations = Observations()
    datasets: DatasetsSection = DatasetsSection()
    fit: FitSection = FitSection()
    flux_points: FluxPointsSection = FluxPointsSection()
    excess_map: ExcessMap = ExcessMap()
    light_curve: LightCurve = LightCurve()
    metadata: Metadata = Metadata()

    @property
    def folder(self) -> Path:
        """Folder that relative paths start from: that of the file the configuration was read from, else the current."""
        return Path() if self.file is None else self.file.parent

    @property
    def file(self) -> Path | None:
        """The file that the configuration was read from, absolute."""
        return self.__dict__.get("_file")

    @property
    def outdir(self) -> Path:
        """Folder of the results: ``general.outdir``; for null and "." it is ``config_results`` beside config.yaml."""
        chosen = self.general.outdir
        if chosen is not None and Path(chosen) != Path():
            return self.path(chosen)
        return self.folder / f"{'analysis' if self.file is None else self.file.stem}_results"

    @property
    def log_file(self) -> Path | None:
        """File of the log, None for standard error."""
        name = self.general.log.filename
        return None if name is None else self.path(name)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Configuration from nested mappings; keys that are missing take their defaults."""
        return convert_section(dict(content), cls, None)

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """Configuration from YAML text."""
        return cls.from_dict(parse_yaml(text, _WHAT))

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Configuration from a YAML file.

        Raises
        ------
        FileFormatError : the file is missing or not text.
        """
        path = resolve_path(path)
        return convert_section(read_yaml(path, _WHAT), cls, path)._of_file(path.absolute())

    def update(self, changes: Mapping[str, Any] | str) -> Self:
        """Configuration with some keys changed: ``update({"fit": {"fit_range": {"min": "1 TeV"}}})``, or YAML text."""
        changes = parse_yaml(changes, _WHAT) if isinstance(changes, str) else changes
        return self.from_dict(_merged(self.to_dict(), changes))._of_file(self.file)

    def to_dict(self) -> dict[str, Any]:
        """Nested mappings of all keys."""
        return msgspec.to_builtins(self)

    def to_yaml(self) -> str:
        """YAML text of all keys."""
        return dump_yaml(self.to_dict())

    def write(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write YAML, atomically.

        Raises
        ------
        FileFormatError : the file exists and `overwrite` is false.
        """
        return write_yaml(self.to_dict(), path, overwrite)

    @staticmethod
    def template() -> str:
        """YAML text of the keys that most analyses set, with comments."""
        return files("gammax.analysis").joinpath("config_template.yaml").read_text(encoding="utf-8")

    def path(self, text: str) -> Path:
        """Path of a file that the configuration names: environment variables expanded, relative to `folder`."""
        return resolve_path(text, self.folder)

    def changes(self) -> dict[str, Any]:
        """The keys that differ from the defaults, as ``{"fit.fit_range.min": "1 TeV"}``; without metadata."""
        found, default = self.to_dict(), AnalysisConfig().to_dict()
        for content in (found, default):
            content.pop("metadata")
        return dict(_differences(found, default, ()))

    def _of_file(self, file: Path | None) -> Self:
        # not a field: the file is no part of its content and of comparisons
        if file is not None:
            self.__dict__["_file"] = file
        return self


def _merged(content: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(content)
    for key, value in changes.items():
        # free-form parameters are replaced as a whole, so that a default among them can be dropped
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), dict) and key != "parameters"
        merged[key] = _merged(merged[key], value) if nested else value
    return merged


def _differences(found: dict[str, Any], default: dict[str, Any], path: tuple[str, ...]):
    for key, value in found.items():
        place = (*path, key)
        if isinstance(value, dict) and key != "parameters":
            yield from _differences(value, default[key], place)
        elif value != default[key]:
            yield ".".join(place), value
