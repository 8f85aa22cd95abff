"""The arithmetic of the cost model, worked by hand, and the page that is made of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import cost
from benchmarks.cost_model import (
    Accelerator,
    Architecture,
    Rate,
    Step,
    Study,
    fit,
    largest,
    makespan,
    pairs,
)
from lsn_core.discovery.presets import PRESETS
from lsn_core.masks.atlas import Atlas

TINY = Architecture("tiny", layers=2, hidden=4, feed_forward=8, vocabulary=100, heads=2)
WORK = {"steps": 10, "batch": 2, "length": 8, "scored": 5}


def test_operations_of_a_piece_by_hand() -> None:
    # A layer: four matrices of 4 × 4 and two of 4 × 8.
    assert TINY.prunable == 2 * (4 * 16 + 2 * 32) == 256
    assert TINY.parameters == 256 + 400
    # Two a weight; of 8 pieces, 4 features, in 2 layers, two products of two operations.
    assert TINY.forward(8, masked=False) == 2 * 256 + 2 * (2 * 2 * 8 * 4)
    assert TINY.forward(8, masked=True) - TINY.forward(8, masked=False) == pytest.approx(
        0.15 * 2 * (16 + 400)
    )


def test_known_sizes() -> None:
    assert cost.MBERT.prunable == 84_934_656
    assert 1.75e8 < cost.MBERT.parameters < 1.78e8
    assert cost.XLMR_LARGE.prunable == 301_989_888
    assert 5.55e8 < cost.XLMR_LARGE.parameters < 5.61e8


def test_memory_is_sixteen_bytes_a_parameter_a_byte_a_mask_and_activations() -> None:
    activations = 2 * (2 * 8) * (34 * 4 + 5 * 2 * 8)
    assert TINY.training_memory(2, 8, masked=False) == 16 * 656 + 256 + activations
    assert TINY.training_memory(2, 8, masked=True) == 16 * 656 + 256 + activations + 0.15 * 16 * 100 * 10
    assert largest(80e9) == 5_000_000_000


def test_a_ticket_is_its_rounds_of_training_and_scoring() -> None:
    imp = Study.of_tickets("imp", TINY, False, 4, 9, "imp", **WORK)
    random = Study.of_tickets("random", TINY, False, 4, 9, "random", **WORK)
    assert (imp.rounds, random.rounds) == (10, 9)
    piece = TINY.forward(8, False)
    rate = Rate(flops=1e3, overhead=0.5)
    a_round = 10 * (3 * piece * 16 / 1e3 + 0.5) + piece * 5 * 8 / 1e3
    assert imp.ticket_seconds(rate) == pytest.approx(10 * a_round)
    assert random.ticket_seconds(rate) == pytest.approx(9 * a_round)


def test_tickets_do_not_share_a_device() -> None:
    assert makespan([(22, 3.0)], 1) == 66
    assert makespan([(22, 3.0)], 8) == 9
    assert makespan([(22, 3.0), (1, 5.0)], 8) == 14
    assert pairs(100) == 4950


def test_the_fit_finds_the_rate_that_steps_were_made_by() -> None:
    true = Rate(flops=5e10, overhead=0.02)
    steps = [Step("", flops, true.seconds(flops)) for flops in (1e9, 2e10, 5e11)]
    found, error = fit(steps)
    assert found.flops == pytest.approx(true.flops)
    assert found.overhead == pytest.approx(true.overhead)
    assert error < 1e-9
    slower = [*steps[:2], Step("", steps[2].flops, 2 * steps[2].seconds)]
    assert fit(slower)[1] > 0.1


def test_an_accelerators_range_has_the_optimisers_traffic_in_it() -> None:
    gpu = Accelerator("", peak=1e15, bandwidth=1e12, memory=8e10, share=(0.1, 0.5), overhead=(0.05, 0.01))
    slow, fast = gpu.rates(10**9)
    assert (slow.flops, fast.flops) == (1e14, 5e14)
    assert (slow.overhead, fast.overhead) == pytest.approx((0.05 + 0.028, 0.01 + 0.028))
    for assumed in cost.GPUS:
        slow, fast = assumed.rates(10**8)
        assert slow.flops < fast.flops < assumed.peak
        assert slow.overhead > fast.overhead


def test_the_papers_study_has_the_presets_steps() -> None:
    studies = {study.name: study for study in cost.paper_studies()}
    mlm = studies["mlm, `imp`"]
    assert (mlm.tickets, mlm.rounds, mlm.steps, mlm.batch) == (22, 10, 10_000, 16)
    assert studies["ner, `random`"].steps == 1875  # three passes over 20,000 items in batches of 32
    assert studies["nli, `imp`"].tickets == 2 * len(PRESETS["paper-nli"].languages)
    found, transfer = cost.large_studies()
    assert (found.tickets, transfer.tickets, transfer.rounds) == (200, 10_200, 1)


TERMS = cost.Terms(
    machine="A processor",
    day="2026-01-01",
    threads=1,
    steps=(Step("small", 1e9, 0.1), Step("large", 1e11, 2.0)),
    bytes_each={"a mlm imp": 0.005, "b mlm imp": 0.015, "b mlm random": 0.001},
    base_bytes={"a": 0.4},
    prune=5e-9,
    write=2e-8,
    read=1e-8,
    pair=1e-11,
)


def test_terms_are_kept_and_read(tmp_path: Path) -> None:
    TERMS.write_file(tmp_path / "results" / "cost.json")
    assert cost.Terms.read_file(tmp_path / "results" / "cost.json") == TERMS


def test_the_page_says_what_is_measured_and_what_is_assumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "scale.md"
    page.write_text(f"before\n{cost.START}\nold\n{cost.END}\nafter\n")
    monkeypatch.setattr(cost, "PAGE", page)
    cost.publish(TERMS)
    once = page.read_text()
    cost.publish(TERMS)
    assert page.read_text() == once
    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert "old" not in once
    measured, assumed = once.split("### Assumed, not measured")
    assert "A100" not in measured
    assert "312 TFLOP/s" in assumed
    # 22 + 22 + 20 tickets of `imp`, 85 M weights, nine levels.
    low, high = (64 + 0) * 84_934_656 * 9 * 0.005, 64 * 84_934_656 * 9 * 0.015
    assert f"| {cost._size(low)} to {cost._size(high)} |" in assumed
    for table in re.findall(r"(?:^\|.*\n)+", once, flags=re.M):
        assert len({row.count("|") for row in table.splitlines()}) == 1
    for line in (cost.ROOT / "docs" / "scale.md").read_text().split(cost.START):
        assert "GFLOP/s" not in line.split(cost.END)[-1], "numbers are made, not typed"


def test_bytes_of_the_shipped_tickets_are_looked_up() -> None:
    atlas = Atlas.open(cost.ROOT / "masks" / "demo")
    found = cost.bytes_each([atlas])
    assert set(found) == {"demo mlm imp", "demo mlm random"}
    files = list((cost.ROOT / "masks" / "demo" / "tickets").glob("*-imp-*"))
    mean = sum(file.stat().st_size for file in files) / len(files)
    assert found["demo mlm imp"] == pytest.approx(mean / atlas.layout.size / 9)
