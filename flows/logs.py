"""Where the suite's lines go: the terminal, Prefect's UI, and in full (trace-backs too) `logs/suite.log` of the run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows import LOGGERS

SAID_BETTER = (
    "prefect.task_runs",
    "prefect.flow_runs",
    # One line each for every event that a server that has gone did not get.
    "prefect.events.clients",
    "prefect._internal.concurrency",
    "EventsWorker",
)
LINE = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def show_in_terminal() -> None:
    """One line a step on stderr; of Prefect's own lines only its warnings, since the suite's say the same better."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.INFO)
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
    for name in LOGGERS:
        logging.getLogger(name).addHandler(handler)
    for name in SAID_BETTER:
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def kept_in_file(folder: Path) -> Iterator[None]:
    """Everything down to DEBUG into `<folder>/suite.log` while the run lasts; others go on getting INFO and above."""
    handler = logging.FileHandler(folder / "suite.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter(LINE))
    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        for other in logger.handlers:
            other.setLevel(max(other.level, logging.INFO))
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()
