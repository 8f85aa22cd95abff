"""A figure while it is being drawn: plain data, which Plotly checks once, when the figure is finished.

`go.Figure` checks everything anew at every step, which takes most of a second over a page of figures. A drawing
takes the same steps by the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

Trace = dict[str, Any]


def scatter(**settings: Any) -> Trace:
    """A trace of points, lines and texts; settings as those of `go.Scatter`."""
    return {"type": "scatter", **settings}


def heatmap(**settings: Any) -> Trace:
    """A trace of coloured cells; settings as those of `go.Heatmap`."""
    return {"type": "heatmap", **settings}


def bar(**settings: Any) -> Trace:
    """A trace of bars; settings as those of `go.Bar`."""
    return {"type": "bar", **settings}


class Drawing:
    """Traces and a layout to be; `figure` makes the Plotly figure of them."""

    def __init__(self, **layout: Any) -> None:
        self._traces: list[Trace] = []
        self._shapes: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._layout = layout

    def add_trace(self, trace: Trace) -> None:
        """Draw a trace over what is there."""
        self._traces.append(_own(trace))

    def update_traces(self, **settings: Any) -> None:
        """Settings for all traces that are there."""
        for trace in self._traces:
            trace.update(settings)

    def update_layout(self, settings: Mapping[str, Any] | None = None, **others: Any) -> None:
        """Settings of the layout, those within those of the same name."""
        _merge(self._layout, {**(settings or {}), **others})

    def add_shape(self, **settings: Any) -> None:
        """A line or a rectangle."""
        self._shapes.append(settings)

    def add_annotation(self, **settings: Any) -> None:
        """A text at a place."""
        self._annotations.append(settings)

    def add_hline(self, y: float, **settings: Any) -> None:
        """A line at this height across the whole width."""
        self.add_shape(type="line", x0=0, x1=1, xref="x domain", y0=y, y1=y, yref="y", **settings)

    def add_vline(self, x: float, **settings: Any) -> None:
        """A line at this place over the whole height."""
        self.add_shape(type="line", x0=x, x1=x, xref="x", y0=0, y1=1, yref="y domain", **settings)

    def figure(self) -> go.Figure:
        """The figure; ValueError where Plotly knows no such setting."""
        more = {"shapes": self._shapes, "annotations": self._annotations}
        layout = self._layout | {name: those for name, those in more.items() if those}
        return go.Figure(data=self._traces, layout=layout)


def _merge(there: dict[str, Any], settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        if isinstance(value, Mapping) and isinstance(there.get(name), dict):
            _merge(there[name], value)
        else:
            there[name] = _own(value)


def _own(value: Any) -> Any:
    """The value, lists and dictionaries as copies: the caller may go on with them."""
    if isinstance(value, Mapping):
        return {name: _own(each) for name, each in value.items()}
    return list(value) if isinstance(value, list) else value
