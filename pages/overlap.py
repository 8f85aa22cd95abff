"""Overlap: how much every two languages share, where, and whether it is more than it would be anyway."""

# ruff: noqa: E402 - `enter` comes before the imports that take long: on a fresh server it starts the run again.

import math

import streamlit as st

from lsn_core.ui import shell

view, address = shell.enter()

from lsn_core.ui import controls, states, store, subnetworks
from lsn_core.ui.figures import figure_block, say
from lsn_core.ui.views import overlap_view, pair_view
from lsn_core.viz.labels import plain_name

with st.container(horizontal=True, key="controls"):
    part = controls.part(view.atlas.layout, address)
    order_by = controls.order(address)
overlap_view.check(view, need=2)

say(overlap_view.sentence(view, part))
if gaps := overlap_view.gaps(view):
    st.caption(gaps)
with st.container(key="levels_about"):
    st.caption(overlap_view.LEVELS)
with st.container(horizontal=True, key="levels"):
    for level in overlap_view.levels(view, part.single):
        known = math.isfinite(level.value)
        st.metric(level.name, f"{level.value:.4f}" if known else "–", help=level.help, width="content")

left, right = st.columns([3, 2], gap="medium")
with right:
    pair = controls.pair(view.languages, address)
room = overlap_view.EMBEDDED_ROOM if st.context.is_embedded else None
fig, about = overlap_view.languages_figure(view, part, pair, order_by, room)
with left:
    figure_block(fig, about, "overlap_map", lambda: controls.take_click("overlap_map", view.languages))
with right:
    if pair is None:
        figure_block(
            *overlap_view.ranking_figure(view, part, fig.height),
            "ranking",
            lambda: controls.take_click("ranking", view.languages),
        )
    else:
        say(pair_view.sentence(view, part, pair))
        subnetworks.link(view, address, pair, view.method, view.sparsity)
        if store.has_transfer(view, pair):
            st.page_link(
                "pages/transfer.py",
                label=f"How well {plain_name(pair[0])} serves {plain_name(pair[1])}",
                icon=":material/arrow_forward:",
                query_params=address.link("transfer") | {"cell": ".".join(pair)},
            )
        figure_block(*pair_view.layers_figure(view, pair, overlap_view.beside(fig.height)), "pair_layers")

if pair is not None:
    left, right = st.columns(2, gap="medium")
    with left:
        st.header("By component", anchor=False)
        figure_block(*pair_view.components_figure(view, pair), "pair_components")
    with right:
        st.header("Shared and exclusive weights", anchor=False)
        figure_block(*pair_view.weights_figure(view, pair, part), "pair_weights")
    left, right = st.columns(2, gap="medium")
    with left:
        st.header("Scores by sparsity", anchor=False)
        scores = pair_view.scores_by_sparsity(view, pair)
        if scores is None:
            st.info("This atlas has no scores for these languages.")
        else:
            figure_block(*scores, "pair_scores")
    with right:
        st.header("How well they serve each other", anchor=False)
        try:
            found = pair_view.transfer(view, pair)
        except states.CannotDraw as stop:
            states.show(stop.trouble)
        else:
            st.markdown(pair_view.transfer_words(found, pair))
            figure_block(*pair_view.transfer_figure(view, found, pair), "pair_transfer")
