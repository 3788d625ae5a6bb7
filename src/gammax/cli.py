"""The command ``gammax``. Everything slow is imported by the command that needs it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from gammax import __version__

_EXIT_CODES = """exit codes:
  0    done; the fit is ok, or there was no model to fit
  1    done and written, but the fit is not an ordinary minimum (see "status" in summary.json)
  2    an error; nothing was written
  130  interrupted; nothing was written
"""
_VARIABLES = ("GAMMAX_DATA", "GAMMAX_REFERENCE")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code."""
    arguments = _parser().parse_args(argv)
    from gammax.errors import GammaxError

    try:
        return arguments.run(arguments)
    except GammaxError as error:
        if arguments.debug:
            raise
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gammax", description="Gamma-ray astronomy with a differentiable likelihood.")
    parser.add_argument("--version", action="version", version=f"gammax {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    info = _add(commands, "info", _info, "versions of gammax and of what it builds on, and its environment variables")
    info.add_argument("--device", action="store_true", help="start JAX and list its devices (takes a second)")
    analysis = commands.add_parser("analysis", help="analyses that a YAML file describes")
    steps = analysis.add_subparsers(title="commands", required=True, metavar="COMMAND")
    config = _add(steps, "config", _config, "write a configuration file with all keys and their defaults")
    config.add_argument("--filename", default="config.yaml", help="file to write (default: config.yaml)")
    config.add_argument("--overwrite", action="store_true", help="replace the file")
    run = _add(steps, "run", _run, "read datasets, fit, compute flux points, write a folder with a report", _EXIT_CODES)
    run.add_argument("config", metavar="CONFIG", help="configuration file; relative paths in it start from its folder")
    run.add_argument("--models", help="models file, in place of general.models_file")
    run.add_argument("--out", help="folder of the results (default: general.outdir of the configuration)")
    run.add_argument("--overwrite", action="store_true", help="replace the results in a folder that is not empty")
    return parser


def _add(commands, name: str, run, summary: str, epilog: str | None = None) -> argparse.ArgumentParser:
    sentence = f"{summary[0].upper()}{summary[1:]}."
    command = commands.add_parser(
        name, help=summary, description=sentence, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    command.set_defaults(run=run)
    return command


def _info(arguments: argparse.Namespace) -> int:
    from gammax._versions import all_versions

    _print_table("versions", all_versions())
    _print_table("environment", {name: os.environ.get(name, "not set") for name in _VARIABLES})
    if arguments.device:
        import jax

        _print_table("devices", {device.platform: device.device_kind for device in jax.devices()})
    return 0


def _print_table(title: str, entries: dict[str, str]) -> None:
    width = max(len(name) for name in entries)
    print(f"{title}:", *(f"  {name:<{width}}  {value}" for name, value in entries.items()), sep="\n")


def _config(arguments: argparse.Namespace) -> int:
    from gammax.analysis import AnalysisConfig

    print(AnalysisConfig().write(arguments.filename, arguments.overwrite))
    return 0


def _run(arguments: argparse.Namespace) -> int:
    import gammax
    from gammax.analysis import Analysis

    gammax.enable_x64()
    analysis = Analysis(arguments.config)
    if arguments.models is not None:
        analysis.read_models(arguments.models)
    folder = analysis.run(arguments.out, arguments.overwrite)
    print(analysis)
    print(f"report: {folder / 'report.html'}")
    return 0 if analysis.status in ("ok", "no_model") else 1
