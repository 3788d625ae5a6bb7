"""The tables of the report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gammax.analysis._html import Html, common_exponent, element, join, minus, power_html, rounded, table, unit_html
from gammax.analysis._sky_images import cubes_of
from gammax.models import SkyModel

if TYPE_CHECKING:
    from gammax.analysis._config import AnalysisConfig
    from gammax.analysis._results import Results
    from gammax.datasets import SpectrumDataset, SpectrumDatasetOnOff
    from gammax.estimators import FluxPoints
    from gammax.fit import FitResult
    from gammax.models import Models

_DASH = "–"
# a correlation matrix of more parameters than this has numbers for names above its columns
_MOST_NAMED = 6
# numbers of the datasets table, in order, and those that can be added up
_DIGITS = {
    "bins": "d",
    "counts": "g",
    "off": "g",
    "alpha": ".3g",
    "background": ".1f",
    "excess": ".1f",
    "significance": ".1f",
    "livetime": ".3g",
    "npred": ".1f",
    "stat": ".2f",
}
_SUMMED = ("bins", "counts", "background", "excess", "npred", "stat")


def key_figures(results: Results) -> Html:
    """A row of the numbers that one looks for first."""
    result = results.fit_result
    facts = []
    if result is not None:
        facts += [(minus(f"{result.total_stat:.2f}"), "fit statistic, −2 ln L"), (len(result.names), "free parameters")]
    facts += [
        (results.n_bins, "bins" if len(cubes_of(results.datasets)) else "energy bins"),
        (f"{sum(results.counts.values()):g}", "counts"),
        (len(results.datasets), "dataset" if len(results.datasets) == 1 else "datasets"),
    ]
    if results.flux_points is not None:
        facts.append((len(results.flux_points), "flux points"))
    cells = (element("div", join([element("b", value), element("span", what)])) for value, what in facts)
    return element("div", join(cells), class_="facts")


def parameters_table(result: FitResult) -> Html:
    """All parameters: fitted ones with errors, frozen ones as such."""
    models = result.models
    rows, kinds = [], {model.name: _kind(model) for model in models}
    last = None
    for row, (name, parameter) in zip(models.to_parameters_table(), models.parameters.items(), strict=True):
        model = str(row["model"])
        value = (
            element("span", minus(f"{row['value']:g}"), class_="soft")
            if parameter.frozen
            else Html(rounded(row["value"], row["error"]).html)
        )
        state = "frozen" if parameter.frozen else "free"
        if parameter.link is not None:
            state += f", linked as {parameter.link}"
        elif name in result.names and not math.isfinite(row["error"]):
            state += ", no error"
        what = "" if model == last else join([element("b", model), element("span", kinds[model], class_="soft")])
        rows.append((what, str(row["name"]), value, Html(unit_html(str(row["unit"]))), state))
        last = model
    return table(("Model", "Parameter", "Value", "Unit", ""), rows, "llrll")


def _kind(model: Any) -> str:
    """What a model is made of."""
    parts = " × ".join(type(part).__name__ for part in model.parts.values())
    return parts if isinstance(model, SkyModel) else f"{type(model).__name__}: {parts}"


def correlation_table(result: FitResult) -> Html:
    """Correlation coefficients, shaded by their size."""
    short = [name.replace(".spectral", "").replace(".spatial", "") for name in result.names]
    if len({name.partition(".")[0] for name in short}) == 1:
        short = [name.partition(".")[2] for name in short]
    with np.errstate(invalid="ignore"):
        matrix = result.correlation
    rows = [
        (name, *map(_shaded, line[:k]), 1, *[""] * (len(short) - k - 1))
        for k, (name, line) in enumerate(zip(short, matrix, strict=True))
    ]
    head = short
    if len(short) > _MOST_NAMED:
        head = [str(k) for k in range(1, len(short) + 1)]
        rows = [(f"{number}  {row[0]}", *row[1:]) for number, row in zip(head, rows, strict=True)]
    return table(("", *head), rows, "l" + "c" * len(short))


def _shaded(value: float) -> Html:
    if not math.isfinite(value):
        return Html(_DASH)
    color = "0,114,178" if value < 0 else "213,94,0"
    text = minus(f"{value:+.2f}")
    return element("span", text, class_="shade", style=f"background:rgba({color},{0.55 * abs(value):.2f})")


def flux_points_table(points: FluxPoints) -> Html:
    """E^2 dN/dE with errors and limits, significance and counts of every point."""
    has = set(points.quantities)
    columns = [points.e2dnde.value]
    columns += [getattr(points, f"e2dnde_{name}").value for name in ("errp", "errn") if f"norm_{name}" in has]
    if len(columns) == 1:
        columns.append(points.e2dnde_err.value if "norm_err" in has else np.full(len(points), np.nan))
    limits = points.e2dnde_ul.value if "norm_ul" in has else np.full(len(points), np.nan)
    exponent = common_exponent(columns[0])
    unit = Html(f"{power_html(exponent)}erg cm<sup>−2</sup> s<sup>−1</sup>")
    rows = []
    for k in range(len(points)):
        value = rounded(*(column[k] for column in columns), exponent=exponent)
        limit = f"{limits[k] / 10.0**exponent:.{value.decimals}f}" if math.isfinite(limits[k]) else _DASH
        rows.append(
            (
                Html(f"{points.energy_min[k]:.3g} – {points.energy_max[k]:.3g}"),
                f"{points.energy_ref[k]:.3g}",
                Html(value.mantissa_html),
                element("span", f"< {limit}" if limit != _DASH else limit, class_="" if points.is_ul[k] else "soft"),
                f"{points.sqrt_ts[k]:.1f}" if "ts" in has and math.isfinite(points.sqrt_ts[k]) else _DASH,
                f"{np.nansum(points.counts[k]):g}" if "counts" in has else _DASH,
                str(points.status[k]).replace("_", " ") if "status" in has else _DASH,
            )
        )
    head = (
        "Energy [TeV]",
        Html("E<sub>ref</sub> [TeV]"),
        Html(f"E<sup>2</sup> dN/dE [{unit}]"),
        f"Upper limit ({points.n_sigma_ul:g}σ)" if points.n_sigma_ul else "Upper limit",
        "√TS",
        "Counts",
        "Status",
    )
    return table(head, rows, "lrrrrrl")


def datasets_table(results: Results) -> Html:
    """What lies inside the mask of every dataset, and its share of the fit statistic."""
    models = results.fitted_models
    head = (
        "Dataset",
        "Energy [TeV]",
        "Bins",
        "Counts",
        "OFF",
        "α",
        "Background",
        "Excess",
        "Significance [σ]",
        "Livetime [h]",
        "Predicted",
        "Statistic",
    )
    lines = [_dataset_numbers(dataset, models) for dataset in results.datasets]
    rows = [(line["name"], line["range"], *_formatted(line)) for line in lines]
    foot = None
    if len(lines) > 1:
        sums = {key: sum(line[key] for line in lines) for key in _SUMMED}
        foot = ("all", "", *_formatted({**dict.fromkeys(_DIGITS, math.nan), **sums}, missing=""))
    drop = {10, 11} if models is None else set()
    if all(dataset.stat_type == "cash" for dataset in results.datasets):
        drop |= {4, 5}
    keep = [k for k in range(len(head)) if k not in drop]
    return table(
        [head[k] for k in keep],
        [[row[k] for k in keep] for row in rows],
        "".join("llrrrrrrrrrr"[k] for k in keep),
        None if foot is None else [foot[k] for k in keep],
    )


def _dataset_numbers(dataset: SpectrumDataset | SpectrumDatasetOnOff, models: Models | None) -> dict[str, Any]:
    # info_dict sums over mask_safe, the report over all that the fit sees
    fitted = dataset.replace(mask_safe=dataset.counts.replace(data=dataset.mask, unit=""))
    info = fitted.info_dict(models=models)
    low, high = (limit.to_value("TeV") for limit in dataset.energy_range_total)
    return {
        "name": dataset.name,
        "range": f"{low:.3g} – {high:.3g}" if math.isfinite(low) else "empty",
        "bins": info["n_fit_bins"],
        "counts": info["counts"],
        "off": info.get("counts_off", math.nan),
        "alpha": info.get("alpha", math.nan),
        "background": info["background"],
        "excess": info["excess"],
        "significance": info["sqrt_ts"],
        "livetime": info["livetime"].to_value("h"),
        "npred": info["npred"],
        "stat": info["stat_sum"],
    }


def _formatted(line: dict[str, Any], missing: str = _DASH) -> tuple[str, ...]:
    return tuple(
        minus(f"{line[key]:{digits}}") if math.isfinite(line[key]) else missing for key, digits in _DIGITS.items()
    )


def _as_written(value: Any) -> str:
    """A setting as YAML has it."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_as_written, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_as_written(inner)}' for key, inner in value.items())}}}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def settings_table(config: AnalysisConfig) -> Html:
    """The settings that differ from the defaults."""
    rows = [(element("code", key), _as_written(value)) for key, value in config.changes().items()]
    return table(("Setting", "Value"), rows or [("none differs from the defaults", "")], "ll")
