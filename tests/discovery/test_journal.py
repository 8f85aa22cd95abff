"""What a discovery says of itself in a file, and real runs that are stopped, killed and resumed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from lsn_core.cli import journal as journals
from lsn_core.cli import main
from lsn_core.cli.journal import Journal
from lsn_core.discovery.config import Recipe, Training
from lsn_core.discovery.pool import Event
from lsn_core.discovery.runs import TicketJob
from lsn_core.errors import CorruptFile, LsnError
from lsn_core.jobs import board as boards
from lsn_core.jobs.board import Board, Job
from lsn_core.jobs.snapshot import read_snapshot
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.ticket import Score, TicketKey

RECIPE = Recipe("mlm", rounds=3, training=Training(steps=5))
JOBS = [TicketJob(RECIPE, language, 0) for language in ("en", "fr", "sw")]


@pytest.fixture(autouse=True)
def _same_interrupts() -> object:
    """A journal sets what Ctrl-C does; the tests after it are to find it as it was."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def scores_of(rounds: dict[str, int]) -> Callable[[TicketKey], tuple[Score, ...]]:
    """Scores of so many rounds of each language: the loss beside the metric."""

    def scores(key: TicketKey) -> tuple[Score, ...]:
        return tuple(
            Score(round(k / 10, 1), name, value - k / 10, 40, "test")
            for k in range(rounds.get(key.language, 0))
            for name, value in (("masked top-1", 0.5), ("loss", 3.0))
        )

    return scores


def test_rounds_scores_and_time_left_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of a second; one of three tickets is there, one was stopped after a round."""
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now, time=lambda: 1e9 + clock.now)
    monkeypatch.setattr(journals, "time", clock)
    file = tmp_path / "state.json"
    rounds = {"en": 4, "fr": 1}
    with Journal(str(file)) as journal:
        first = read_snapshot(file)
        assert first is not None
        assert (first.state, first.tickets, first.pid) == ("running", (), os.getpid())
        journal.plan(JOBS, JOBS[:1], scores_of(rounds))
        journal.on_event(Event("cached", JOBS[0]))
        told = read_snapshot(file)
        assert told is not None
        assert [(t.state, t.there, t.rounds) for t in told.tickets] == [
            ("done", True, 4),
            ("waiting", False, 0),
            ("waiting", False, 0),
        ]
        assert told.tickets[0].scores == ((0.0, 0.5), (0.1, 0.4), (0.2, 0.3), (0.3, 0.2))
        assert told.metric == "masked top-1"
        for done in range(6, 11):  # the second round, the first was found on disk
            clock.now += 1
            journal.on_event(Event("step", JOBS[1], done))
        told = read_snapshot(file)
        assert told is not None
        assert told.tickets[1].rounds == 1, "the second round is trained, but not scored and kept"
        assert told.tickets[1].scores == ((0.0, 0.5),)
        assert told.seconds_left is None
        rounds["fr"] = 2
        clock.now += 1
        journal.on_event(Event("step", JOBS[1], 11))
        told = read_snapshot(file)
        assert told is not None
        assert told.tickets[1].rounds == 2
        assert told.tickets[1].scores == ((0.0, 0.5), (0.1, 0.4))
        assert told.seconds_left == pytest.approx(9 + 20)  # of this ticket, of the next; a second each
        assert (told.rounds_done, told.rounds_in_all, told.tickets_done) == (4 + 2, 12, 1)
        assert told.share == pytest.approx((20 + 11) / 60)
    told = read_snapshot(file)
    assert told is not None
    assert (told.state, told.seconds_left) == ("finished", None)


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (KeyboardInterrupt(), "stopped", ""),
        (LsnError("No such thing."), "failed", "No such thing."),
        (PermissionError(13, "Permission denied", "x.txt"), "failed", "x.txt: permission denied."),
        (ZeroDivisionError(), "failed", "An error of this software, ZeroDivisionError; the log says where."),
    ],
)
def test_how_it_ended_and_what_was_done_stay(
    error: BaseException, state: str, message: str, tmp_path: Path
) -> None:
    file = str(tmp_path / "state.json")
    with pytest.raises(type(error)), Journal(file) as journal:  # noqa: PT012 - how the block ends is the point
        journal.plan(JOBS, [], scores_of({"en": 1}))
        journal.on_event(Event("step", JOBS[0], 8))
        raise error
    told = read_snapshot(Path(file))
    assert told is not None
    assert (told.state, told.message) == (state, message)
    assert told.tickets[0].steps == 8
    with Journal(file) as journal:
        journal.plan(JOBS, [], scores_of({}))
        told = read_snapshot(Path(file))
        assert told is not None
        assert (told.state, told.message) == ("running", "")
        assert (told.tickets[0].steps, told.tickets[0].rounds) == (5, 1), "the round under way is done again"
        assert told.tickets[0].scores == ((0.0, 0.5),)


def test_a_file_that_holds_something_else_is_refused_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    file = tmp_path / "thesis.txt"
    file.write_text("years of work")
    with pytest.raises(CorruptFile):
        Journal(str(file))
    assert main(["discover", "--model", "demo", "--progress", str(file)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert file.read_text() == "years of work"


def _command(model: Path, atlas: str) -> list[str]:
    options = (
        "--task mlm --languages en fr --data cldr --seeds 0 --rounds 3 --steps 150 --batch-size 8 --train-lines 64 "
        "--score-lines 40 --jobs 1"
    )
    return ["discover", "--model", str(model), *options.split(), "--atlas", f"masks/{atlas}"]


def _until(board: Board, job: Job, true: Callable[[Job], object]) -> Job:
    end = time.monotonic() + 120
    while not true(now := board.job(job.id)):
        assert time.monotonic() < end, f"it stays {now.phase}"
        time.sleep(0.05)
    return now


def _rounds(job: Job) -> int:
    return job.snapshot.rounds_done if job.snapshot else 0


@pytest.mark.slow
def test_stopped_killed_and_resumed_gives_the_same_tickets(tiny_folder: Path, tmp_path: Path) -> None:
    assert main([*_command(tiny_folder, "whole")[:-1], str(tmp_path / "masks" / "whole")]) == 0
    board = Board(tmp_path / "masks")
    job = board.start(_command(tiny_folder, "parts"), "parts")
    _until(board, job, lambda now: _rounds(now) >= 1)
    board.stop(job.id)
    stopped = _until(board, job, lambda now: not now.alive)
    assert stopped.phase == boards.STOPPED
    assert 1 <= _rounds(stopped) < 8
    again = board.resume(job.id)
    assert _rounds(again) == _rounds(stopped)
    going = _until(board, job, lambda now: now.phase == boards.RUNNING and _rounds(now) > _rounds(stopped))
    pid = json.loads((tmp_path / "masks" / ".jobs" / job.id / "process.json").read_text())["pid"]
    os.kill(pid, signal.SIGKILL)
    broken = _until(board, job, lambda now: not now.alive)
    assert broken.phase == boards.BROKEN
    assert _rounds(broken) >= _rounds(going)
    board.resume(job.id)
    ended = _until(board, job, lambda now: not now.alive)
    assert ended.phase == boards.FINISHED
    assert ended.snapshot is not None
    assert ended.snapshot.share == 1
    whole, parts = (Atlas.open(tmp_path / "masks" / name) for name in ("whole", "parts"))
    assert parts.stamps() == whole.stamps()
    for ticket in ended.snapshot.tickets:
        key = TicketKey(ticket.task, ticket.language, ticket.method, ticket.seed)
        metric = ended.snapshot.metric
        assert ticket.scores == tuple(
            (s.sparsity, s.value) for s in parts.header(key).scores if s.metric == metric
        )


@pytest.mark.slow
def test_what_the_verb_refuses_is_told(tiny_folder: Path, tmp_path: Path) -> None:
    board = Board(tmp_path / "masks")
    command = _command(tmp_path / "nothing", "mine")
    failed = _until(board, board.start(command, "mine"), lambda now: not now.alive)
    assert failed.phase == boards.FAILED
    assert "no model folder" in failed.message
    assert failed.message.endswith(".")
    # The folder comes to be there: the very same command goes on.
    (tmp_path / "nothing").symlink_to(tiny_folder)
    board.resume(failed.id)
    begun = _until(board, failed, lambda now: now.snapshot and now.snapshot.tickets)
    assert begun.message == ""
    board.stop(failed.id)
    assert _until(board, failed, lambda now: not now.alive).phase == boards.STOPPED
