"""What runs in a fork besides the command line (`tests.faults.forks`)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lsn_core.jobs import board as boards
from lsn_core.jobs.board import Board
from lsn_core.jobs.process import Process

COMMAND = ("discover", "--model", "demo", "--atlas", "masks/mine")


@contextmanager
def empty_runs() -> Iterator[None]:
    """Inside, a run that is started does nothing and ends."""
    begin: Callable[..., Process] = boards.process.start

    def start(command: Sequence[str], folder: Path, log: Path, environment: Mapping[str, str]) -> Process:
        return begin([sys.executable, "-S", "-c", "pass"], folder, log, environment)

    boards.process.start = start
    try:
        yield
    finally:
        boards.process.start = begin


def start_a_run(masks: str) -> None:
    """Start a run as the Discover page does."""
    with empty_runs():
        Board(Path(masks)).start(COMMAND, "mine")
