"""Neutral core: how many weights are kept by exactly k of the languages, where, and what each has alone."""

# ruff: noqa: E402 - `enter` comes before the imports that take long: on a fresh server it starts the run again.

import streamlit as st

from lsn_core.ui import shell

view, address = shell.enter()

from lsn_core.ui import controls, states
from lsn_core.ui.figures import figure_block, say
from lsn_core.ui.views import core_scores_view, core_view, sets_view

core_view.check(view)
with st.container(horizontal=True, key="controls"):
    part = controls.part(view.atlas.layout, address, side_by_side=False)
    at_least = controls.core(len(view.languages), address)
core = core_view.count(view, part, at_least)

say(core_view.sentence(core))
for line in core_view.notes(core):
    st.caption(line)

left, right = st.columns([3, 2], gap="medium")
with left:
    st.header("How many languages keep a weight", anchor=False)
    figure_block(*core_view.bars(core), "core_bars")
with right:
    st.header("Kept by one language alone", anchor=False)
    say(core_view.alone_sentence(core))
    figure_block(*core_view.alone(core), "core_alone")

st.header("What the core scores by itself", anchor=False)
try:
    scores = core_scores_view.select(view, at_least)
except states.CannotDraw as stop:
    states.show(stop.trouble, "no_score")
else:
    say(core_scores_view.sentence(scores))
    if notes := core_scores_view.notes(view, scores):
        st.caption(notes)
    figure_block(*core_scores_view.figure(view, scores), "core_scores")

st.header("Which languages keep what others remove", anchor=False)
with st.container(horizontal=True, key="set_controls"):
    which = controls.sets(len(view.languages), address)
try:
    sets = sets_view.count(core, which)
    say(sets_view.sentence(sets))
    figure_block(*sets_view.figure(sets), "core_sets")
except states.CannotDraw as stop:
    states.show(stop.trouble, "no_sets")

st.header("Where the core is larger or smaller than expected", anchor=False)
if core.has_reference:
    say(core_view.places_sentence(core))
    figure_block(*core_view.places(core), "core_places")
else:
    states.show(states.no_reference(view.atlas, view.task, view.languages))
