"""The command ``gammax``. Everything slow is imported by the command that needs it."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gammax import __version__

if TYPE_CHECKING:
    from gammax.analysis import Analysis

_EXIT_CODES = """exit codes:
  0    done; the fit is ok, or there was no model to fit
  1    done and written, but the fit is not an ordinary minimum, or the flux points could not be computed
       (see "status" and "notes" in summary.json)
  2    an error; nothing was written
  130  interrupted; nothing was written
"""
# what an error tells the caller of a function to do, as an option of the command
_AS_OPTIONS = {r"\boverwrite=True": "--overwrite", r"\bout=": "--out"}
_VARIABLES = ("GAMMAX_DATA", "GAMMAX_REFERENCE", "GAMMAPY_DATA")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code."""
    arguments = _parser().parse_args(argv)
    from gammax.errors import GammaxError

    try:
        return arguments.run(arguments)
    except GammaxError as error:
        if arguments.debug:
            raise
        message = str(error)
        for argument, option in _AS_OPTIONS.items():
            message = re.sub(argument, option, message)
        print(message, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def console() -> None:
    """The command as a process: ends it with the exit code of `main`."""
    try:
        code = main()
    finally:
        # argparse prints its help and exits
        _flush()
    if code == 130:
        # a compilation that JAX has begun would hold the process until it is done
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


@contextmanager
def _importing() -> Iterator[None]:
    """While seconds of imports pass, an interrupt ends the process: raised in a callback of JAX it would be lost."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupted(*_: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(130)


def _say(*lines: object) -> None:
    """Print lines at once; a reader that has gone, as `head` does, is no error."""
    try:
        print(*lines, sep="\n")
    except BrokenPipeError:
        _discard_output()
    _flush()


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()


def _discard_output() -> None:
    # what is in the buffer goes nowhere, or the interpreter would try once more at its end
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gammax", description="Gamma-ray astronomy with a differentiable likelihood.")
    parser.add_argument("--version", action="version", version=f"gammax {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    info = _add(commands, "info", _info, "versions of gammax and of what it builds on, and its environment variables")
    info.add_argument("--device", action="store_true", help="start JAX and list its devices (takes a second)")
    demo = _add(
        commands,
        "demo",
        _demo,
        "copy simulated data into a folder and analyse them, as spectra and as a cube",
        _EXIT_CODES,
    )
    demo.add_argument("--out", default="gammax-demo", help="folder to copy into (default: gammax-demo)")
    demo.add_argument("--overwrite", action="store_true", help="replace a demo that is there; edited files stay")
    analysis = commands.add_parser("analysis", help="analyses that a YAML file describes")
    steps = analysis.add_subparsers(title="commands", required=True, metavar="COMMAND")
    config = _add(steps, "config", _config, "write a configuration file to fill in")
    config.add_argument("--filename", default="config.yaml", help="file to write (default: config.yaml)")
    config.add_argument("--all", action="store_true", help="write all keys with their defaults, without comments")
    config.add_argument("--overwrite", action="store_true", help="replace the file")
    summary = "reduce event files or read spectra and cubes, fit, compute flux points, write a folder with a report"
    run = _add(steps, "run", _run, summary, _EXIT_CODES)
    run.add_argument("config", metavar="CONFIG", help="configuration file; relative paths in it start from its folder")
    run.add_argument("--models", help="models file, in place of general.models_file")
    run.add_argument("--out", help="folder of the results (default: general.outdir, else CONFIG_results beside CONFIG)")
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
    _say(f"{title}:", *(f"  {name:<{width}}  {value}" for name, value in entries.items()))


def _config(arguments: argparse.Namespace) -> int:
    from gammax._paths import write_text
    from gammax.analysis import AnalysisConfig

    text = AnalysisConfig().to_yaml() if arguments.all else AnalysisConfig.template()
    _say(write_text(text, arguments.filename, arguments.overwrite))
    return 0


def _run(arguments: argparse.Namespace) -> int:
    with _importing():
        import gammax
        from gammax.analysis import Analysis

        gammax.enable_x64()
    analysis = Analysis(arguments.config)
    if arguments.models is not None:
        analysis.read_models(arguments.models)
    folder = analysis.run(arguments.out, arguments.overwrite)
    _say(analysis)
    return _end(analysis, folder)


def _end(analysis: Analysis, folder: Path) -> int:
    _say(f"report: {folder / 'report.html'}")
    return _code(analysis)


def _code(analysis: Analysis) -> int:
    return 0 if analysis.is_complete else 1


def _demo(arguments: argparse.Namespace) -> int:
    with _importing():
        import gammax
        from gammax.analysis import Analysis
        from gammax.analysis._demo import ANALYSES, prepare_demo, true_models
        from gammax.analysis._results import fitted_table

        gammax.enable_x64()
    folder, kept = prepare_demo(arguments.out, arguments.overwrite)
    _say(f"simulated runs, configurations and models are in {folder}")
    for old, new in kept:
        _say(f"your {old.name} is now {new.name}")
    codes, reports = [], []
    for name, what in ANALYSES.items():
        _say("", f"{what} ({name}):")
        analysis = Analysis(folder / name)
        reports.append(analysis.run(overwrite=arguments.overwrite) / "report.html")
        _say(fitted_table(analysis.results, true_models(analysis.observations)))
        codes.append(_code(analysis))
    _say("", "open the reports in a browser:", *(f"  {report}" for report in reports))
    _say("edit a configuration and run it again:")
    _say(*(f"  gammax analysis run {folder / name} --overwrite" for name in ANALYSES))
    return max(codes)
