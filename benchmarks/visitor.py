"""A visitor without a browser: speaks to the dashboard as a browser does, and looks at what comes back.

A browser opens a websocket, says which address is asked for and what its controls are set to, and gets the page
element by element until the run has ended. Streamlit ships the messages' definitions; nothing here is guessed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect

LARGEST_MESSAGE = 2**28
PATIENCE_S = 120.0


class Failed(Exception):
    """The dashboard answered with an error, or not at all."""


@dataclass
class Answer:
    """One run of a page: seconds to the first element, to the first figure (None without one) and to the end, and
    what was sent."""

    first: float
    figure: float | None
    seconds: float
    received: int
    charts: dict[str, str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)


class Visitor:
    """One visitor's session; use it as a context. `open` and `press` wait until the page has answered."""

    def __init__(self, url: str, theme: str = "light") -> None:
        self._url, self._theme = url, theme
        self._page, self._query = "", ""
        self._pages: dict[str, str] = {}
        self._widgets: dict[str, Element] = {}
        self._states: dict[str, WidgetState] = {}

    def __enter__(self) -> Self:
        address = self._url.replace("http", "ws", 1) + "/_stcore/stream"
        self._socket = connect(
            address,
            subprotocols=["streamlit"],
            origin=self._url,
            max_size=LARGEST_MESSAGE,
            compression=None,
            close_timeout=1,
        )
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._socket.close()

    @property
    def page(self) -> str:
        """The page this visitor is at."""
        return self._page

    def open(self, page: str, **tokens: str) -> Answer:
        """Go to a page by its address."""
        self._page, self._query = page, urlencode(tokens)
        self._widgets, self._states = {}, {}
        return self._run(by_name=True)

    def follow(self, page: str) -> Answer:
        """Go to a page by the menu, which keeps what is chosen in the side bar."""
        self._page = page
        self._states = {}
        return self._run()

    def choose(self, key: str, value: str) -> Answer:
        """Set the select box of this key to the option that reads `value`."""
        return self._set(key, lambda state, _: setattr(state, "string_value", value))

    def segment(self, key: str, name: str) -> Answer:
        """Press the segment of this name in the choice of this key."""

        def change(state: WidgetState, element: Element) -> None:
            state.string_array_value.data.append(name)

        return self._set(key, change)

    def slide(self, key: str, place: int) -> Answer:
        """Move the slider of this key to the option at a place."""

        def change(state: WidgetState, element: Element) -> None:
            state.string_array_value.data.append(element.slider.options[place])

        return self._set(key, change)

    def element(self, key: str) -> Element:
        """The control of this key as it was sent last; Failed when the page has none."""
        for name, element in self._widgets.items():
            if name.endswith(f"-{key}"):
                return element
        raise Failed(f"page {self._page} has no control {key}")

    def _set(self, key: str, change: Callable[[WidgetState, Element], None]) -> Answer:
        element = self.element(key)
        name = getattr(element, element.WhichOneof("type")).id
        state = WidgetState(id=name)
        change(state, element)
        self._states[name] = state
        return self._run()

    def _run(self, by_name: bool = False) -> Answer:
        message = BackMsg()
        state = message.rerun_script
        state.query_string = self._query
        if by_name:
            state.page_name = self._page
        else:
            state.page_script_hash = self._pages[self._page]
        state.widget_states.widgets.extend(self._states.values())
        state.context_info.url = f"{self._url}/{self._page}"
        state.context_info.color_scheme = self._theme
        started = time.perf_counter()
        self._socket.send(message.SerializeToString())
        return self._listen(started)

    def _listen(self, started: float) -> Answer:
        first: float | None = None
        answer = Answer(0.0, None, 0.0, 0)
        while True:
            data = self._socket.recv(timeout=PATIENCE_S)
            seconds = time.perf_counter() - started
            answer.received += len(data)
            message = ForwardMsg.FromString(data)
            kind = message.WhichOneof("type")
            if kind == "new_session":
                self._pages.setdefault(self._page, message.new_session.page_script_hash)
            elif kind == "navigation":
                self._pages |= {
                    page.url_pathname: page.page_script_hash for page in message.navigation.app_pages
                }
            elif kind == "page_info_changed":
                self._query = message.page_info_changed.query_string
            elif kind == "page_not_found":
                raise Failed(f"there is no page {self._page}")
            elif kind == "script_finished":
                if message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                    answer.seconds, answer.first = seconds, first if first is not None else seconds
                    return answer
                if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                    raise Failed(f"page {self._page} did not compile")
            elif kind == "delta":
                first = seconds if first is None else first
                if message.delta.WhichOneof("type") == "new_element":
                    self._take(message.delta.new_element, answer, seconds)

    def _take(self, element: Element, answer: Answer, seconds: float) -> None:
        kind = element.WhichOneof("type")
        content = getattr(element, kind)
        if kind == "exception":
            raise Failed(f"page {self._page}: {content.type} {content.message}")
        if kind == "plotly_chart":
            if content.alt:  # the one without words only makes the browser load the code
                if '"data":[{' not in content.spec:
                    raise Failed(f"page {self._page}: a figure without data")
                answer.charts[content.id] = content.spec
                answer.figure = seconds if answer.figure is None else answer.figure
        elif kind == "markdown":
            answer.texts.append(content.body)
        if name := getattr(content, "id", ""):
            self._widgets[name] = element
