from __future__ import annotations

import json

import plotly.graph_objects as go
import pytest
from hypothesis import settings
from plotly.io import to_json

from lsn_core.viz.drawing import Drawing

# Machines differ in speed: no example fails for being slow, and few are enough for a run between edits.
settings.register_profile("lsn", deadline=None, max_examples=40)
settings.load_profile("lsn")


@pytest.fixture(autouse=True)
def figures_are_what_plotly_makes_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drawn figure is sent without Plotly's check: here each one is checked, and compared with what Plotly sends."""
    finish = Drawing.figure

    def finish_and_check(drawing: Drawing) -> go.Figure:
        drawn = finish(drawing)
        sent = json.loads(to_json(drawn.to_dict(), validate=False))
        assert drawn.layout is not None  # Plotly looks through it now
        made = json.loads(drawn.to_json())
        assert sent == made
        return finish(drawing)

    monkeypatch.setattr(Drawing, "figure", finish_and_check)
