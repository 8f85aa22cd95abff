"""`kill -9` at random moments, then the same command again: nothing is lost and nothing differs."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from safetensors import safe_open

from lsn_core.masks.atlas import Atlas

KILLS = 10
ROUNDS = 4


def _command(atlas: Path, model: Path, jobs: int, steps: int) -> list[str]:
    options = (
        f"--languages en fr sw --seeds 0 1 --method imp random --rounds {ROUNDS} --steps {steps} --batch-size 8 "
        "--train-lines 64 --score-lines 40"
    )
    places = ["--model", str(model), "--atlas", str(atlas), "--jobs", str(jobs)]
    return [sys.executable, "-m", "lsn_core", "discover", *options.split(), *places]


def _rounds_on_disk(folder: Path) -> dict[str, int]:
    """How many rounds of each ticket a later run will find done."""
    if not (folder / "atlas.json").exists():
        return {}
    done = {}
    for file in folder.glob("runs/*/rounds.safetensors"):
        with safe_open(file, framework="np") as saved:
            done[file.parent.name] = json.loads(saved.metadata()["lsn"])["rounds_done"]
    atlas = Atlas.open(folder)
    assert not atlas.problems()
    return done | {stem: ROUNDS + 1 for stem in atlas.stamps() if stem != "base"}


def _children(process: subprocess.Popen) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _all_gone(processes: list[psutil.Process], timeout: float) -> bool:
    """Whether all end in time; one that nobody has collected yet (a zombie) has ended."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        if not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes):
            return True
        time.sleep(0.2)
    return False


@pytest.mark.slow
@pytest.mark.parametrize(("jobs", "steps", "wait"), [(1, 60, (0, 1.5)), (2, 240, (3, 8))])
def test_killed_at_random_moments_then_resumed(
    jobs: int, steps: int, wait: tuple[float, float], tiny_folder: Path, tmp_path: Path
) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    subprocess.run(_command(undisturbed, tiny_folder, 1, steps), check=True, capture_output=True)
    moments = random.Random(jobs)
    before: dict[str, int] = {}
    kills, advances, in_vain, finished = 0, 0, 0, 0
    # On a slow machine a kill may come before anything is done: go on until there was something to lose.
    while kills < KILLS or advances < 3 or not finished:
        assert kills < 4 * KILLS, "no ticket was finished between the kills: leave it more time"
        process = subprocess.Popen(
            _command(killed, tiny_folder, jobs, steps),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert process.stderr is not None
        if kills:  # the first one may fall anywhere, also before there is an atlas
            process.stderr.readline()
        # Where kill after kill comes before a round is done, the machine is slow: leave it more and more time.
        time.sleep(moments.uniform(*wait) * 1.3**in_vain)
        workers = _children(process)
        assert process.poll() is None, "the work was done before every kill had come: give it more"
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
        assert _all_gone(workers, 60), "a worker outlived the process that was killed"
        after = _rounds_on_disk(killed)
        assert all(after.get(stem, 0) >= rounds for stem, rounds in before.items()), (
            "finished rounds got lost"
        )
        advances += after != before
        in_vain = 0 if after != before else in_vain + 1
        before = after
        kills += 1
        finished = sum(rounds == ROUNDS + 1 for rounds in before.values())
    last = subprocess.run(
        _command(killed, tiny_folder, jobs, steps), check=True, capture_output=True, text=True
    )
    assert f"{finished} were there already" in last.stderr
    assert Atlas.open(killed).stamps() == Atlas.open(undisturbed).stamps()
    assert Atlas.open(killed).verify() == []


def _hear_interrupts() -> None:
    """As a terminal starts a program: tests that run in the background inherit that Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(jobs: int, tiny_folder: Path, tmp_path: Path) -> None:
    command = _command(tmp_path / "a", tiny_folder, jobs, 60)
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=_hear_interrupts
    )
    assert process.stderr is not None
    process.stderr.readline()
    time.sleep(1.0)
    os.killpg(process.pid, signal.SIGINT)  # to every process, as a terminal does
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped" in message
    assert "Traceback" not in message
