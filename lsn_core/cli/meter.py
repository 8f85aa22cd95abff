"""Progress of jobs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from lsn_core.cli.output import say


class Meter:
    """Progress on a terminal (with the time left), and a line a finished job anywhere."""

    def __init__(self, jobs: Sequence[Any], what: str = "tickets") -> None:
        from tqdm import tqdm

        self._what = what
        self._done: dict[Any, int] = {}
        self._made, self._cached, self._jobs = 0, 0, len(jobs)
        self._bar = tqdm(
            total=sum(job.steps for job in jobs),
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
            self._bar.total -= advance
            self._bar.refresh()
        else:
            self._bar.update(advance)
        if event.kind == "step":
            self._bar.set_description_str(job.state(done), refresh=False)
            return
        self._made += event.kind == "made"
        self._cached += event.kind == "cached"
        if event.kind == "made":
            self._bar.clear()
            say(f"  {self._made + self._cached}/{self._jobs} {job}")

    def summary(self) -> str:
        return f"{self._made} {self._what} made, {self._cached} were there already."
