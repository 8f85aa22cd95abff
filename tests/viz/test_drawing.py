"""A drawing makes the figure that the same steps make of a Plotly figure."""

from __future__ import annotations

import copy
import json
import math
import pickle

import numpy as np
import plotly.graph_objects as go
import pytest

from lsn_core.viz.drawing import Drawing, Drawn, bar, heatmap, scatter

LAYOUT = {"height": 300, "margin": {"l": 8, "t": 8}, "xaxis": {"range": [0, 1], "title": {"text": "a"}}}


def test_the_same_steps_make_the_same_figure() -> None:
    drawn, stepped = Drawing(**LAYOUT), go.Figure(layout=LAYOUT)
    values = np.arange(4, dtype=np.float32).reshape(2, 2)
    drawn.add_trace(heatmap(z=values, coloraxis="coloraxis"))
    drawn.add_trace(bar(x=["a", "b"], y=[1, 2]))
    stepped.add_trace(go.Heatmap(z=values, coloraxis="coloraxis"))
    stepped.add_trace(go.Bar(x=["a", "b"], y=[1, 2]))
    for fig in (drawn, stepped):
        fig.update_traces(showlegend=False)
        fig.update_layout({"xaxis": {"title": {"font": {"size": 9}}}}, margin={"t": 20}, showlegend=True)
        fig.add_shape(type="rect", x0=0, x1=1, y0=0, y1=1, line={"color": "red", "width": 2})
        fig.add_annotation(text="here", x=0, y=1, showarrow=False)
        fig.add_hline(y=0.5, line={"width": 1}, layer="below")
        fig.add_vline(x=0.2, line={"width": 1}, layer="below")
    drawn.add_trace(scatter(x=[1], y=[2], mode="markers", marker={"size": 3}))
    stepped.add_trace(go.Scatter(x=[1], y=[2], mode="markers", marker={"size": 3}))
    assert json.loads(drawn.figure().to_json()) == json.loads(stepped.to_json())


def test_a_list_may_be_used_again() -> None:
    drawn, places = Drawing(), [1, 2]
    drawn.add_trace(scatter(x=places, y=places))
    drawn.update_layout(xaxis={"tickvals": places}, yaxis={"tickvals": places})
    places.append(3)
    fig = drawn.figure()
    assert [list(fig.data[0].x), list(fig.layout.xaxis.tickvals)] == [[1, 2]] * 2


def test_a_setting_that_plotly_does_not_know_is_refused() -> None:
    drawn = Drawn(data=[scatter(x=[1], y=[2], colour="red")], layout={})
    for _ in range(2):
        with pytest.raises(ValueError, match="colour"):
            _ = drawn.layout


def small() -> Drawn:
    drawn = Drawing(height=200, margin={"l": 8}, template="none")
    drawn.add_trace(scatter(x=[1, 2], y=np.array([0.5, np.nan]), mode="markers"))
    return drawn.figure()


def test_a_drawn_figure_is_a_figure_to_whoever_looks_into_it() -> None:
    whole = go.Figure({"data": [{"type": "scatter", "x": [1, 2], "y": [0.5, None], "mode": "markers"}]})
    whole.update_layout(height=200, margin_l=8, template="none")
    assert small() == whole
    assert pickle.loads(pickle.dumps(small())) == copy.deepcopy(small()) == go.Figure(small()) == whole
    changed = small()
    changed.update_layout(height=300, xaxis_title_text="steps")
    changed.add_bar(x=[1], y=[2])
    sent = changed.to_dict()
    assert changed.height == sent["layout"]["height"] == 300
    assert sent["layout"]["xaxis"]["title"]["text"] == "steps"
    assert [trace["type"] for trace in sent["data"]] == ["scatter", "bar"]
    with pytest.raises(AttributeError, match="colour"):
        _ = changed.colour
    with pytest.raises(AttributeError, match="colour"):
        _ = small().colour


def test_what_was_sent_can_be_changed_without_changing_the_figure() -> None:
    drawn = small()
    sent = drawn.to_dict()
    sent["layout"]["height"] = 0
    sent["data"][0]["x"].append(3)
    sent["layout"]["margin"]["l"] = 0
    assert drawn.to_dict() == small().to_dict()


@pytest.mark.parametrize(
    "kind", ["int8", "uint8", "int16", "uint32", "int64", "uint64", "float32", "float64", "bool", "str"]
)
@pytest.mark.parametrize("shape", [(0,), (4,), (2, 2)])
def test_arrays_are_sent_as_plotly_sends_them(kind: str, shape: tuple[int, ...]) -> None:
    for most in (100, 2**15 + 1, 2**40):
        if np.dtype(kind).kind in "iu" and most > np.iinfo(kind).max:
            continue
        values = np.linspace(0, most, math.prod(shape)).astype(kind).reshape(shape)
        drawn = Drawing(xaxis={"range": np.array([0, 1])})
        drawn.add_trace(heatmap(z=values) if len(shape) == 2 else scatter(y=values))
        drawn.figure()  # the check of all figures compares
