"""What belongs to a figure beside its lines and colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

SVG_TITLE = "Save as SVG"


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
