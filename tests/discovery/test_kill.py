"""`kill -9` at random moments, then the same command again: nothing is lost and nothing differs."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lsn_core.masks.atlas import Atlas

KILLS = 10


def _command(atlas: Path, model: Path, jobs: int) -> list[str]:
    options = (
        "--languages en fr sw --seeds 0 1 --method imp random --rounds 4 --steps 40 --batch-size 8 "
        "--train-lines 64 --score-lines 40"
    )
    places = ["--model", str(model), "--atlas", str(atlas), "--jobs", str(jobs)]
    return [sys.executable, "-m", "lsn_core", "discover", *options.split(), *places]


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
@pytest.mark.parametrize("jobs", [1])
def test_killed_at_random_moments_then_resumed(jobs: int, tiny_folder: Path, tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    subprocess.run(_command(undisturbed, tiny_folder, 1), check=True, capture_output=True)
    moments, struck = random.Random(jobs), 0
    while struck < KILLS // jobs:
        process = subprocess.Popen(
            _command(killed, tiny_folder, jobs), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        assert process.stderr is not None
        if struck:  # the first kill may fall anywhere, also before there is an atlas
            process.stderr.readline()
        time.sleep(moments.uniform(0, 1) if jobs == 1 else moments.uniform(2, 9))
        workers = _children(process)
        if process.poll() is not None:  # all was done before the next kill came
            process.stderr.close()
            break
        struck += 1
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
        assert _all_gone(workers, 60), "a worker outlived the process that was killed"
        if (killed / "atlas.json").exists():
            assert not Atlas.open(killed).problems()
    assert struck >= 3, "the kills came too late to mean anything"
    subprocess.run(_command(killed, tiny_folder, jobs), check=True, capture_output=True)
    assert Atlas.open(killed).stamps() == Atlas.open(undisturbed).stamps()
    assert Atlas.open(killed).verify() == []


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(jobs: int, tiny_folder: Path, tmp_path: Path) -> None:
    command = _command(tmp_path / "a", tiny_folder, jobs)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    process.stderr.readline()
    time.sleep(1.0)
    os.killpg(process.pid, signal.SIGINT)  # to every process, as a terminal does
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped" in message
    assert "Traceback" not in message
