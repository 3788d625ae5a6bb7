"""What a run needs from the configuration, and what this version cannot carry out."""

from __future__ import annotations

from gammax.analysis._config import AnalysisConfig
from gammax.errors import SchemaError

# keys that ask for a product; how it would be made is settled by others, which are kept without effect
_ASKS = {
    "excess_map": ("excess_map.energy_edges.",),
    "light_curve": ("light_curve.time_intervals.", "light_curve.energy_edges."),
}


def check_needs(config: AnalysisConfig) -> None:
    """Raise where a run would need what this version cannot do.

    Raises
    ------
    SchemaError : names the key.
    """
    if config.datasets.type == "3d":
        raise SchemaError(
            "GX-ANALYSIS-010",
            "this version analyses spectra, not cubes",
            key="datasets.type",
            found="3d",
            expected="1d",
        )
    if config.general.datasets_file is None:
        raise SchemaError(
            "GX-ANALYSIS-011",
            "this version starts from reduced datasets and reduces no observations",
            key="general.datasets_file",
            found="null",
            expected="path of a datasets.yaml",
        )
    for section, keys in _ASKS.items():
        for key in config.changes():
            if key.startswith(keys):
                raise SchemaError(
                    "GX-ANALYSIS-012",
                    f"this version makes no {section.replace('_', ' ')}",
                    key=key,
                    do=f"remove the section {section}",
                )
