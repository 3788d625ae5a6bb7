"""Everything that a run leaves in its folder."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from gammax import __version__
from gammax._paths import write_text
from gammax.analysis._config import AnalysisConfig
from gammax.analysis._figures import make_figures
from gammax.analysis._folder import staged
from gammax.analysis._report import report
from gammax.analysis._summary import summary

if TYPE_CHECKING:
    from gammax.analysis._results import Results
    from gammax.analysis._stages import Stages


def write_results(results: Results, stages: Stages, folder: Path) -> Path:
    """Write datasets, models, flux points, figures, summary and report; see `Analysis.write`."""
    with staged(folder) as place:
        with stages("figures") as said:
            pictures = make_figures(results)
            said.append(", ".join(picture.name for picture in pictures))
        with stages("write") as said:
            results.datasets.write(place / "datasets" / "datasets.yaml")
            if results.models is not None:
                results.models.write(place / "models.yaml")
            if results.flux_points is not None:
                results.flux_points.write(place / "flux_points.fits")
            for picture in pictures:
                path = place / "figures" / f"{picture.name}.png"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(picture.png)
            config = config_as_used(results)
            config.write(place / "config.yaml")
            said.append(str(folder))
        css = files("gammax.analysis").joinpath("report.css").read_text(encoding="utf-8")
        write_text(report(results, config, pictures, css), place / "report.html")
        # last, because a folder that has it is one that a run may replace
        write_text(json.dumps(summary(results), indent=2, allow_nan=False) + "\n", place / "summary.json")
    return folder


def config_as_used(results: Results) -> AnalysisConfig:
    """The configuration with the paths of the written folder, so that the folder can be run again where it is put."""
    origin = results.config.general.datasets_file
    return results.config.update(
        {
            "general": {
                "outdir": ".",
                "datasets_file": "datasets/datasets.yaml",
                "models_file": None if results.models is None else "models.yaml",
            },
            "metadata": {
                "creator": f"gammax {__version__}",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "origin": None if origin is None else str(results.config.path(origin).absolute()),
            },
        }
    )
