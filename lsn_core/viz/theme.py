"""What all figures share: colours in light and dark, fonts, the empty layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lsn_core.viz.colour import scale
from lsn_core.viz.drawing import Drawing

# What the system has; nothing is fetched. The later families cover the scripts the first may lack.
FONT_FAMILY = (
    "-apple-system, 'Segoe UI', 'Noto Sans', Roboto, system-ui, 'Noto Sans CJK SC', "
    "'Noto Naskh Arabic', 'Noto Sans Devanagari', sans-serif"
)

TITLE_STANDOFF = 8  # px between the labels of an axis and its title


@dataclass(frozen=True)
class Theme:
    """Colours of one theme, as hex strings; `amount` and `balance` are Plotly colour scales.

    `kinds` are for things of different kinds: told apart also by people who see colours differently, by three to
    one from the background, and from grey.
    """

    name: str
    background: str
    ink: str
    quiet: str
    line: str
    pale: str
    missing: str
    accent: str
    first: str
    second: str
    both: str
    amount: tuple[tuple[float, str], ...]
    balance: tuple[tuple[float, str], ...]
    kinds: tuple[str, ...]


LIGHT = Theme(
    name="light",
    background="#ffffff",
    ink="#1d2529",
    quiet="#5c686e",
    line="#d5dbde",
    pale="#a3adb2",
    missing="#c9cdcf",
    accent="#c2410c",
    first="#0b6e8f",
    second="#a3470c",
    both="#4b4f8f",
    amount=tuple(scale([(0.965, 0.035, 110), (0.65, 0.105, 205), (0.335, 0.115, 285)])),
    balance=tuple(
        scale([(0.40, 0.115, 45), (0.69, 0.115, 60), (0.975, 0.0, 0), (0.69, 0.10, 235), (0.40, 0.115, 255)])
    ),
    kinds=("#0465af", "#c47d04", "#9b3b6e", "#0ea692", "#15592b", "#a682e1", "#481166"),
)

DARK = Theme(
    name="dark",
    background="#14191c",
    ink="#e7ecee",
    quiet="#9fabb1",
    line="#3a444a",
    pale="#6a767c",
    missing="#4d565b",
    accent="#ff9d5c",
    first="#5cc3e6",
    second="#f2a66b",
    both="#a9adf0",
    amount=tuple(scale([(0.27, 0.085, 285), (0.585, 0.105, 205), (0.90, 0.07, 110)])),
    balance=tuple(
        scale([(0.84, 0.10, 65), (0.57, 0.115, 55), (0.30, 0.0, 0), (0.57, 0.105, 240), (0.84, 0.085, 230)])
    ),
    kinds=("#0586c4", "#ffd663", "#b95689", "#23dbc1", "#057836", "#c29fff", "#ad9907"),
)

THEMES = {theme.name: theme for theme in (LIGHT, DARK)}


def drawing(theme: Theme, height: float, **layout: Any) -> Drawing:
    """An empty figure in the theme: quiet axes, no template, room made for labels by the axes themselves.

    `height` is in pixels; the width is the page's.
    """
    fig = Drawing(
        template="none",
        height=height,
        autosize=True,
        margin={"l": 8, "r": 8, "t": 8, "b": 8, "pad": 4},
        paper_bgcolor=theme.background,
        plot_bgcolor=theme.background,
        font={"family": FONT_FAMILY, "size": 13, "color": theme.ink},
        hoverlabel={
            "bgcolor": theme.background,
            "bordercolor": theme.line,
            "font": {"family": FONT_FAMILY, "size": 13, "color": theme.ink},
            "align": "left",
        },
        hovermode="closest",
        dragmode=False,
        showlegend=False,
    )
    fig.update_layout(**layout)
    return fig


def axis(theme: Theme, **settings: Any) -> dict[str, Any]:
    """One axis in the theme: thin lines, small marks, labels that push the margin instead of being cut."""
    return {
        "automargin": True,
        # As labels push the margin, none is cut: to look at each takes most of a large figure's time.
        "ticklabeloverflow": "allow",
        "fixedrange": True,
        "zeroline": False,
        "showgrid": False,
        "gridcolor": theme.line,
        "linecolor": theme.line,
        "tickcolor": theme.line,
        "tickfont": {"color": theme.ink, "size": 12},
        "title": title(theme, ""),
    } | settings


def title(theme: Theme, text: str) -> dict[str, Any]:
    """The title of an axis, clear of the axis's labels however wide these are."""
    return {"text": text, "standoff": TITLE_STANDOFF, "font": {"color": theme.quiet, "size": 12}}


def legend(theme: Theme) -> dict[str, Any]:
    """A legend in lines above the figure; a click on it does nothing, as no page could follow.

    It hangs from the top of the figure, where it stays however the lines fall: plotly.js may place one that stands on
    the plot before it knows the plot's final place.
    """
    return {
        "orientation": "h",
        "x": 0,
        "xanchor": "left",
        "yref": "container",
        "y": 1,
        "yanchor": "top",
        "borderwidth": 4,
        "bordercolor": "rgba(0,0,0,0)",
        "font": {"size": 11, "color": theme.ink},
        "bgcolor": "rgba(0,0,0,0)",
        "itemclick": False,
        "itemdoubleclick": False,
    }


def faint(colour: str, share: float = 0.18) -> str:
    """The colour as a veil that hides so large a share of what is behind it, for bands behind marks."""
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share:g})"
