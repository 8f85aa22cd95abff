"""Overlap: how much every two languages share, where, and whether it is more than it would be anyway."""

# ruff: noqa: E402 - `enter` comes before the imports that take long: on a fresh server it starts the run again.

import math

import streamlit as st

from lsn_core.ui import shell

view, address = shell.enter("overlap")

from lsn_core.ui import controls
from lsn_core.ui.figures import figure_block, say
from lsn_core.ui.views import overlap_view, pair_view

with st.container(horizontal=True, key="controls"):
    part = controls.part(view.atlas.layout, address)
overlap_view.check(view, need=2)

say(overlap_view.sentence(view, part))
if gaps := overlap_view.gaps(view):
    st.caption(gaps)
with st.container(horizontal=True, key="levels"):
    for level in overlap_view.levels(view, part.single):
        known = math.isfinite(level.value)
        st.metric(level.name, f"{level.value:.3f}" if known else "–", help=level.help, width="content")

left, right = st.columns([3, 2], gap="medium")
with right:
    pair = controls.pair(view.languages, address)
fig, about, order = overlap_view.languages_figure(view, part, pair)
with left:
    figure_block(fig, about, "overlap_map", lambda: controls.take_click("overlap_map", view.languages))
with right:
    if pair is None:
        figure_block(
            *overlap_view.ranking_figure(view, part),
            "ranking",
            lambda: controls.take_click("ranking", view.languages),
        )
    else:
        say(pair_view.sentence(view, part, pair))
        figure_block(*pair_view.layers_figure(view, pair), "pair_layers")

if pair is not None:
    columns = st.columns(3, gap="medium")
    with columns[0]:
        st.subheader("By component", anchor=False)
        figure_block(*pair_view.components_figure(view, pair), "pair_components")
    with columns[1]:
        st.subheader("Shared and exclusive weights", anchor=False)
        figure_block(*pair_view.weights_figure(view, pair, part), "pair_weights")
    with columns[2]:
        st.subheader("Scores by sparsity", anchor=False)
        scores = pair_view.scores_by_sparsity(view, pair)
        if scores is None:
            st.info("This atlas has no scores for these languages.")
        else:
            figure_block(*scores, "pair_scores")
