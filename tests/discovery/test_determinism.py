"""What a ticket's bits depend on: nothing but what its provenance names, and by how much where they do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lsn_core.discovery.config import Recipe, Training
from lsn_core.discovery.runs import Setup, TicketJob, Workshop, bits_depend_on, instructions
from lsn_core.masks.ticket import Ticket

TRAINING = Training(steps=4, batch_size=8, learning_rate=5e-4, train_lines=64, score_lines=16)
MOST = {"fp32": 1e-4, "bf16": 2e-3}
"""Share of the weights of the embedded model that may lie in another mask when threads are added; measured are
0 in fp32 and 2.6e-4 in bf16, where sums are rounded to eight bits wherever they are stored."""


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Leave torch with as many threads as it had: workshops set their own."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _job(precision: str, seed: int = 0) -> TicketJob:
    return TicketJob(Recipe("mlm", rounds=2, training=replace(TRAINING, precision=precision)), "en", seed)


def _make(folder: Path, model: str, threads: int, job: TicketJob) -> Ticket:
    workshop = Workshop(Setup(str(folder), model, "mlm", threads=threads), ())
    workshop.make(job, lambda job, done: None)
    return workshop.atlas.ticket(job.key)


def _differing(one: Ticket, other: Ticket) -> float:
    """The share of the weights that are not kept by the same masks."""
    return float(np.mean(one.survival != other.survival))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_threads_change_masks_by_no_more_than_rounding(precision: str, tmp_path: Path) -> None:
    """Threads add up in another order, which nothing can promise to round alike; what that does is bounded.

    The bound means something: another seed, which is another draw of the same work, goes far beyond it.
    """
    one, two = (_make(tmp_path / str(n), "demo", n, _job(precision)) for n in (1, 2))
    seed = _make(tmp_path / "1", "demo", 1, _job(precision, seed=1))
    assert _differing(one, two) <= MOST[precision] < _differing(one, seed) / 2
    for before, after in zip(one.scores, two.scores, strict=True):
        assert after.value == pytest.approx(before.value, rel=1e-5 if precision == "fp32" else 1e-2)
    assert (one.provenance["threads"], two.provenance["threads"]) == (1, 2)
    assert "threads" in one.provenance["bits_depend_on"]


class _Halt(Exception):
    pass


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_with_as_many_threads_the_bits_are_the_same_stopped_or_not(
    threads: int, precision: str, tiny_folder: Path, tmp_path: Path
) -> None:
    job = _job(precision)
    whole = _make(tmp_path / "whole", str(tiny_folder), threads, job)
    setup = Setup(str(tmp_path / "stopped"), str(tiny_folder), "mlm", threads=threads)

    def halt(job: TicketJob, done: int) -> None:
        if done > TRAINING.steps:
            raise _Halt

    with pytest.raises(_Halt):
        Workshop(setup, ()).make(job, halt)
    resumed = Workshop(setup, ())
    resumed.make(job, lambda job, done: None)
    assert resumed.atlas.ticket(job.key).content_hash == whole.content_hash


def test_rounds_done_with_other_instructions_are_not_gone_on_from(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a ticket would be of two machines, and its provenance name one."""
    job, steps = _job("fp32"), []

    def halt(job: TicketJob, done: int) -> None:
        if done > TRAINING.steps:
            raise _Halt

    setup = Setup(str(tmp_path / "a"), str(tiny_folder), "mlm")
    with pytest.raises(_Halt):
        Workshop(setup, ()).make(job, halt)
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "OTHER")
    workshop = Workshop(setup, ())
    workshop.make(job, lambda job, done: steps.append(done))
    assert steps[0] == 1
    assert workshop.atlas.ticket(job.key).provenance["instructions"] == "OTHER"


def test_provenance_holds_all_that_it_says_the_bits_depend_on(tiny_folder: Path, tmp_path: Path) -> None:
    provenance = _make(tmp_path / "a", str(tiny_folder), 1, _job("fp32")).provenance
    assert provenance["bits_depend_on"] == ["device", "instructions", "threads", "versions"]
    assert all(provenance[name] for name in provenance["bits_depend_on"])
    assert provenance["instructions"] == instructions(torch.device("cpu"))


def test_on_a_gpu_the_threads_of_the_processor_do_not_count() -> None:
    assert bits_depend_on(torch.device("cuda")) == ("device", "instructions", "versions")
