"""Anatomy: one sub-network down to a matrix and its heads, and two side by side."""

# ruff: noqa: E402 - `enter` comes before the imports that take long: on a fresh server it starts the run again.

from functools import partial

import streamlit as st

from lsn_core.ui import shell

view, address = shell.enter()

from lsn_core.ui import controls, subnetworks
from lsn_core.ui.figures import figure_block, say
from lsn_core.ui.views import anatomy_view
from lsn_core.viz.labels import unbroken

there = subnetworks.sources(view)
defaults = subnetworks.by_side_bar(view, there)
columns = st.columns(2, gap="medium")
with columns[0]:
    first = subnetworks.choose("left", there, defaults[0], address)
with columns[1]:
    second = subnetworks.choose("right", there, defaults[1], address)
st.caption(anatomy_view.follows(view, *(subnetworks.follows(side) for side in ("left", "right")), second))
anatomy = anatomy_view.open_masks(view, first, second)
layout = view.atlas.layout

say(anatomy_view.sentence(anatomy))
for line in anatomy_view.notes(anatomy):
    st.caption(line)

maps = st.container()
st.header("One weight matrix", anchor=False)
matrix = controls.matrix(layout, anatomy_view.first_matrix(anatomy), address)
say(anatomy_view.matrix_sentence(anatomy, matrix))

with maps:
    columns = st.columns(2, gap="medium")
    sides = ("left", "right") if second is not None else ("left",)
    for column, side, name in zip(columns, sides, anatomy.names, strict=False):
        with column:
            st.header(f"{name}: share of weights kept", anchor=False)
            key = f"anatomy_{side}"
            fig, about = anatomy_view.density_map(anatomy, side, matrix)
            figure_block(fig, about, key, partial(controls.take_matrix, key, layout))
    if second is not None:
        columns = st.columns(2, gap="medium")
        with columns[0]:
            st.header("What the two share", anchor=False)
            show = controls.compare(anatomy_view.shows(anatomy), address)
            fig, about = anatomy_view.compared_map(anatomy, show, matrix)
            figure_block(fig, about, "anatomy_both", partial(controls.take_matrix, "anatomy_both", layout))
    with columns[1]:
        st.header("Attention heads", anchor=False)
        all_heads = anatomy_view.heads_map(anatomy, matrix)
        if all_heads is None:
            st.info(anatomy_view.NO_HEADS)
        else:
            text, fig, about = all_heads
            st.markdown(unbroken(text))
            figure_block(
                fig, about, "anatomy_all_heads", partial(controls.take_matrix, "anatomy_all_heads", layout)
            )

pictures = anatomy_view.pictures(anatomy, matrix)
by = [*anatomy_view.LINES]
if anatomy_view.heads_of(anatomy, matrix) is not None:
    by.insert(0, "head")
for place, (heading, fig, about) in enumerate(pictures):
    if place % 2 == 0:
        columns = st.columns(2, gap="medium")
    with columns[place % 2]:
        st.subheader(heading, anchor=False)
        figure_block(fig, about, f"anatomy_picture_{place + 1}")
places = [columns[1]] if len(pictures) == 1 else []  # beside a single picture there is room
places += st.columns(len(by) - len(places), gap="medium")
for column, what in zip(places, by, strict=True):
    with column:
        st.subheader(f"By {what}", anchor=False)
        text, fig, about = anatomy_view.lines(anatomy, matrix, what)
        st.markdown(unbroken(text))
        figure_block(fig, about, f"anatomy_{what}s")
