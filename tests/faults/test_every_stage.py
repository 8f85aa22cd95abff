"""Killed, or out of room, at every change of a file that a run makes; then looked at, and run again.

What is on the disk after each of them is sound, holds all that it held one change earlier, and the same command
brings it to just what an undisturbed run makes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from lsn_core.jobs.board import Board, job_id
from lsn_core.masks.atlas import Atlas
from tests.faults.actions import COMMAND, empty_runs
from tests.faults.forks import DIED, Forks, Order, Outcome
from tests.faults.states import Held, sound
from tests.foreign_files import named, save_npz
from tests.synthetic import make_atlas, random_mask

pytestmark = pytest.mark.slow

Command = Callable[[Path], Sequence[str]]


def _disturbed(forks: Forks, argv: Command, start: Path | None, folder: Path, fault: str) -> tuple[int, int]:
    """Put one fault at every change in turn; returns how many there were, and how many left another state."""

    def fresh(name: str) -> Path:
        atlas = folder / name
        shutil.rmtree(atlas, ignore_errors=True)
        if start is not None:
            shutil.copytree(start, atlas)
        return atlas

    atlas = fresh("undisturbed")
    whole = forks.command(argv(atlas), atlas)
    assert whole.code == 0, whole.said
    goal, before = sound(atlas), sound(fresh("atlas"))
    assert Atlas.open(folder / "undisturbed").verify() == []
    places, states = 0, set()
    print(f"{len(whole.changes)} changes: {', '.join(whole.changes)}")
    for number, change in enumerate(whole.changes, 1):
        if not _bites(fault, change):
            continue
        places += 1
        atlas = fresh("atlas")
        outcome = forks.command(argv(atlas), atlas, fault, number)
        _ended_well(outcome, fault)
        after = sound(atlas)
        assert after.keeps(before), f"lost at change {number}, {change}"
        before = after
        state = (after.files, tuple(sorted(after.rounds.items())))
        if state in states:
            continue  # going on from here was tried
        states.add(state)
        again = forks.command(argv(atlas), atlas)
        assert again.code == 0, again.said
        assert _same(sound(atlas), goal), f"another end after change {number}, {change}"
        assert Atlas.open(atlas).verify() == []
    return places, len(states)


def _bites(fault: str, change: str) -> bool:
    """Whether a fault does anything at a change: room is needed where something is made, or its bytes are written."""
    kind, _, path = change.partition(" ")
    return fault == "die" or kind == "os.mkdir" or (kind == "fsync" and path.endswith(".tmp"))


def _ended_well(outcome: Outcome, fault: str) -> None:
    if fault != "full":
        assert outcome.code == DIED, outcome.said
        return
    assert outcome.code == 2, outcome.said
    assert "Traceback" not in outcome.said
    last = outcome.said.strip().splitlines()[-1]
    assert last.startswith("lsn_core: ")
    assert "no space left on device" in last.lower()


def _same(held: Held, goal: Held) -> bool:
    return (held.tickets, held.cells, held.files) == (goal.tickets, goal.cells, goal.files)


@pytest.mark.parametrize("fault", ["die", "full"])
def test_discovery(fault: str, forks: Forks, tiny_run: list[str], tmp_path: Path) -> None:
    def argv(atlas: Path) -> list[str]:
        options = "--task mlm --languages en --seeds 0 --rounds 1 --method imp"
        return ["discover", *options.split(), *tiny_run, "--atlas", str(atlas)]

    places, states = _disturbed(forks, argv, None, tmp_path, fault)
    assert places >= states >= 6


@pytest.fixture(scope="module")
def discovered(forks: Forks, tiny_run: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An atlas with a ticket of one language."""
    atlas = tmp_path_factory.mktemp("discovered") / "atlas"
    options = "--task mlm --languages en --seeds 0 --rounds 1"
    done = forks.command(["discover", *options.split(), *tiny_run, "--atlas", str(atlas)], atlas)
    assert done.code == 0, done.said
    return atlas


@pytest.mark.parametrize("fault", ["die", "full"])
def test_transfer(fault: str, discovered: Path, forks: Forks, tiny_run: list[str], tmp_path: Path) -> None:
    def argv(atlas: Path) -> list[str]:
        return ["transfer", "--task", "mlm", "--sparsity", "0.1", *tiny_run, "--atlas", str(atlas)]

    places, states = _disturbed(forks, argv, discovered, tmp_path, fault)
    assert places >= states >= 5


@pytest.mark.parametrize("fault", ["die", "full"])
def test_import(fault: str, forks: Forks, tmp_path: Path) -> None:
    """Saving an upload makes the same two calls, `keep_ticket` and `publish`."""
    start = make_atlas(tmp_path / "start", ("en",), (0,), (0.5,), with_random=False, task="ner")
    mask = random_mask(start.layout, 0.5, np.random.default_rng(0))
    file = save_npz(tmp_path / "mask.npz", named(mask))

    def argv(atlas: Path) -> list[str]:
        return ["import", str(file), "--atlas", str(atlas), "--task", "mlm", "--language", "sw"]

    places, states = _disturbed(forks, argv, start.path, tmp_path, fault)
    assert places >= states >= 3


@pytest.mark.parametrize("fault", ["die", "full"])
def test_starting_a_run_from_a_page(fault: str, forks: Forks, tmp_path: Path) -> None:
    masks = tmp_path / "masks"

    def start(fault: str = "", at: int = 0) -> Outcome:
        shutil.rmtree(masks, ignore_errors=True)
        masks.mkdir()
        return forks.run(Order("tests.faults.actions:start_a_run", (str(masks),), str(masks), fault, at))

    whole = start()
    assert whole.code == 0, whole.said
    for number, change in enumerate(whole.changes, 1):
        if not _bites(fault, change):
            continue
        outcome = start(fault, number)
        if fault == "full":
            last = outcome.said.strip().splitlines()[-1]
            assert last.startswith("lsn_core.errors.LsnError: ")
            assert "no space left" in last
        else:
            assert outcome.code == DIED, outcome.said
        board = Board(masks)
        assert board.damaged() == []
        for job in board.jobs():
            assert (job.id, job.command) == (job_id(COMMAND), COMMAND)
            board.log(job.id)
        _ended(board)
        with empty_runs():
            again = board.start(COMMAND, "mine")
        assert again.id == job_id(COMMAND)
        _ended(board)


def _ended(board: Board) -> None:
    until = time.monotonic() + 60
    while any(job.alive for job in board.jobs()):
        assert time.monotonic() < until, "a run that does nothing goes on"
        time.sleep(0.02)
