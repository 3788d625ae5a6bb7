"""Stages of a run: their times, one line of progress each, and the warnings that came up."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from gammax.analysis._check import check_level
from gammax.analysis._config import AnalysisConfig
from gammax.errors import GammaxWarning, ResourceError, SchemaError

LOGGER = logging.getLogger("gammax")


@contextmanager
def log_output(config: AnalysisConfig) -> Iterator[None]:
    """Send gammax's messages where ``general.log`` says, standard error or a file, until the block ends.

    Raises
    ------
    SchemaError : unknown level, a format that cannot be filled. ResourceError : the log file cannot be written.
    """
    log, level = config.general.log, LOGGER.level
    formatter = _formatter(config)
    handler = _handler(config)
    handler.setFormatter(formatter)
    LOGGER.addHandler(handler)
    LOGGER.setLevel(check_level(log.level).upper())
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)
        handler.close()


def _formatter(config: AnalysisConfig) -> logging.Formatter:
    log = config.general.log
    try:
        formatter = logging.Formatter(log.format or "%(asctime)s  %(message)s", log.datefmt or "%H:%M:%S")
        # logging itself fills a format when the first message comes, and prints a traceback if it cannot
        formatter.format(logging.makeLogRecord({"msg": "", "levelname": "INFO", "asctime": ""}))
    except (ValueError, TypeError, KeyError) as error:
        raise SchemaError(
            "GX-ANALYSIS-008",
            f"general.log.format cannot be filled: {error}",
            key="general.log.format",
            found=repr(log.format),
            expected="for example '%(asctime)s %(levelname)s %(message)s'",
        ) from error
    return formatter


def _handler(config: AnalysisConfig) -> logging.Handler:
    log = config.general.log
    check_level(log.level)
    if config.log_file is None:
        return logging.StreamHandler()
    try:
        return logging.FileHandler(config.log_file, log.filemode or "a")
    except (OSError, ValueError) as error:
        raise ResourceError("GX-ANALYSIS-030", f"cannot write the log: {error}", key="general.log") from error


class Stages:
    """Times by stage, and notes: the warnings that came up.

    ``with stages("fit") as said: ...; said.append("converged")`` times a stage and ends it with a line of progress.
    """

    def __init__(self):
        self.timings: dict[str, float] = {}
        self.notes: list[str] = []

    @contextmanager
    def __call__(self, name: str) -> Iterator[list[str]]:
        start, said = time.perf_counter(), []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", GammaxWarning)
            yield said
        seconds = time.perf_counter() - start
        self.timings[name] = self.timings.get(name, 0.0) + seconds
        LOGGER.info("%-12s %-62s %7.2f s", name, ", ".join(said), seconds)
        for warning in caught:
            if issubclass(warning.category, GammaxWarning):
                self.note(str(warning.message))
            else:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)

    def note(self, text: str) -> None:
        """Keep what a reader of the results should know, once, and say it."""
        if text not in self.notes:
            self.notes.append(text)
            LOGGER.warning(text)
