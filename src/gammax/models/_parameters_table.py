"""All parameters of models as a table."""

from __future__ import annotations

from astropy.table import Table

from gammax.models._links import named_parameters
from gammax.models._models import Models


def parameters_table(models: Models) -> Table:
    """See `Models.to_parameters_table`."""
    errors, ties, rows = iter(models.errors), {tie.name: str(tie) for tie in models.ties}, []
    for model in models:
        for name, p in named_parameters(model):
            inside = name.removeprefix(f"{model.name}.").partition(".")[2]
            numbers = (float(p.value), next(errors), p.unit, float(p.min), float(p.max))
            prior = "" if p.prior is None else repr(p.prior)
            rows.append((model.name, inside, *numbers, p.frozen, p.link or "", prior, ties.get(name, "")))
    names = ("model", "name", "value", "error", "unit", "min", "max", "frozen", "link", "prior", "tie")
    table = Table(rows=rows or None, names=names)
    table.remove_columns([name for name in ("prior", "tie") if not any(table[name])])
    return table
