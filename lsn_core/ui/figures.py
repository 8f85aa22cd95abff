"""A figure on a page: the chart, its table, its downloads, and the line on how it was computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

SVG_TITLE = "Save as SVG"

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


@dataclass(frozen=True)
class Described:
    """What goes with a figure.

    `name` is the stem of downloaded files, `alt` says in a sentence what the figure shows to those who cannot
    see it, `how` in a line how it was computed, and `table` holds the numbers in it.
    """

    name: str
    alt: str
    how: str
    table: pd.DataFrame


def figure_block(
    fig: go.Figure,
    about: Described,
    key: str,
    on_select: Callable[[], None] | None = None,
    extra: tuple[str, Callable[[], str], str] | None = None,
) -> None:
    """Draw the figure with all that belongs under it.

    `on_select` is called after a click on a point. `extra` is one more download: its name, what makes the
    text, the ending of the file.
    """
    select: dict[str, Any] = {}
    if on_select is not None:
        select = {"on_select": on_select, "selection_mode": "points"}
    with st.container(key=f"block_{key}", gap="small"):
        st.plotly_chart(
            fig,
            key=key,
            width="stretch",
            theme=None,
            config=chart_config(about.name),
            alt=about.alt,
            **select,
        )
        st.caption(about.how)
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
                lambda: to_html(fig, about),
                f"{about.name}.html",
                "text/html",
                on_click="ignore",
                key=f"html_{key}",
                help="One file that shows this figure, alive, with no network",
            )
            if extra is not None:
                st.download_button(
                    extra[0],
                    lambda: extra[1]().encode(),
                    f"{about.name}.{extra[2]}",
                    "text/plain",
                    on_click="ignore",
                    key=f"extra_{key}",
                )
        numbers = st.expander("The numbers in this figure", key=f"numbers_{key}", on_change="rerun")
        if numbers.open:  # a closed table is not sent: what draws it would hold up the first figure
            numbers.dataframe(about.table, hide_index=True, width="stretch")


def chart_config(name: str) -> dict[str, Any]:
    """Plotly's settings: one button, which saves an SVG, and nothing that moves the axes by accident."""
    return {
        "modeBarButtons": [["toImage"]],
        "displaylogo": False,
        "toImageButtonOptions": {"format": "svg", "filename": name},
        "locales": {"en": {"dictionary": {"Download plot": SVG_TITLE}}},
        "scrollZoom": False,
    }


def to_csv(table: pd.DataFrame) -> bytes:
    """The table as CSV in UTF-8; undefined is an empty field."""
    return table.to_csv(index=False).encode()


def to_html(fig: go.Figure, about: Described) -> bytes:
    """The figure as one page that needs no network, with its description under it."""
    chart = fig.to_html(include_plotlyjs=True, full_html=False, config=chart_config(about.name))
    ink, background = fig.layout.font.color, fig.layout.paper_bgcolor
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width'><title>{about.name}</title></head>"
        f"<body style='margin:1rem;font-family:sans-serif;color:{ink};background:{background}'>"
        f"<figure role='img' aria-label='{_escape(about.alt)}' style='margin:0'>{chart}"
        f"<figcaption>{_escape(about.how)}</figcaption></figure></body></html>"
    ).encode()


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#39;")
