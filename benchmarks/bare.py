"""The least that Streamlit can do: one choice and one heatmap, which the dashboard is measured beside."""

from __future__ import annotations

from pathlib import Path

CHOICES = ("one", "two", "three", "four", "five", "six")
CHART = "map"

_SCRIPT = """
import numpy as np
import plotly.graph_objects as go
import streamlit as st

st.set_page_config(layout="wide")
with st.sidebar:
    choice = st.selectbox("Measure", {choices!r}, key="measure")
values = np.random.default_rng({choices!r}.index(choice)).random(({count}, {count}), dtype=np.float32)
with st.container(key="block_{chart}"):
    st.plotly_chart(
        go.Figure(go.Heatmap(z=values), layout={{"height": 500}}), key="{chart}", alt="one heatmap", theme=None
    )
st.markdown("chosen: " + choice)
"""


def write_bare(folder: Path, count: int) -> str:
    """Write a page with one choice and one heatmap of so many languages; the path of the script."""
    file = folder / f"bare_{count}.py"
    file.write_text(_SCRIPT.format(choices=CHOICES, count=count, chart=CHART), encoding="utf-8")
    return str(file)
