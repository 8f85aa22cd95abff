"""The address says what is on screen: every control is in it under a short, stable name.

Streamlit can bind a control to the address itself, but it then writes the words on the screen, so that a
link dies when a label is reworded, and it drops what it cannot follow without telling. Here an address holds
tokens (`measure=neutrality&languages=en.sw&sparsity=50`), all of them once anything was changed, and what
cannot be followed is told. The controls' values live in the session under the same names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, TypeVar

from lsn_core.errors import brief

VERSION = "1"  # raise it when a token changes its meaning, and translate the older ones where they arrive
ALL = "all"
NONE = "none"
_JOIN = "."
_REMEMBERED = 8  # addresses that the browser may still show
_QUOTED = 100  # characters of a token that a note quotes at most
_MARKS = re.compile(r"([\\`*\[\]!$|#])")  # what begins something other than text in Markdown
_SEEN = "address_seen"  # the browser's tokens that the controls were last brought in line with
_MEANT = "address_meant"  # the whole address those tokens stand for
_VALUES = "address_values"  # the controls' values when the last run ended
_AT = "address_at"  # the page that the last run to end was of
_PASSED = "address_passed"  # what the browser may show till it shows what was written last: (page, tokens)
_NOTES = "address_notes"
_PAGES = "address_pages"  # page name -> the tokens of its own controls

T = TypeVar("T")


class Address:
    """One run's dealings with the address.

    Make it at the start of a run, ask it for the value of every control in the order of the controls, and
    take from `settle` what to write into the browser.

    Args:
        session: the session's state; controls' values are read from it and set in it.
        arrived: the tokens of the browser's address.
        page: the name of the page that the address is of.
    """

    def __init__(self, session: MutableMapping[Any, Any], arrived: Mapping[str, str], page: str) -> None:
        self._session = session
        self._arrived = dict(arrived)
        self._page = page
        self._entered = False
        self._tokens: dict[str, str] = {}
        first = _SEEN not in session
        changed = not first and self._arrived != session[_SEEN]
        moved = set() if first else self._moved()
        passed = session.setdefault(_PASSED, [])
        same_page = not first and page == session[_AT]
        if same_page and not changed:
            passed.clear()
        # What a page wrote can reach the browser when it has gone on to another one, and then stands there.
        self._astray = (
            same_page and changed and any(at != page and found == self._arrived for at, found in passed)
        )
        # When a control of the page was moved since, an address that the browser showed before is only late.
        late = same_page and changed and bool(moved) and (page, self._arrived) in passed
        self._follow = first or not same_page or (changed and not late and not self._astray)
        # A link that was drawn before a control was moved still says what the address said then.
        meant = session.get(_MEANT, {})
        self._later = {key for key in moved if self._arrived.get(key) == meant.get(key)}
        if self._follow:
            session[_NOTES] = []
            version = self._arrived.get("v", VERSION)
            if version != VERSION:
                self._tell(
                    f"This link is of version {_cut(version)}, which may mean other things than {VERSION} here."
                )

    def _moved(self) -> set[str]:
        """The controls that have other values than when the last run ended."""
        return {key for key, value in self._session[_VALUES].items() if self._session.get(key) != value}

    def _asks(self, key: str) -> bool:
        """Whether a control follows the browser's address in this run, and not the session."""
        return self._follow and key not in self._later

    def asked(self, key: str) -> str:
        """The token that the browser's address has for a control and that is to be followed; else empty."""
        return self._arrived.get(key, "") if self._asks(key) else ""

    def choose(self, key: str, options: Mapping[str, T], default: str, what: str) -> T:
        """The value of a control that takes one of `options`, which maps tokens to values.

        `what` names the control in the note about a token that cannot be followed; `default` is a token.
        """
        token = self._arrived.get(key, default) if self._asks(key) else None
        if token is not None and token not in options:
            self._tell(
                f"The address asks for {what} “{_cut(token)}”, which is not here: “{default}” is shown instead."
            )
            token = default
        if token is None:
            value = self._session.get(key)
            token = next((name for name, option in options.items() if option == value), default)
        return self._keep(key, options[token], token)

    def choose_many(self, key: str, options: Mapping[str, T], what: str) -> list[T]:
        """The values of a control that takes some of `options`; an empty list stands for all of them."""
        if self._asks(key):
            named = self._arrived.get(key, ALL)
            asked = [] if named == ALL else named.split(_JOIN)
            tokens = [token for token in asked if token in options]
            unknown = [token for token in asked if token not in options]
            if unknown:
                self._tell(
                    f"The address asks for {what} “{_cut(', '.join(unknown))}”, not here: the others are shown."
                )
        else:
            chosen = self._session.get(key) or []
            tokens = [token for value in chosen for token, option in options.items() if option == value]
        return self._keep(key, [options[token] for token in tokens], _JOIN.join(tokens) or ALL)

    def some(self, key: str, options: Mapping[str, T], default: Sequence[T], what: str) -> list[T]:
        """The values of a control that takes some of `options`, where none of them is none."""
        if self._asks(key) and key in self._arrived:
            asked = [token for token in self._arrived[key].split(_JOIN) if token not in ("", NONE)]
            unknown = [token for token in asked if token not in options]
            if unknown:
                self._tell(
                    f"The address asks for {what} “{_cut(', '.join(unknown))}”, not here: they are left out."
                )
            chosen: Sequence[T] = [options[token] for token in asked if token in options]
        else:
            chosen = list(default) if self._asks(key) else self._session.get(key, default)
        tokens = [token for value in chosen for token, option in options.items() if option == value]
        return self._keep(key, [options[token] for token in tokens], _JOIN.join(tokens) or NONE)

    def text(self, key: str, default: str, what: str, longest: int = 80) -> str:
        """The value of a control that takes any line of text, which is for the page to check."""
        if self._asks(key):
            token = self._arrived.get(key, default)
            if len(token) > longest or not token.isprintable():
                self._tell(
                    f"The address asks for {what} that is no line of text: “{default}” is shown instead."
                )
                token = default
        else:
            token = str(self._session.get(key) or "") if key in self._session else default
        return self._keep(key, token, token)

    def number(self, key: str, default: int, low: int, high: int, what: str) -> int:
        """The value of a control that takes a whole number from `low` to `high`."""
        value = self._session.get(key, default)
        if self._asks(key):
            token = self._arrived.get(key, str(default))
            value = int(token) if token.isascii() and token.isdigit() and len(token) < 10 else low - 1
            if not low <= value <= high:
                self._tell(
                    f"The address asks for {what} “{_cut(token)}”, not from {low} to {high}: {default} is shown."
                )
                value = default
        if not isinstance(value, int) or not low <= value <= high:
            value = default
        return self._keep(key, value, str(value))

    def enter(self) -> None:
        """From here on the controls are the page's own."""
        self._entered = True
        self._session.setdefault(_PAGES, {})[self._page] = {}

    def link(self, page: str) -> dict[str, str]:
        """The whole address of a page, this one or another, as it was last seen."""
        return {"v": VERSION, **self._tokens, **self._session.get(_PAGES, {}).get(page, {})}

    @property
    def notes(self) -> list[str]:
        """What the address asked for and could not have, until something is changed."""
        return list(self._session.get(_NOTES, []))

    def settle(self) -> dict[str, str] | None:
        """End the run; the tokens to write into the browser, or None when its address is right as it is.

        An address that was followed whole is left as it stands, or the browser's way back would end there.
        """
        session = self._session
        meant = self.link(self._page if self._entered else "")
        session[_VALUES] = {key: session.get(key) for key in meant.keys() - {"v"}}
        before, at = session.get(_SEEN), session.get(_AT)
        session[_AT] = self._page
        write = self._astray or (bool(self._later) if self._follow else meant != session[_MEANT])
        if before is not None and (write or at != self._page):
            session[_PASSED] = [*session[_PASSED], (at, before)][-_REMEMBERED:]
        if write:
            session[_SEEN] = session[_MEANT] = meant
            if not self._astray:
                session[_NOTES] = []
            return meant
        if self._follow:
            session[_SEEN], session[_MEANT] = self._arrived, meant
        return None

    def _keep(self, key: str, value: T, token: str) -> T:
        if key not in self._session or self._session[key] != value:
            self._session[key] = value
        own = self._tokens if not self._entered else self._session[_PAGES][self._page]
        own[key] = token
        return value

    def _tell(self, note: str) -> None:
        self._session[_NOTES] = [*self._session.get(_NOTES, []), _shown(note)]


def _cut(token: str) -> str:
    """A token as it can be quoted: in one line, not too long."""
    return brief(token)[:_QUOTED]


def _shown(note: str) -> str:
    """A note in which nothing from an address is taken for Markdown: no link, no image."""
    return _MARKS.sub(r"\\\1", note)
