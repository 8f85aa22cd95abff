"""Twenty visitors at once: how long each waits for a page to be there whole, and whether anything goes wrong.

Each visitor has a session of its own over a real websocket, as a browser has, but draws nothing: on a machine of two
cores twenty browsers would measure themselves. Every visitor acts every three seconds, at times spread evenly; a time
counts from when the action was due, so that an answer that is late makes the next one late too. Beside it, the same
visitors at a page of one choice and one heatmap.
"""

from __future__ import annotations

import os
import random
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from benchmarks.bare import CHOICES, write_bare
from benchmarks.table import Row
from benchmarks.visitor import Answer, Failed, Visitor
from lsn_core.viz.labels import unbroken
from tests.browser.driver import ROOT, serve

VISITORS = 20
EVERY_S = 3.0
SECONDS = 45.0
CORES = 2
AIM_S = 1.5
PAGES = ("overlap", "tree", "transfer", "core")
MEASURES = ("Neutrality", "Jaccard − pretrained alone", "Jaccard − chance", "Jaccard")
SAY_SPARSITY = ("overlap", "core")
"""The pages whose sentence says how many weights are removed."""
PARTS = {"overlap": ("Whole model", "Layers", "Components"), "core": ("Whole model", "Layers", "Components")}

Act = Callable[[Visitor, random.Random], None]


@dataclass
class Log:
    """Seconds that each action took from when it was due, and what went wrong, over all visitors."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Load:
    """What a server did under all visitors: the log, its processor time and the wall time, in seconds."""

    log: Log
    busy: float
    wall: float

    @property
    def p95(self) -> float:
        """Seconds within which 95 of 100 actions were answered."""
        return float(np.percentile(self.log.seconds, 95))

    @property
    def median(self) -> float:
        """Seconds within which half of the actions were answered."""
        return float(np.median(self.log.seconds))


def measure() -> list[Row]:
    """Twenty visitors at the dashboard, and at a page of one heatmap."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ours = load("app.py", folder, lambda visitor: visitor.open("overlap", atlas="e5-small"), act, warm)
        bare = load(
            write_bare(folder, 11), folder, lambda visitor: visitor.open(""), act_bare, lambda _: None
        )
    for error in (*ours.log.errors, *bare.log.errors):
        print(error)
    number, errors = len(ours.log.seconds), len(ours.log.errors)
    each = ours.busy / max(1, number)
    return [
        Row(
            work=f"dashboard: {VISITORS} visitors at once, each acting every {EVERY_S:g} s, on {CORES} cores (e5-small, "
            f"{number} actions)",
            against="the same at a Streamlit page of one heatmap",
            ours=f"95th percentile {ours.p95:.2f} s, median {ours.median:.2f} s, {errors} errors",
            theirs=f"95th percentile {bare.p95:.2f} s, median {bare.median:.2f} s, {len(bare.log.errors)} errors",
            ratio=bare.p95 / ours.p95,
            aim=f"95th percentile {AIM_S:g} s, no error",
            reached=ours.p95 < AIM_S and not errors,
            limit=f"Python runs one visitor's page at a time: {1000 * each:.0f} ms of processor time an action, "
            f"{ours.busy / ours.wall:.0%} of one core in use, so that {1 / each:.0f} actions a second are the most; "
            f"{VISITORS / EVERY_S:.1f} were asked for",
        )
    ]


def load(
    script: str,
    scratch: Path,
    enter: Callable[[Visitor], Answer],
    action: Act,
    prepare: Callable[[Visitor], None],
) -> Load:
    """Put all visitors at a server of its own. `prepare` is done once, by one visitor before all others."""
    log = Log()
    lock = threading.Lock()
    with serve(ROOT / "masks", scratch, script) as server:
        process = psutil.Process(server.process.pid)
        if hasattr(os, "sched_setaffinity"):
            process.cpu_affinity(sorted(os.sched_getaffinity(0))[:CORES])
        with Visitor(server.url) as first:
            enter(first)
            prepare(first)
        ready = threading.Barrier(VISITORS + 1)

        def visit(number: int) -> None:
            chance = random.Random(number)
            try:
                with Visitor(server.url) as visitor:
                    enter(visitor)
                    ready.wait()
                    started = time.perf_counter()
                    due = started + EVERY_S * number / VISITORS
                    while due < started + SECONDS:
                        time.sleep(max(0.0, due - time.perf_counter()))
                        action(visitor, chance)
                        with lock:
                            log.seconds.append(time.perf_counter() - due)
                        due += EVERY_S
            except Exception as error:  # any failure is one to report, whatever it is
                with lock:
                    log.errors.append(f"visitor {number}: {type(error).__name__}: {error}")
                ready.abort()

        threads = [threading.Thread(target=visit, args=(number,)) for number in range(VISITORS)]
        for thread in threads:
            thread.start()
        try:
            ready.wait()
        except threading.BrokenBarrierError as error:
            raise Failed("; ".join(log.errors)) from error
        before, started = sum(process.cpu_times()[:2]), time.perf_counter()
        for thread in threads:
            thread.join()
        busy = sum(process.cpu_times()[:2]) - before
        return Load(log, busy, time.perf_counter() - started)


def warm(visitor: Visitor) -> None:
    """Every page once, so that no visitor waits for a module to load."""
    for page in PAGES:
        check(visitor.follow(page), page)
    visitor.follow("overlap")


def act(visitor: Visitor, chance: random.Random) -> None:
    """One action: another page, sparsity, measure or part of the model; Failed without a whole answer."""
    kind = chance.choice(("page", "sparsity", "sparsity", "measure", "measure", "part"))
    page = visitor.page
    if kind == "sparsity":
        place = chance.randrange(9)
        answer = visitor.slide("sparsity", place)
        told = unbroken(f"{10 * (place + 1)} %")
        if page in SAY_SPARSITY and not any(told in text for text in answer.texts):
            raise Failed(f"page {page} does not say that {told} of the weights are removed")
    elif kind == "measure" and page in ("overlap", "tree"):
        answer = visitor.choose("measure", chance.choice(MEASURES))
    elif kind == "part" and page in PARTS:
        answer = visitor.segment("by", chance.choice(PARTS[page]))
    else:
        page = chance.choice(PAGES)
        answer = visitor.follow(page)
    check(answer, page)


def act_bare(visitor: Visitor, chance: random.Random) -> None:
    """The one choice of the page of one heatmap."""
    choice = chance.choice(CHOICES)
    answer = visitor.choose("measure", choice)
    check(answer, "of one heatmap")
    if f"chosen: {choice}" not in answer.texts:
        raise Failed(f"the page of one heatmap does not say that {choice} is chosen")


def check(answer: Answer, page: str) -> None:
    """Failed when there is no figure in the answer; the transfer page has none at sparsities not measured."""
    if not answer.charts and page != "transfer":
        raise Failed(f"page {page} came without a figure")
