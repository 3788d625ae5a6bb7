"""``python -m gammax.simulate FOLDER``: simulates the demo data set."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import gammax
from gammax.errors import GammaxError
from gammax.simulate import make_demo


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate into the folder that the command line names; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gammax.simulate", description="Simulate the demo data set.")
    parser.add_argument("folder", metavar="FOLDER", help="folder to write into")
    parser.add_argument("--overwrite", action="store_true", help="replace files of the demo that are there")
    arguments = parser.parse_args(argv)
    gammax.enable_x64()
    try:
        print(make_demo(arguments.folder, arguments.overwrite))
    except GammaxError as error:
        print(str(error).replace("overwrite=True", "--overwrite"), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
