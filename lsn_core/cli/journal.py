"""The file that a discovery keeps up to date for those who look on."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lsn_core.discovery.config import first_round
from lsn_core.errors import LsnError
from lsn_core.jobs import snapshot
from lsn_core.jobs.snapshot import Snapshot, TicketState
from lsn_core.masks.files import reason

if TYPE_CHECKING:
    from lsn_core.discovery.pool import Event
    from lsn_core.discovery.runs import TicketJob
    from lsn_core.masks.ticket import Score, TicketKey

EVERY = 0.5
"""Seconds between two writings, unless a round or a ticket is done."""

_LOSS = "loss"  # what a task scores beside its own metric


class Journal:
    """Says in a file how far a discovery is; how its `with` block ends is what the file says last.

    What the file said of an earlier run of the same command stays in it until it is known better.
    """

    def __init__(self, path: str) -> None:
        """Raises LsnError when the file holds something else."""
        self._path = Path(path)
        now = time.time()
        earlier = snapshot.read_snapshot(self._path) or Snapshot(0, snapshot.RUNNING, now, now)
        self._now = replace(
            earlier, pid=os.getpid(), state=snapshot.RUNNING, begun=now, seconds_left=None, message=""
        )
        self._tickets: dict[TicketJob, TicketState] = {}
        self._scores: Callable[[TicketKey], Sequence[Score] | None]
        self._seen: dict[TicketJob, int] = {}
        self._counted = 0
        self._since: float | None = None
        self._written = 0.0

    def __enter__(self) -> Journal:
        # A server that runs in the background hands on that Ctrl-C is ignored; a run must hear it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._write()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        state, message = _ending(error)
        self._now = replace(self._now, state=state, message=message, seconds_left=None)
        self._write()

    def plan(
        self,
        jobs: Sequence[TicketJob],
        there: Collection[TicketJob],
        scores: Callable[[TicketKey], Sequence[Score] | None],
    ) -> None:
        """Say what is to be made, of which `there` is finished; `scores` gives a ticket's scores so far."""
        known = {(t.task, t.language, t.method, t.seed): t for t in self._now.tickets}
        self._scores = scores
        for job in jobs:
            key = job.key
            new = TicketState(key.task, key.language, key.method, key.seed, first=first_round(key.method))
            if job in there:
                self._tickets[job] = self._with_scores(
                    replace(new, state=snapshot.DONE, there=True, steps=job.steps, rounds=job.rounds),
                    job,
                )
            else:
                before = known.get((key.task, key.language, key.method, key.seed), new)
                # What was done of a round that was not finished is done again.
                kept = before.rounds * job.recipe.training.steps
                self._tickets[job] = replace(
                    before, state=snapshot.WAITING, there=False, steps=kept, first=new.first
                )
        if jobs:
            recipe = jobs[0].recipe
            self._now = replace(self._now, rounds=recipe.rounds, round_steps=recipe.training.steps)
        self._write()

    def on_event(self, event: Event) -> None:
        """Take note of what a worker says."""
        job: TicketJob = event.job
        if job not in self._tickets:
            return
        before, training = self._tickets[job], job.recipe.training
        if event.kind == "step":
            # The last step of a round is followed by scoring: the next one says that the round is kept.
            done, rounds = event.value, max(0, event.value - 1) // training.steps
            now = replace(before, state=snapshot.WORKING, steps=done, rounds=rounds)
        else:
            now = replace(before, state=snapshot.DONE, steps=job.steps, rounds=job.rounds)
        turned = (now.state, now.rounds) != (before.state, before.rounds)
        self._tickets[job] = self._with_scores(now, job) if turned else now
        if event.kind != "cached":
            self._pace(job, now.steps)
        if turned or time.monotonic() - self._written >= EVERY:
            self._write()

    def _with_scores(self, ticket: TicketState, job: TicketJob) -> TicketState:
        """The ticket with its scores of now; as it was where there are none to read at this moment."""
        found = self._scores(job.key)
        if not found:
            return ticket
        metric = next((score.metric for score in found if score.metric != _LOSS), found[0].metric)
        self._now = replace(self._now, metric=metric)
        values = tuple(
            (score.sparsity, score.value)
            for score in found
            if score.metric == metric and math.isfinite(score.value)
        )
        return replace(ticket, scores=values)

    def _pace(self, job: TicketJob, done: int) -> None:
        """Count the steps done since the first news; what a worker found on disk took no time now."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        self._counted += done - self._seen.get(job, done)
        self._seen[job] = done
        elapsed = now - self._since
        if self._counted < self._now.round_steps or not elapsed:
            return  # until a whole round is done, its scoring too, the pace is not known
        left = sum(job.steps - ticket.steps for job, ticket in self._tickets.items())
        self._now = replace(self._now, seconds_left=left * elapsed / self._counted)

    def _write(self) -> None:
        self._written = time.monotonic()
        self._now = replace(self._now, changed=time.time(), tickets=self._listed())
        snapshot.write_snapshot(self._path, self._now)

    def _listed(self) -> tuple[TicketState, ...]:
        return tuple(self._tickets.values()) or self._now.tickets


def _ending(error: BaseException | None) -> tuple[str, str]:
    """The state that a run ends in, and the sentence that says why where it failed."""
    if error is None:
        return snapshot.FINISHED, ""
    if isinstance(error, KeyboardInterrupt):
        return snapshot.STOPPED, ""
    if isinstance(error, LsnError):
        return snapshot.FAILED, str(error)
    if isinstance(error, OSError):
        return snapshot.FAILED, f"{error.filename or 'a file'}: {reason(error)}."
    return snapshot.FAILED, f"An error of this software, {type(error).__name__}; the log says where."
