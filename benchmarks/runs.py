"""A whole discovery by iterative pruning, beside the paper's loop on the same lines, steps, batches and threads.

The embedded model is measured always; another one (a BERT in the hub's layout) when its folder or name stands in the
environment variable LSN_BENCH_MODEL.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from lsn_core.data.opening import open_source
from lsn_core.discovery.config import Recipe, Training
from lsn_core.discovery.runs import Setup, TicketJob, Workshop
from lsn_core.masks.mask import Mask
from lsn_core.models.loading import DEMO_FOLDER

from .machine_limits import matrix_rate
from .plain import PaperLoop
from .table import Row

MODEL_VARIABLE = "LSN_BENCH_MODEL"
_LANGUAGE, _DATA = "en", "cldr"
_AIM = 3.0
_THREADS = 1
"""As a process of a discovery has by default: with several tickets to make, each core has a process of its own."""


@dataclass(frozen=True)
class Run:
    """One run to measure: of which model, of which length, and how often.

    `tight`: also beside a loop that pads every batch to its own longest line alone.
    """

    model: str
    rounds: int
    training: Training
    repeats: int
    tight: bool = False

    @property
    def name(self) -> str:
        return Path(self.model).name


def measure() -> list[Row]:
    """The rows of this benchmark."""
    settings = Training(steps=8, learning_rate=5e-4, score_lines=100)
    wanted = [Run("demo", 9, settings, 2, tight=True)]
    other = os.environ.get(MODEL_VARIABLE)
    if other:
        wanted.append(Run(other, 2, replace(settings, steps=5, score_lines=48), 1))
    else:
        print(
            f"left out: a run of a larger model; its name or folder goes into {MODEL_VARIABLE}",
            file=sys.stderr,
        )
    return [row for run in wanted for row in measure_run(run, _THREADS)]


def measure_run(run: Run, threads: int) -> list[Row]:
    """The rows of one run: beside the loop as scripts pad, and where asked for beside one that pads less."""
    _lines(run)  # what the process keeps of the source once it is read, both find

    def loop(pad_to_greatest: bool, folder: Path) -> object:
        training = run.training
        return PaperLoop(
            str(DEMO_FOLDER) if run.model == "demo" else run.model,
            *_lines(run),
            run.rounds,
            training.steps,
            training.batch_size,
            training.max_length,
            training.learning_rate,
            pad_to_greatest,
        ).run(folder)

    ways: dict[str, Callable[[Path], object]] = {
        "here": partial(_discover, run, threads),
        f"padded to {run.training.max_length} pieces": partial(loop, True),
    }
    if run.tight:
        ways["padded to the longest of a batch"] = partial(loop, False)
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(run.repeats):
        for way, work in ways.items():
            times[way].append(_seconds(work, threads))
    ours = statistics.median(times.pop("here"))
    limit = _limit(run, threads, ours)
    return [_row(run, threads, way, ours, statistics.median(found), limit) for way, found in times.items()]


def _row(run: Run, threads: int, way: str, ours: float, theirs: float, limit: str) -> Row:
    training = run.training
    as_published = "longest" not in way
    return Row(
        f"a whole imp run, {run.name}: {run.rounds} levels of {training.steps} steps of {training.batch_size} lines, "
        f"{threads} thread{'s' if threads > 1 else ''}",
        f"the paper's loop, {way}: 32 bits, all logits, torch.nn.utils.prune, fused AdamW, a mask.pt a level",
        f"{ours:.1f} s",
        f"{theirs:.1f} s",
        theirs / ours,
        f"{_AIM:g} times faster" if as_published else "faster",
        theirs >= (_AIM if as_published else 1.0) * ours,
        limit if as_published else "as above",
    )


def _lines(run: Run) -> tuple[list[str], list[str]]:
    """The lines of the training and the test split, made anew as a discovery makes its own."""
    source = open_source(_DATA)
    limits = {"train": run.training.train_lines, "test": run.training.score_lines}
    corpora = {split: source.corpus(_LANGUAGE, split) for split in limits}
    train, test = (
        [corpora[split][i] for i in range(min(limit, len(corpora[split])))] for split, limit in limits.items()
    )
    return train, test


def _discover(run: Run, threads: int, folder: Path) -> None:
    workshop = _workshop(run, threads, folder)
    workshop.make(_job(run), lambda job, done: None)


def _workshop(run: Run, threads: int, folder: Path) -> Workshop:
    setup = Setup(
        str(folder / "atlas"), run.model, "mlm", _DATA, threads=threads, max_length=run.training.max_length
    )
    return Workshop(setup, [_job(run)])


def _job(run: Run) -> TicketJob:
    return TicketJob(Recipe("mlm", data=_DATA, rounds=run.rounds, training=run.training), _LANGUAGE, 0)


def _seconds(work: Callable[[Path], object], threads: int) -> float:
    """Seconds that one whole run takes, from opening the model on."""
    torch.set_num_threads(threads)
    # A workshop asks torch for sums in a fixed order; the loop beside it does not pay for that.
    torch.use_deterministic_algorithms(False)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        work(Path(folder))
        return time.perf_counter() - started


def _limit(run: Run, threads: int, seconds: float) -> str:
    """What a discovery's time goes into, from the operations of one more step of it and the machine's own rate."""
    with tempfile.TemporaryDirectory() as folder:
        workshop = _workshop(run, threads, Path(folder))
        lengths = [len(feature["ids"]) for feature in workshop.features(_LANGUAGE, "train", run.training)]
        bench, full = workshop.bench, Mask.full(workshop.bench.layout)
        bench.rewind(full)
        with FlopCounterMode(display=False) as counter:
            bench.train(
                workshop.features(_LANGUAGE, "train", run.training),
                full,
                replace(run.training, steps=1),
                0,
                lambda done, total: None,
            )
    steps = (run.rounds + 1) * run.training.steps
    floor = steps * counter.get_total_flops() / matrix_rate(bench.device, torch.bfloat16)
    return (
        f"the matrix products of its {steps} steps would take {floor:.1f} s at the rate of one large bf16 product, "
        f"{floor / seconds:.0%} of the time; the rest is what small matrices cost, scoring, opening and writing. A "
        f"line has {statistics.mean(lengths):.0f} pieces on average"
    )
