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
_QUOTED = 100  # characters of a token that a note quotes at most
_MARKS = re.compile(r"([\\`*\[\]!$|#])")  # what begins something other than text in Markdown
_SEEN = "address_seen"  # the browser's tokens that the controls were last brought in line with
_MEANT = "address_meant"  # the whole address those tokens stand for
_VALUES = "address_values"  # the controls' values when the last run ended
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
    """

    def __init__(self, session: MutableMapping[Any, Any], arrived: Mapping[str, str]) -> None:
        self._session = session
        self._arrived = dict(arrived)
        self._tokens: dict[str, str] = {}
        self._page: str | None = None
        self._follow = self._is_news()
        if self._follow:
            session[_NOTES] = []
            version = self._arrived.get("v", VERSION)
            if version != VERSION:
                self._tell(
                    f"This link is of version {_cut(version)}, which may mean other things than {VERSION} here."
                )

    def _is_news(self) -> bool:
        """Whether the browser's address is to be followed: a first visit, a way back, an edited address.

        When a control was moved in the meantime the address is only late, and the control counts.
        """
        if _SEEN not in self._session:
            return True
        if self._arrived == self._session[_SEEN]:
            return False
        before = self._session[_VALUES]
        return all(self._session.get(key) == value for key, value in before.items())

    def asked(self, key: str) -> str:
        """The token that the browser's address has for a control and that is to be followed; else empty."""
        return self._arrived.get(key, "") if self._follow else ""

    def choose(self, key: str, options: Mapping[str, T], default: str, what: str) -> T:
        """The value of a control that takes one of `options`, which maps tokens to values.

        `what` names the control in the note about a token that cannot be followed; `default` is a token.
        """
        token = self._arrived.get(key, default) if self._follow else None
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
        if self._follow:
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
        if self._follow and key in self._arrived:
            asked = [token for token in self._arrived[key].split(_JOIN) if token not in ("", NONE)]
            unknown = [token for token in asked if token not in options]
            if unknown:
                self._tell(
                    f"The address asks for {what} “{_cut(', '.join(unknown))}”, not here: they are left out."
                )
            chosen: Sequence[T] = [options[token] for token in asked if token in options]
        else:
            chosen = list(default) if self._follow else self._session.get(key, default)
        tokens = [token for value in chosen for token, option in options.items() if option == value]
        return self._keep(key, [options[token] for token in tokens], _JOIN.join(tokens) or NONE)

    def text(self, key: str, default: str, what: str, longest: int = 80) -> str:
        """The value of a control that takes any line of text, which is for the page to check."""
        if self._follow:
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
        if self._follow:
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

    def enter(self, page: str) -> None:
        """From here on the controls are this page's own."""
        self._page = page
        self._session.setdefault(_PAGES, {})[page] = {}

    def link(self, page: str) -> dict[str, str]:
        """The whole address of a page, this one or another, as it was last seen."""
        return {"v": VERSION, **self._tokens, **self._session.get(_PAGES, {}).get(page, {})}

    @property
    def notes(self) -> list[str]:
        """What the address asked for and could not have, until something is changed."""
        return list(self._session.get(_NOTES, []))

    def remember(self) -> None:
        """Note the controls' values as far as the run came, be it to its end or not.

        Otherwise a link that is followed while the run after a moved control still goes on would be taken for
        a late address, and lost.
        """
        if _VALUES in self._session:
            own = self._session.get(_PAGES, {}).get(self._page, {})
            reached = {key: self._session.get(key) for key in (*self._tokens, *own)}
            self._session[_VALUES] = {**self._session[_VALUES], **reached}

    def settle(self) -> dict[str, str] | None:
        """End the run; the tokens to write into the browser, or None when its address is right as it is.

        An address that was followed is left as it stands, or the browser's way back would end there.
        """
        page = self._page or ""
        meant = self.link(page)
        keys = meant.keys() - {"v"}
        self._session[_VALUES] = {key: self._session.get(key) for key in keys}
        if self._follow:
            self._session[_SEEN], self._session[_MEANT] = self._arrived, meant
            return None
        if meant == self._session[_MEANT]:
            return None
        self._session[_SEEN] = self._session[_MEANT] = meant
        self._session[_NOTES] = []
        return meant

    def _keep(self, key: str, value: T, token: str) -> T:
        if key not in self._session or self._session[key] != value:
            self._session[key] = value
        own = self._tokens if self._page is None else self._session[_PAGES][self._page]
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
