"""Pulls, coverage and test statistics of thousands of simulated fits: the figures that the slow tests hold to bars.

    python benchmarks/validation.py [--seed 20261123]

prints Markdown tables, writes `validation.json`, and ends with 1 if a bar is missed. How the simulations are made is
said in `tests/validation.py`; a row that misses a bar by chance is told from one that is wrong by the tests, which then
take four times as many.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path

from _clock import machine, versions, write_json
from _speed_table import markdown

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

import gammax  # noqa: E402
import validation  # noqa: E402


def main() -> int:
    """All simulations, their tables and the JSON file; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description="Simulated fits")
    parser.add_argument("--seed", type=int, default=20261123)
    seed = parser.parse_args().seed
    gammax.enable_x64()
    pulls = [row for case in validation.cases() for row in validation.pulls(case, seed)]
    tables = {
        "pulls": [{**row, "missed": ", ".join(validation.missed(row, validation.BARS))} for row in pulls],
        "no source, norm bounded at zero": [validation.null_tests(seed)],
        "few OFF counts, wstat": [validation.thin_bias(seed, off) for off in (0.3, 1.0, 3.0, 10.0)],
    }
    null = tables["no source, norm bounded at zero"][0]
    null["missed"] = ", ".join(validation.missed(null, validation.NULL_BARS))
    for name, rows in tables.items():
        print(f"{name}\n\n{markdown(rows)}", flush=True)
    about = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": versions("gammax", "jax", "numpy"),
    }
    write_json(HERE / "validation.json", {**about, **tables})
    return int(any(row.get("missed") for rows in tables.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main())
