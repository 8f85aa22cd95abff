"""Pruning and tickets at the size of mT5-base: one copy of the prunable weights is never reached."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_a_round_of_mt5_base_takes_less_than_a_copy_of_its_prunable_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Everything beside the loaded model counts: θ0, scores, masks, the round's state and both tickets."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.discovery.large_round", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    with capsys.disabled():
        print(f"\n{found}")
    assert found["parameters"] > 580e6
    assert found["prunable"] == 198_180_864
    assert found["extra"] < found["copy"]
