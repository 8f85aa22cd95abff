"""A figure while it is being drawn: plain data, by the steps of `go.Figure` and under the same names.

`go.Figure` checks everything at every step, and once more as a whole: the most of what a page costs. A finished
drawing is a `Drawn` figure, which Plotly looks through only when somebody looks into it; the tests look into each.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio

Trace = dict[str, Any]

_CODES = {"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"} | {
    "float32": "f4",
    "float64": "f8",
}
"""The numbers that plotly.js takes as bytes; larger whole numbers are made as small as they fit."""

UNSEEN = {"opacity": 0, "maxdisplayed": 1}
"""The marker of points that are there to be pointed at and clicked: plotly.js finds each, and draws but one."""

_SIMPLE = frozenset({str, int, float, bool, type(None)})


class Drawn(go.Figure):
    """A Plotly figure that is made when it is first looked into; what only sends it needs its plain data alone."""

    def __init__(self, *what: Any, **settings: Any) -> None:
        self.__dict__["_given"] = (what, settings)

    def __getattr__(self, name: str) -> Any:
        """Called for what is not there: before the figure is made that is everything."""
        if "_given" not in self.__dict__:
            raise AttributeError(f"a figure has no {name}")
        what, settings = given = self.__dict__.pop("_given")
        try:
            super().__init__(*what, **settings)
        except BaseException:
            self.__dict__["_given"] = given
            raise
        return getattr(self, name)

    @property
    def _plain(self) -> dict[str, Any] | None:
        """Data and layout as they were drawn, not to be written to; None once somebody has looked into the figure."""
        what, settings = self.__dict__.get("_given", ((), {}))
        return settings if not what and set(settings) == {"data", "layout"} else None

    @property
    def height(self) -> float:
        """How high the figure is drawn, in pixels."""
        return float((self._plain or self.to_dict())["layout"]["height"])

    def with_layout(self, **settings: Any) -> Drawn:
        """The same figure with other settings of its layout; None for none."""
        plain = self._plain or self.to_dict()
        return Drawn(data=plain["data"], layout=plain["layout"] | settings)

    def to_dict(self) -> dict[str, Any]:
        """The figure as plain data, as `go.Figure` gives it; a copy."""
        plain = self._plain
        if plain is None:
            whole: dict[str, Any] = super().to_dict()
            return whole
        layout = {"template": pio.templates.default} | plain["layout"]
        if isinstance(layout["template"], str):
            layout["template"] = _template(layout["template"])
        return {"data": _sent(plain["data"]), "layout": _sent(layout)}


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
        self._layout: dict[str, Any] = _own(layout)

    def add_trace(self, trace: Trace) -> None:
        """Draw a trace over what is there."""
        self._traces.append(_own(trace))

    def update_traces(self, **settings: Any) -> None:
        """Settings for all traces that are there."""
        for trace in self._traces:
            trace.update(_own(settings))

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

    def figure(self) -> Drawn:
        """The figure; looking into it raises ValueError where Plotly knows no such setting."""
        more = {"shapes": self._shapes, "annotations": self._annotations}
        layout = self._layout | {name: those for name, those in more.items() if those}
        return Drawn(data=self._traces, layout=layout)


def _merge(there: dict[str, Any], settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        if isinstance(value, Mapping) and isinstance(there.get(name), dict):
            _merge(there[name], value)
        else:
            there[name] = _own(value)


def _own(value: Any) -> Any:
    """The value, lists and dictionaries as copies: the caller may go on with them.

    Arrays of one dimension become lists: plotly.js does not see that two of its arrays of bytes are the same, and
    draws a figure again that has not changed.
    """
    if isinstance(value, Mapping):
        return {name: _own(each) for name, each in value.items()}
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return [None if each != each else each for each in value.tolist()]
    return list(value) if isinstance(value, list) else value


@cache
def _template(name: str) -> dict[str, Any]:
    found: dict[str, Any] = go.Layout(template=name).template.to_plotly_json()
    return found


def _sent(value: Any) -> Any:
    """A setting as a page is sent it: a copy, without what is not set, arrays of numbers as bytes."""
    if isinstance(value, dict):
        return {key: _sent(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        # Most are long lists of texts or numbers, which need no look at each.
        return list(value) if _SIMPLE.issuperset(map(type, value)) else [_sent(each) for each in value]
    return _coded(value) if isinstance(value, np.ndarray) else value


def _coded(array: np.ndarray) -> Any:
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8 and array.size:
        ends = array.min(), array.max()
        kinds = [kind for kind in _CODES if np.dtype(kind).kind == array.dtype.kind]
        smallest = (
            kind for kind in kinds if all(np.iinfo(kind).min <= end <= np.iinfo(kind).max for end in ends)
        )
        array = array.astype(next(smallest, array.dtype))
    code = _CODES.get(array.dtype.name) if array.size else None
    if code is None:
        return array.tolist()
    coded = {"dtype": code, "bdata": base64.b64encode(array.tobytes()).decode("ascii")}
    return coded | {"shape": ", ".join(map(str, array.shape))}
