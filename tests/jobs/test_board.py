"""Runs as processes of their own: started, stopped, killed, resumed, and never twice at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lsn_core.errors import LsnError
from lsn_core.jobs import board as boards
from lsn_core.jobs import process
from lsn_core.jobs.board import Board, Job, command_line, job_id
from lsn_core.jobs.snapshot import DONE, WORKING, Snapshot, TicketState, write_snapshot

COMMAND = ("discover", "--model", "demo", "--atlas", "masks/mine")
QUIET = "import time, sys; print('begun', flush=True); time.sleep(120)"


@pytest.fixture
def run_code(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`run_code(text)`: from now on a run executes this Python in place of a discovery."""
    begin = process.start

    def use(code: str) -> None:
        def start(command: list[str], folder: Path, log: Path, environment: dict[str, str]) -> object:
            return begin([sys.executable, "-c", code, *command[3:]], folder, log, environment)

        monkeypatch.setattr(boards.process, "start", start)

    return use


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    found = Board(tmp_path / "masks")
    yield found
    for job in found.jobs():
        found.end(job.id)


def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.05)


def pid_of(board: Board, job: Job) -> int:
    return json.loads((board.workplace / "masks" / ".jobs" / job.id / "process.json").read_text())["pid"]


def home(board: Board, job: Job) -> Path:
    return board.workplace / "masks" / ".jobs" / job.id


def test_the_run_is_that_of_its_command(board: Board, run_code: Callable[[str], None]) -> None:
    run_code(
        "import sys, os; print(sys.argv, os.getcwd(), os.getsid(0) == os.getpid(), sys.stdin.read() == '')"
    )
    job = board.start(COMMAND, "mine")
    assert job.id == job_id(COMMAND) != job_id([*COMMAND, "more"])
    assert command_line(COMMAND) == "python -m lsn_core discover --model demo --atlas masks/mine"
    assert command_line(["a b"]) == "python -m lsn_core 'a b'"
    until(lambda: not board.job(job.id).alive)
    state = str(home(board, job) / "state.json").replace(f"{board.workplace}/", "")
    words = str(["-c", *COMMAND, "--progress", state])
    assert board.log(job.id) == f"{words} {board.workplace} True True"


def test_it_goes_on_when_the_one_who_started_it_ends(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from lsn_core.jobs import process; import os\n"
        f"p = process.start([sys.executable, '-c', {QUIET!r}], Path('.'), Path({str(tmp_path / 'log')!r}), os.environ)\n"
        "print(p.pid, p.birth, sep=';', flush=True)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    pid, _, birth = said.strip().partition(";")
    child = process.Process(int(pid), birth)
    try:
        assert child.alive
        until(lambda: (tmp_path / "log").read_text() == "begun\n")
    finally:
        child.kill()
    until(lambda: not child.alive)


def test_a_number_that_was_given_again_is_not_taken_for_ours(
    board: Board, run_code: Callable[[str], None]
) -> None:
    run_code("pass")
    job = board.start(COMMAND, "mine")
    until(lambda: not board.job(job.id).alive)
    stranger = subprocess.Popen([sys.executable, "-c", QUIET], stdout=subprocess.DEVNULL)
    try:
        file = home(board, job) / "process.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"pid": stranger.pid}))
        assert board.job(job.id).phase == boards.BROKEN
        board.stop(job.id)
        board.end(job.id)
        time.sleep(0.3)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_what_an_earlier_process_said_is_not_taken_for_news(
    board: Board, run_code: Callable[[str], None]
) -> None:
    run_code("pass")
    job = board.start(COMMAND, "mine")
    until(lambda: not board.job(job.id).alive)
    ticket = TicketState("mlm", "en", "imp", 0, DONE, False, 8, 2, ((0.0, 0.5), (0.1, 0.4)))
    said = Snapshot(pid_of(board, job), "finished", 1.0, 2.0, 1, 4, "score", None, "", (ticket,))
    write_snapshot(home(board, job) / "state.json", said)
    assert board.job(job.id).phase == boards.FINISHED
    run_code(QUIET)
    again = board.resume(job.id)
    assert again.phase == boards.STARTING
    assert again.snapshot is not None
    assert again.snapshot.tickets == (ticket,)


@pytest.mark.parametrize("several", [False, True])
def test_starts_at_the_same_time_start_one(
    board: Board, run_code: Callable[[str], None], several: bool
) -> None:
    """Of the same command, or of different ones where one may be under way."""
    run_code(QUIET)
    refused: list[str] = []

    def start(number: int) -> None:
        command = (*COMMAND, str(number)) if several else COMMAND
        try:
            Board(board.workplace / "masks", limit=1 if several else 9).start(command, "mine")
        except LsnError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=start, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 4
    assert all(("another run is" if several else "under way already") in said for said in refused)
    assert sum(job.alive for job in board.jobs()) == 1


def test_more_than_one_where_it_is_allowed(board: Board, run_code: Callable[[str], None]) -> None:
    run_code(QUIET)
    two = Board(board.workplace / "masks", limit=2)
    jobs = [two.start((*COMMAND, str(number)), "mine") for number in range(2)]
    with pytest.raises(LsnError, match="2 other runs are under way"):
        two.start((*COMMAND, "2"), "mine")
    for job in jobs:
        two.stop(job.id)
    until(lambda: not any(job.alive for job in two.jobs()))
    assert {job.phase for job in two.jobs() if job.id in {j.id for j in jobs}} == {boards.STOPPED}


def test_a_run_that_does_not_hear_is_ended(board: Board, run_code: Callable[[str], None]) -> None:
    run_code("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + QUIET)
    job = board.start(COMMAND, "mine")
    until(lambda: board.log(job.id) == "begun")
    write_snapshot(home(board, job) / "state.json", Snapshot(pid_of(board, job), "running", 1.0, 2.0))
    assert board.job(job.id).phase == boards.RUNNING
    board.stop(job.id)
    time.sleep(0.3)
    asked = board.job(job.id)
    assert asked.phase == boards.STOPPING
    board.stop(job.id)
    assert board.job(job.id).asked == asked.asked
    board.end(job.id)
    until(lambda: not board.job(job.id).alive)
    assert board.job(job.id).phase == boards.STOPPED


def test_killed_is_broken_off_and_resumes(board: Board, run_code: Callable[[str], None]) -> None:
    run_code(QUIET)
    job = board.start(COMMAND, "mine")
    until(lambda: board.log(job.id) == "begun")
    ticket = TicketState("mlm", "en", "imp", 0, WORKING, False, 9, 2)
    write_snapshot(
        home(board, job) / "state.json",
        Snapshot(pid_of(board, job), "running", 1.0, 2.0, 9, 4, tickets=(ticket,)),
    )
    with pytest.raises(LsnError, match="under way"):
        board.forget(job.id)
    os.kill(pid_of(board, job), signal.SIGKILL)
    until(lambda: not board.job(job.id).alive)
    found = board.job(job.id)
    assert found.phase == boards.BROKEN
    assert found.snapshot is not None
    assert found.snapshot.rounds_done == 2
    assert board.resume(job.id).alive
    board.end(job.id)
    until(lambda: not board.job(job.id).alive)
    board.forget(job.id)
    assert board.jobs() == []


def test_a_command_that_cannot_be_gives_its_sentence(board: Board) -> None:
    job = board.start(("discover", "--bogus"), "mine")
    until(lambda: not board.job(job.id).alive)
    found = board.job(job.id)
    assert found.phase == boards.FAILED
    assert "--bogus" in found.message
    assert "\n" not in found.message


@pytest.mark.parametrize("name", ["..", "../../x", "", "0" * 12, "XYZ"])
def test_no_name_leads_anywhere_else(board: Board, name: str) -> None:
    for act in (board.job, board.resume, board.stop, board.end, board.forget, board.log):
        with pytest.raises(LsnError, match="no run"):
            act(name)


@pytest.mark.parametrize("file", ["job.json", "process.json", "state.json", "stop.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"format_version": 1, "tickets": [{}]}'])
def test_damaged_files_stop_neither_the_list_nor_others(
    board: Board, run_code: Callable[[str], None], file: str, content: bytes
) -> None:
    run_code("pass")
    good, bad = (board.start((*COMMAND, name), "mine") for name in "ab" if _wait(board))
    _wait(board)
    (home(board, bad) / file).write_bytes(content)
    assert [job.id for job in board.jobs()] == [good.id]
    assert board.damaged() == [bad.id]


def _wait(board: Board) -> bool:
    until(lambda: not any(job.alive for job in board.jobs()))
    return True


def test_nothing_heavy_is_loaded() -> None:
    code = (
        "import sys, lsn_core.jobs.board, lsn_core.discovery.plan\n"
        "print({'torch', 'transformers', 'streamlit'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
