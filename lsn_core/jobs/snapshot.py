"""How far a run is, as a small file that the run keeps up to date and anyone may read at any moment."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lsn_core.errors import CorruptFile, brief
from lsn_core.masks.checks import is_real, is_whole
from lsn_core.masks.container import parse_json
from lsn_core.masks.files import atomic_write_bytes, read_bytes

FORMAT_VERSION = 1
RUNNING, FINISHED, STOPPED, FAILED = "running", "finished", "stopped", "failed"
WAITING, WORKING, DONE = "waiting", "working", "done"

_STATES = (RUNNING, FINISHED, STOPPED, FAILED)
_TICKET_STATES = (WAITING, WORKING, DONE)
_MAX_BYTES = 8 * 2**20
LATEST = 2.5e11
"""No time in a record is later: the year 9892."""
_LARGEST = 10**18
_WORD = re.compile(r"[A-Za-z0-9_-]{0,64}")


@dataclass(frozen=True)
class TicketState:
    """One ticket of a run: `steps` training steps of it are done, and `rounds` rounds are finished and kept.

    `scores` are (sparsity, value) so far. `there` says that it was finished before the run began. `first` is the
    round that it begins with: 0 trains the dense model, 1 the first level.
    """

    task: str
    language: str
    method: str
    seed: int
    state: str = WAITING
    there: bool = False
    steps: int = 0
    rounds: int = 0
    scores: tuple[tuple[float, float], ...] = ()
    first: int = 0

    def __post_init__(self) -> None:
        words = (self.task, self.language, self.method)
        _require(all(isinstance(word, str) and _WORD.fullmatch(word) for word in words), "a name")
        _require(self.state in _TICKET_STATES and isinstance(self.there, bool), "a ticket's state")
        _require(
            all(_is_count(number) for number in (self.seed, self.steps, self.rounds, self.first)),
            "a ticket's numbers",
        )
        _require(all(is_real(x) and is_real(y) for x, y in self.scores), "a score")

    @property
    def reached(self) -> int:
        """The round that comes next; the dense model's is 0, and `rounds` of the run + 1 when all are done."""
        return self.first + self.rounds


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment.

    `pid` is the process that wrote it. The last round of a ticket has the number `rounds` (0 is the dense model's,
    the k-th that of the k-th level), each is of `round_steps` steps. `metric` names the scores. Times are seconds since 1970; `seconds_left`
    is None while it cannot be told. `message` is the sentence that a failed run ended with.
    """

    pid: int
    state: str
    begun: float
    changed: float
    rounds: int = 0
    round_steps: int = 0
    metric: str = ""
    seconds_left: float | None = None
    message: str = ""
    tickets: tuple[TicketState, ...] = field(default=())

    def __post_init__(self) -> None:
        _require(self.state in _STATES, "the state")
        _require(all(_is_count(n) for n in (self.pid, self.rounds, self.round_steps)), "a number")
        _require(_is_time(self.begun) and _is_time(self.changed), "a time")
        _require(self.seconds_left is None or _is_time(self.seconds_left), "the time left")
        _require(isinstance(self.metric, str) and isinstance(self.message, str), "a text")
        _require(all(ticket.first <= self.rounds + 1 for ticket in self.tickets), "a ticket's first round")

    @property
    def rounds_done(self) -> int:
        """Rounds done, over all tickets."""
        return sum(ticket.rounds for ticket in self.tickets)

    @property
    def rounds_in_all(self) -> int:
        """Rounds that all tickets take."""
        return sum(self.rounds + 1 - ticket.first for ticket in self.tickets)

    @property
    def tickets_done(self) -> int:
        """Tickets that are finished."""
        return sum(ticket.state == DONE for ticket in self.tickets)

    @property
    def share(self) -> float:
        """How much of all training steps is done, 0..1."""
        whole = self.rounds_in_all * self.round_steps
        return min(1.0, sum(ticket.steps for ticket in self.tickets) / whole) if whole else 0.0


def write_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Put the snapshot in place of the one before; LsnError when the folder cannot be written to."""
    data = {"format_version": FORMAT_VERSION} | asdict(snapshot)
    atomic_write_bytes(path, json.dumps(data, allow_nan=False).encode())


def read_snapshot(path: Path) -> Snapshot | None:
    """The snapshot in a file, None where there is no file; CorruptFile when it is not one."""
    if not path.exists():
        return None
    try:
        data: Any = parse_json(read_bytes(path, _MAX_BYTES))
        if data.pop("format_version") != FORMAT_VERSION:
            raise ValueError("it is of another version")
        tickets = tuple(
            TicketState(**ticket | {"scores": tuple((x, y) for x, y in ticket["scores"])})
            for ticket in data.pop("tickets")
        )
        return Snapshot(**data, tickets=tickets)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptFile(f"{path} is damaged: {brief(error)}") from error


def _is_count(value: object) -> bool:
    return isinstance(value, int) and is_whole(value) and value <= _LARGEST


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and is_real(value) and 0 <= value <= LATEST


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(f"{what} is not what is written there")
