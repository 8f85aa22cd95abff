"""A drawing makes the figure that the same steps make of a Plotly figure."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from lsn_core.viz.drawing import Drawing, bar, heatmap, scatter

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
    drawn = Drawing()
    drawn.add_trace(scatter(x=[1], y=[2], colour="red"))
    with pytest.raises(ValueError, match="colour"):
        drawn.figure()
