"""That what discoveries are timed against does the same work; the times themselves are no test."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.plain import PaperLoop
from benchmarks.training import Size, Steps, measure_on
from lsn_core.data.cldr import CldrSource
from lsn_core.discovery.pruning import kept_at
from tests.tiny_models import PRUNABLE


def test_the_papers_loop_makes_nested_masks_of_the_same_levels(tiny_folder: Path, tmp_path: Path) -> None:
    corpus = CldrSource().corpus("en", "train")
    lines = [corpus[i] for i in range(48)]
    loop = PaperLoop(str(tiny_folder), lines[:32], lines[32:], 2, 2, 8, 32, 1e-3)
    scores = loop.run(tmp_path)
    assert len(scores) == 3
    assert all(0 <= score <= 1 for score in scores)
    first, second = (torch.load(tmp_path / f"mask-{level}.pt", weights_only=True) for level in (1, 2))
    for level, masks in ((0.1, first), (0.2, second)):
        kept = sum(int(mask.sum()) for mask in masks.values())
        assert abs(kept - kept_at(PRUNABLE, level)) <= 1
    assert all(bool((second[name] <= first[name]).all()) for name in first)
    assert any(not torch.equal(second[name], first[name]) for name in first)


def test_a_step_loses_the_same_here_and_there() -> None:
    size = Size(rows=2, width=12, vocabulary=200, layers=1, hidden=24, turns=1, steps=2)
    steps = Steps(torch.device("cpu"), size)
    plain, exact, rounded = steps.losses()
    assert abs(exact - plain) <= 1e-5
    assert 0 < abs(rounded - plain) <= 2**-8 * plain


@pytest.mark.slow
def test_every_way_of_a_step_is_timed() -> None:
    size = Size(rows=2, width=12, vocabulary=200, layers=1, hidden=24, turns=1, steps=3)
    rows = measure_on(torch.device("cpu"), size)
    assert [row.ratio > 0 for row in rows] == [True] * 3
    assert {row.work.split("(")[0] for row in rows} == {"one training step under a mask ", "one MLM step "}
