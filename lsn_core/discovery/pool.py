"""Working through jobs with one process or several on this machine."""

from __future__ import annotations

import multiprocessing as mp
import os
import queue
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from lsn_core.errors import LsnError

KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**34)}
"""The C library reads these when a process starts. Gradients are freed and allocated anew in every step;
with memory kept in the process, a step of a 21 M encoder takes a fifth less time."""


_PATIENCE = 30.0
"""Seconds that all workers together have to stop by themselves; one that is still starting up may not hear."""


class Job(Protocol):
    """The unit of work: hashable, and plain enough to be sent to another process. `str` names it."""

    @property
    def steps(self) -> int:
        """Training steps of the whole job."""

    def state(self, done: int) -> str:
        """Say how far the job is after so many steps."""


class Maker(Protocol):
    """Does jobs, one after the other."""

    def make(self, job: Any, on_progress: Callable[[Any, int], None]) -> bool:
        """Do a job unless it was done; return whether anything was computed.

        `on_progress` is called with the job in work and how many steps of it are done; it may raise to stop.
        """


class Opener(Protocol):
    """What a process needs to set up its maker; plain values, so that it can be sent to another."""

    def open(self) -> Maker:
        """Return a maker of its own."""


@dataclass(frozen=True)
class Event:
    """News of one job: `kind` is 'step' (value: steps done), 'made', 'cached' or 'error' (value: message)."""

    kind: str
    job: Any
    value: Any = None


class Stopped(Exception):
    """The person asked to stop; what is finished is kept."""


def run_jobs(
    maker: Maker,
    setups: Sequence[Opener],
    jobs: Sequence[Job],
    on_event: Callable[[Event], None],
) -> None:
    """Do every one of `jobs` that is not done yet, reporting each step.

    There is a process for each of `setups`; where that is one, or there is one job, `maker` does them here.
    Raises LsnError with the first error of any process, and KeyboardInterrupt when stopped; what
    was finished by then is kept, and the same call goes on from there.
    """
    if len(setups) == 1 or len(jobs) == 1:
        for job in jobs:
            make_job(maker, job, on_event)
        return
    context = mp.get_context("spawn")
    waiting: Any = context.Queue()
    news: Any = context.Queue()
    stop = context.Event()
    for job in jobs:
        waiting.put(job)
    for _ in setups:
        waiting.put(None)
    workers = [
        context.Process(target=_work, args=(setup, waiting, news, stop, os.getpid()), daemon=True)
        for setup in setups
    ]
    # Ctrl-C reaches every process of the terminal. Workers inherit that they are to ignore it, from their
    # first instruction on: this process hears it, and sets `stop`.
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    before = dict(os.environ)
    os.environ.update({name: value for name, value in KEEP_MEMORY.items() if name not in before})
    try:
        for worker in workers:
            worker.start()
    finally:
        signal.signal(signal.SIGINT, heard)
        for name in KEEP_MEMORY.keys() - before.keys():
            del os.environ[name]
    try:
        _relay(news, workers, len(jobs), on_event)
    finally:
        stop.set()
        until = time.monotonic() + _PATIENCE
        for worker in workers:
            worker.join(timeout=max(0.0, until - time.monotonic()))
            if worker.is_alive():
                worker.kill()


def _relay(news: Any, workers: Sequence[Any], expected: int, on_event: Callable[[Event], None]) -> None:
    finished = 0
    while finished < expected:
        try:
            event = news.get(timeout=1.0)
        except queue.Empty:
            dead = [w for w in workers if w.exitcode not in (None, 0)]
            if dead:
                raise LsnError(
                    f"A worker process died (exit code {dead[0].exitcode}), perhaps for want of memory; give "
                    "fewer --jobs and run the same command again: it goes on where it was."
                ) from None
            continue
        if event.kind == "error":
            raise LsnError(event.value)
        finished += event.kind in ("made", "cached")
        on_event(event)


def _work(setup: Opener, waiting: Any, news: Any, stop: Any, parent: int) -> None:
    def on_event(event: Event) -> None:
        if stop.is_set() or os.getppid() != parent:
            raise Stopped
        news.put(event)

    try:
        maker = setup.open()
        while (job := waiting.get()) is not None:
            make_job(maker, job, on_event)
    except Stopped:
        news.cancel_join_thread()
    except LsnError as error:
        news.put(Event("error", None, str(error)))
    except (OSError, torch.OutOfMemoryError) as error:
        news.put(Event("error", None, told(error)))


def told(error: BaseException) -> str:
    """Say in one sentence what the machine refused: memory, disk space, a file."""
    what = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
    return f"The machine refused: {what}; mend that and run the same command again: it goes on where it was."


def make_job(maker: Maker, job: Job, on_event: Callable[[Event], None]) -> None:
    """Do one job here, reporting each step and the end."""
    made = maker.make(job, lambda job, done: on_event(Event("step", job, done)))
    on_event(Event("made" if made else "cached", job))
