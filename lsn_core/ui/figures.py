"""A figure on a page: the chart, its table, its downloads, and the line on how it was computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st

from lsn_core.analysis.provenance import Origin
from lsn_core.ui import pins, shell, store
from lsn_core.ui.view import View
from lsn_core.viz.described import SVG_TITLE, Described, chart_config, to_csv
from lsn_core.viz.drawing import Drawn
from lsn_core.viz.labels import unbroken
from lsn_core.viz.report import Exhibit, figure_html

_REFUSED = "pin_refused_"

# Streamlit hands a new chart to Plotly twice. These keep it from being drawn twice: data are looked at again only when
# the revision changes (to Streamlit, a figure that changes is another chart), a template is taken for a change each
# time, and what Streamlit sets in a chart that can be clicked is there from the start.
_DRAWN_ONCE = {"datarevision": 0, "template": None}
_SELECTED = {"clickmode": "event+select", "dragmode": "pan"}

# The chart's own camera saves the picture; this button presses it, to be found by name and by keyboard.
_SAVE_SVG = st.components.v2.component(
    "lsn.save_svg",
    html="<button type='button'>SVG</button>",
    css="""
        button {
            font: inherit; font-size: 0.875rem; min-height: 2rem; cursor: pointer;
            color: var(--st-text-color); background: transparent; border: 1px solid var(--st-border-color); padding: 0 0.75rem;
            border-radius: var(--st-button-radius, 6px);
        }
        button:hover { border-color: var(--st-primary-color); color: var(--st-primary-color); }
        button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
    """,
    js="""
        export default function ({ parentElement, data }) {
            const button = parentElement.querySelector("button");
            button.setAttribute("aria-label", "Save the figure as SVG");
            button.onclick = () => {
                const chart = document.querySelector(".st-key-" + data.chart);
                chart?.querySelector('.modebar-btn[data-title="' + data.title + '"]')?.click();
            };
        }
    """,
)


def say(sentence: str) -> None:
    """Write the sentence that says what the next figures show; it goes with them into a report."""
    whole = unbroken(sentence)
    st.markdown(whole)
    shell.frame().sentence = whole


def chart(fig: Drawn, about: Described, key: str, on_select: Callable[[], None] | None = None) -> None:
    """Draw the figure alone. `on_select` is called after a click on a point."""
    select: dict[str, Any] = {}
    layout: dict[str, Any] = dict(_DRAWN_ONCE)
    if on_select is not None:
        select = {"on_select": on_select, "selection_mode": "points"}
        layout |= _SELECTED
    st.plotly_chart(
        fig.with_layout(**layout),
        key=key,
        width="stretch",
        theme=None,
        config=chart_config(about.name),
        alt=about.alt,
        **select,
    )


def figure_block(
    fig: Drawn,
    about: Described,
    key: str,
    on_select: Callable[[], None] | None = None,
    extra: tuple[str, Callable[[], str], str] | None = None,
    origin: Origin | None = None,
) -> None:
    """Draw the figure with all that belongs under it.

    `on_select` is called after a click on a point. `extra` is one more download: its name, what makes the
    text, the ending of the file. `origin` is where the numbers come from, if not from what the side bar chooses.
    """
    with st.container(key=f"block_{key}", gap="small"):
        chart(fig, about, key, on_select)
        st.caption(unbroken(about.how))
        with st.container(horizontal=True, gap="small", vertical_alignment="center", key=f"save_{key}"):
            st.download_button(
                "CSV",
                lambda: to_csv(about.table),
                f"{about.name}.csv",
                "text/csv",
                on_click="ignore",
                key=f"csv_{key}",
                help="The table under this figure, with every digit",
            )
            _SAVE_SVG(
                data={"chart": key, "title": SVG_TITLE}, key=f"svg_{key}", height="content", width="content"
            )
            st.download_button(
                "HTML",
                lambda: figure_html(Exhibit.of(fig, about.name, about)),
                f"{about.name}.html",
                "text/html",
                on_click="ignore",
                key=f"html_{key}",
                help="One file that shows this figure, alive, with no network",
            )
            _pin_button(fig, about, key, origin)
            if extra is not None:
                st.download_button(
                    extra[0],
                    lambda: extra[1]().encode(),
                    f"{about.name}.{extra[2]}",
                    "text/plain",
                    on_click="ignore",
                    key=f"extra_{key}",
                )
        if refused := st.session_state.pop(f"{_REFUSED}{key}", None):
            st.warning(refused)
        numbers = st.expander("The numbers in this figure", key=f"numbers_{key}", on_change="rerun")
        if numbers.open:  # a closed table is not sent: what draws it would hold up the first figure
            numbers.dataframe(about.table, hide_index=True, width="stretch")


def _pin_button(fig: Drawn, about: Described, key: str, origin: Origin | None) -> None:
    """Pin the figure as it is now, or take it out of the report again."""
    frame = shell.frame()
    pinned = _pinned(fig, about, key)
    st.button(
        "Pin" if pinned is None else "Pinned",
        key=f"pin_{key}",
        on_click=_pin if pinned is None else _unpin,
        args=(fig, about, key, frame, frame.sentence, origin) if pinned is None else (pinned,),
        help="Keep this figure, as it is now, for your report"
        if pinned is None
        else "In your report; press to take it out again",
    )


def _pinned(fig: Drawn, about: Described, key: str) -> str | None:
    """The id of the pin that holds this very figure, if there is one."""
    others = {pin.id for pin in pins.board().pins if pin.chart == key}
    if not others:
        return None
    found = pins.Pin.of(key, Exhibit.of(fig, "", about)).id
    return found if found in others else None


def _pin(
    fig: Drawn, about: Described, key: str, frame: shell.Frame, sentence: str, origin: Origin | None
) -> None:
    if origin is None and isinstance(frame.content, View):
        origin = store.origin(frame.content)
    exhibit = Exhibit.of(
        fig,
        frame.page.title,
        replace(about, table=about.table.copy()),
        sentence=sentence,
        link=shell.link(frame),
        origin=origin,
    )
    refused = pins.add(pins.Pin.of(key, exhibit))
    if refused is not None:
        st.session_state[f"{_REFUSED}{key}"] = refused


def _unpin(name: str) -> None:
    pins.board().remove(name)
