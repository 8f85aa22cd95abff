"""What the Report page shows: the visitor's pins, to be put in order, captioned and saved."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from lsn_core.ui import shell, states
from lsn_core.ui.figures import chart
from lsn_core.ui.pins import (
    CAPTION_LENGTH,
    INTRODUCTION_LENGTH,
    MOST_PINS,
    TITLE_LENGTH,
    Board,
    Pin,
)
from lsn_core.viz.drawing import Drawn
from lsn_core.viz.report import UNTITLED, report_html
from lsn_core.viz.theme import DARK

_CODE_MB = 5  # about: the code that draws the figures, which every report carries
_TYPED_LAST = 0.25  # seconds
_KEPT = (
    "Pins are yours alone. This browser finds them again when the page is reloaded or opened in another tab, until "
    "the server is started anew or you have been away for 12 hours. Save the report to keep it for good."
)
_SOME_DARK = (
    " Figures keep the colours they were pinned in, and some here are dark: for paper, switch to the light theme and "
    "pin them again."
)


def empty(frame: shell.Frame) -> None:
    """Nothing pinned yet: what to do."""
    states.show(
        states.Trouble(
            "Nothing pinned yet",
            "Under every figure stands a button **Pin**. It keeps the figure as it is then, with its numbers and "
            "where they come from. Here the pinned figures are put in order, given captions and saved as one file "
            f"that opens in any browser, without a network. Up to {MOST_PINS} figures, from any pages and atlases.",
        )
    )
    st.page_link(
        "pages/overlap.py",
        label="Pin a figure of the Overlap page",
        icon=":material/arrow_forward:",
        query_params=frame.address.link("overlap"),
    )


def head(board: Board) -> None:
    """What the report holds, its title and introduction, and the button that saves it."""
    st.markdown(summary(board.pins))
    _text_control(st.text_input, "Title", "report_title", board.title, board.retitle, TITLE_LENGTH, UNTITLED)
    _text_control(
        st.text_area,
        "Introduction",
        "report_introduction",
        board.introduction,
        board.introduce,
        INTRODUCTION_LENGTH,
        "What the reader should know first; may be empty",
    )
    st.download_button(
        "Save the report",
        lambda: _file(board),
        "report.html",
        "text/html",
        on_click="ignore",
        key="report_save",
        type="primary",
        help="One HTML file: it opens without a network, and can be printed",
    )
    some_dark = any(pin.exhibit.colours[0] == DARK.background for pin in board.pins)
    st.caption(_KEPT + (_SOME_DARK if some_dark else ""))


def _file(board: Board) -> bytes:
    """The report as it is now, after what was typed last has come in.

    A field sends its text when it is left, so the press on Save that leaves it comes along with the text. The
    text has its own way in, and a moment is enough for it.
    """
    time.sleep(_TYPED_LAST)
    exhibits = [pin.exhibit for pin in board.pins]
    return report_html(board.title, board.introduction, exhibits, datetime.now(UTC))


def summary(pinned: tuple[Pin, ...]) -> str:
    """How much there is, in words."""
    count = "One figure" if len(pinned) == 1 else f"{len(pinned)} figures"
    atlases = list(dict.fromkeys(pin.exhibit.origin.atlas for pin in pinned if pin.exhibit.origin))
    source = (
        f" of atlas {atlases[0]}" if len(atlases) == 1 else f" of {len(atlases)} atlases" if atlases else ""
    )
    megabytes = _CODE_MB + sum(pin.size for pin in pinned) / 2**20
    return (
        f"**{count}**{source}. The report will be one file of about {megabytes:.0f} MB: the figures, their tables, "
        "where the numbers come from, the versions, and what to cite."
    )


def exhibit(board: Board, place: int) -> None:
    """One pinned figure with its caption, and the buttons that move it or take it out."""
    pin = board.pins[place]
    shown = pin.exhibit
    with st.container(border=True, key=f"exhibit_{pin.id}"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.header(f"Figure {place + 1}. {shown.title}", anchor=False, width="content")
            with st.container(horizontal=True, gap="small", width="content", key=f"save_{pin.id}"):
                _button(
                    "Up", f"up_{pin.id}", board.move, (pin.id, -1), f"Move figure {place + 1} up", place > 0
                )
                last = place == len(board.pins) - 1
                _button(
                    "Down",
                    f"down_{pin.id}",
                    board.move,
                    (pin.id, 1),
                    f"Move figure {place + 1} down",
                    not last,
                )
                _button("Remove", f"remove_{pin.id}", board.remove, (pin.id,), f"Take figure {place + 1} out")
        if shown.sentence:
            st.markdown(shown.sentence)
        figure = json.loads(shown.figure)
        chart(Drawn(data=figure["data"], layout=figure["layout"]), shown.about, f"pinned_{pin.id}")
        st.caption(shown.about.how)
        _text_control(
            st.text_area,
            f"Caption of figure {place + 1}",
            f"caption_{pin.id}",
            shown.caption,
            lambda text: board.caption(pin.id, text),
            CAPTION_LENGTH,
            "What the reader should see in it; may be empty",
        )
        if shown.link:
            st.caption(f"[Live view of figure {place + 1}]({shown.link})")


@st.fragment
def _text_control(
    control: Callable[..., str],
    label: str,
    key: str,
    value: str,
    take: Callable[[str], None],
    longest: int,
    placeholder: str,
) -> None:
    """A field whose text is the board's: Streamlit forgets a field as soon as another page is shown.

    It runs again by itself: the figures stand still while people write, and a press on Save right after the last
    word does not meet a page that is drawn anew.
    """
    st.session_state.setdefault(key, value)
    control(
        label,
        key=key,
        max_chars=longest,
        placeholder=placeholder,
        on_change=lambda: take(st.session_state[key]),
    )


def _button(
    label: str, key: str, act: Callable[..., None], args: tuple[Any, ...], words: str, enabled: bool = True
) -> None:
    st.button(label, key=key, on_click=act, args=args, help=words, disabled=not enabled)
