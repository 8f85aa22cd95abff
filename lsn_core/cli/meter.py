"""Progress of jobs."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Sequence
from typing import Any

from lsn_core.cli.output import say
from lsn_core.durations import duration


class Meter:
    """Progress on a terminal (with the time left), and a line a finished job anywhere.

    `what` names the jobs, of which `there` need no work. Given how many steps a round has, and how many processes work,
    a line after the first round says how long all will take.
    """

    def __init__(
        self,
        jobs: Sequence[Any],
        there: Collection[Any] = (),
        round_steps: int = 0,
        processes: int = 1,
        what: str = "tickets",
    ) -> None:
        from tqdm import tqdm

        self._what = what
        self._there = frozenset(there)
        self._round_steps, self._processes = round_steps, processes
        self._started: dict[Any, tuple[int, float]] = {}
        self._done: dict[Any, int] = {}
        self._made, self._cached, self._jobs = 0, 0, len(jobs)
        self._bar = tqdm(
            total=sum(job.steps for job in jobs if job not in self._there),
            unit="step",
            disable=None if sys.stderr.isatty() else True,
            dynamic_ncols=True,
            smoothing=0.02,
            bar_format="{percentage:3.0f}%|{bar}| {desc} · {rate_fmt} · {remaining} left",
        )

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def on_event(self, event: Any) -> None:
        job = event.job
        done = event.value if event.kind == "step" else job.steps
        first = job not in self._done
        advance = done - self._done.get(job, 0)
        self._done[job] = done
        if event.kind == "cached" or (first and advance > 1):
            # Found on disk, not computed now: it must not count towards the speed.
            self._bar.total -= 0 if job in self._there else advance
            self._bar.refresh()
        else:
            self._bar.update(advance)
        if event.kind == "step":
            self._tell_time(job, done)
            self._bar.set_description_str(job.state(done), refresh=False)
            return
        self._made += event.kind == "made"
        self._cached += event.kind == "cached"
        if event.kind == "made":
            self._bar.clear()
            say(f"  {self._made + self._cached}/{self._jobs} {job}")

    def _tell_time(self, job: Any, done: int) -> None:
        """Say how long all will take, once a process has come from one step to the same of the next round."""
        if not self._round_steps:
            return
        now = time.monotonic()
        start, since = self._started.setdefault(job, (done, now))
        if done < start + self._round_steps:
            return
        rounds = round(self._bar.total / self._round_steps)
        whole = (now - since) * rounds / self._processes
        self._round_steps = 0
        self._bar.clear()
        say(f"first round took {duration(now - since)}; about {duration(whole)} for all {rounds:,} rounds")

    def summary(self) -> str:
        return f"{self._made} {self._what} made, {self._cached} were there already."
