"""The figures that a visitor pinned for a report: this visitor's alone.

A reload of the page is a new session for Streamlit, so the pins lie on a shelf of the server under a token that
nobody can guess. The visitor's browser keeps the token in its own storage and hands it in when a session
starts; it is never in an address, so that no link gives it away.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

import streamlit as st

from lsn_core.viz.report import Exhibit

MOST_PINS = 24
MOST_BYTES = 16 * 2**20  # of one visitor
SHELF_BYTES = 256 * 2**20  # of all visitors
SHELF_BOARDS = 1000
IDLE_SECONDS = 12 * 3600
CAPTION_LENGTH, TITLE_LENGTH, INTRODUCTION_LENGTH = 2000, 200, 5000

_BOARD = "pins"
_TOKEN = "pins_token"
_KEEPER = "pins_keeper"
_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{43}")

# Keeps the token in the browser. A token that is there already counts: another tab may have pinned before.
_KEEP_TOKEN = st.components.v2.component(
    "lsn.keep_token",
    js="""
        export default function ({ data, setStateValue }) {
            let kept = null;
            try {
                kept = localStorage.getItem("lsn.pins");
                if (!/^[A-Za-z0-9_-]{43}$/.test(kept ?? "")) {
                    kept = null;
                    if (data.token) localStorage.setItem("lsn.pins", data.token);
                }
            } catch {
                return;  // a browser that keeps nothing: the pins last as long as the session
            }
            if (kept && kept !== data.token) setStateValue("token", kept);
        }
    """,
)


@dataclass(frozen=True, eq=False)
class Pin:
    """A pinned figure. `chart` is the key of its place on its page; `id` a hash of all that is shown."""

    id: str
    chart: str
    exhibit: Exhibit

    @classmethod
    def of(cls, chart: str, exhibit: Exhibit) -> Pin:
        """The pin of a figure."""
        shown = (chart, exhibit.figure, exhibit.about.name, exhibit.about.alt, exhibit.about.how)
        return cls(hashlib.sha256("\n".join(shown).encode()).hexdigest()[:16], chart, exhibit)

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return len(self.exhibit.figure) + int(self.exhibit.about.table.memory_usage(deep=True).sum())


class Board:
    """One visitor's pins in their order, and the report's title and introduction. Tabs may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pins: tuple[Pin, ...] = ()
        self.title = ""
        self.introduction = ""

    @property
    def pins(self) -> tuple[Pin, ...]:
        """The pins in order."""
        return self._pins

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return sum(pin.size for pin in self._pins)

    def add(self, pin: Pin) -> str | None:
        """Put a pin last; a sentence on why not, where there is no room. One that is there already stays."""
        with self._lock:
            if any(other.id == pin.id for other in self._pins):
                return None
            if len(self._pins) >= MOST_PINS:
                return (
                    f"Your report holds {MOST_PINS} figures, which is as many as it can. Take one out on the Report "
                    "page, then pin this one."
                )
            if self.size + pin.size > MOST_BYTES:
                return (
                    f"With this figure your report would hold more than {MOST_BYTES // 2**20} MB, which is as much as "
                    "it can. Take one out on the Report page, then pin this one."
                )
            self._pins = (*self._pins, pin)
            return None

    def remove(self, name: str) -> None:
        """Take out the pin with this id; nothing happens when it is not there."""
        with self._lock:
            self._pins = tuple(pin for pin in self._pins if pin.id != name)

    def move(self, name: str, step: int) -> None:
        """Move a pin up (-1) or down (+1) by one place, not beyond the ends."""
        with self._lock:
            order = list(self._pins)
            here = next((place for place, pin in enumerate(order) if pin.id == name), None)
            if here is not None and 0 <= here + step < len(order):
                order[here], order[here + step] = order[here + step], order[here]
            self._pins = tuple(order)

    def caption(self, name: str, text: str) -> None:
        """Give a pin its caption."""
        with self._lock:
            self._pins = tuple(
                replace(pin, exhibit=replace(pin.exhibit, caption=text)) if pin.id == name else pin
                for pin in self._pins
            )

    def retitle(self, text: str) -> None:
        """Give the report its title."""
        self.title = text

    def introduce(self, text: str) -> None:
        """Give the report its introduction."""
        self.introduction = text

    def take_over(self, other: Board) -> None:
        """Add what another board of the same visitor holds, as far as there is room."""
        for pin in other.pins:
            self.add(pin)
        self.title = self.title or other.title
        self.introduction = self.introduction or other.introduction


class Shelf:
    """The boards of all visitors, each under its token; those not asked for in a long time make room."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._boards: OrderedDict[str, tuple[Board, float]] = OrderedDict()

    def get(self, token: str) -> Board | None:
        """The board under this token, if there is one."""
        with self._lock:
            self._clear()
            found = self._boards.get(token)
            return None if found is None else found[0]

    def put(self, token: str, board: Board) -> None:
        """Lay a board under its token, as the one asked for last."""
        with self._lock:
            self._boards[token] = (board, self._clock())
            self._boards.move_to_end(token)
            self._clear()

    def _clear(self) -> None:
        while self._boards:
            (_, since) = next(iter(self._boards.values()))
            crowded = len(self._boards) > SHELF_BOARDS or (
                len(self._boards) > 1 and sum(board.size for board, _ in self._boards.values()) > SHELF_BYTES
            )
            if not crowded and self._clock() - since < IDLE_SECONDS:
                return
            self._boards.popitem(last=False)


@st.cache_resource(show_spinner=False)
def _shelf() -> Shelf:
    return Shelf()


def board() -> Board:
    """This visitor's board."""
    found: Board | None = st.session_state.get(_BOARD)
    if found is None:
        found = st.session_state[_BOARD] = Board()
    return found


def add(pin: Pin) -> str | None:
    """Pin a figure; a sentence on why not, where there is no room."""
    refused = board().add(pin)
    if refused is None and _TOKEN not in st.session_state:
        st.session_state[_TOKEN] = secrets.token_urlsafe(32)
    return refused


def keep() -> None:
    """Called at the end of every run: the pins stay on the shelf, and their token in the browser."""
    token = st.session_state.get(_TOKEN)
    if token is not None:
        _shelf().put(token, board())
    with st.container(key="keeper"):
        _KEEP_TOKEN(data={"token": token}, key=_KEEPER, on_token_change=_adopt)


def _adopt() -> None:
    """Take the board of the token that the browser kept, with what this session has pinned so far."""
    token = st.session_state[_KEEPER]["token"]
    if not isinstance(token, str) or not _WELL_FORMED.fullmatch(token):
        return
    found = _shelf().get(token)
    mine = board()
    if found is not None and found is not mine:
        found.take_over(mine)
        st.session_state[_BOARD] = found
    st.session_state[_TOKEN] = token
