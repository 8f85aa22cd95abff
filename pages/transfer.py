"""Transfer: how well the sub-network found on one language serves another."""

# ruff: noqa: E402 - `enter` comes before the imports that take long: on a fresh server it starts the run again.

import streamlit as st

from lsn_core.ui import shell

view, address = shell.enter()

from lsn_core.ui import controls, states, subnetworks
from lsn_core.ui.figures import figure_block, say
from lsn_core.ui.views import task_transfer_view, transfer_view
from lsn_core.viz.labels import plain_name


def between_languages() -> None:
    """One task: every language's sub-network on every other language."""
    rows = transfer_view.rows(view)
    with st.container(horizontal=True, key="controls"):
        kind = controls.transfer_kind(transfer_view.kinds(rows), address)
    found = transfer_view.select(view, rows, kind)

    say(transfer_view.sentence(found))
    if notes := transfer_view.notes(view, found):
        st.caption(notes)

    left, right = st.columns([3, 2], gap="medium")
    with right:
        chosen = controls.cell(found.languages, address)
    with left:
        with st.container(key="map_controls"):
            show = controls.transfer_show(transfer_view.shows(found), address)
        figure_block(
            *transfer_view.map_figure(view, found, show, chosen),
            "transfer_map",
            lambda: controls.take_cell("transfer_map", found.languages),
        )
    with right:
        if chosen is not None:
            say(transfer_view.cell_words(found, chosen))
            st.page_link(
                "pages/overlap.py",
                label=f"What {plain_name(chosen[0])} and {plain_name(chosen[1])} share",
                icon=":material/arrow_forward:",
                query_params=address.link("overlap") | {"pair": ".".join(chosen)},
            )
            subnetworks.link(view, address, chosen, transfer_view.METHOD, found.sparsity)
        figure_block(*transfer_view.levels_figure(view, found, chosen), "transfer_levels")

    with left:
        st.header("Does overlap go with transfer?", anchor=False)
        try:
            overlap = transfer_view.overlap_of(view, found)
        except states.CannotDraw as stop:
            states.show(stop.trouble, "no_link")
        else:
            say(transfer_view.link_words(view, found, overlap))
            figure_block(
                *transfer_view.scatter(view, found, overlap, chosen),
                "transfer_link",
                lambda: controls.take_cell("transfer_link", found.languages),
            )
    with right:
        st.header("Best donors, against the targets' own", anchor=False)
        if words := transfer_view.donor_words(found):
            say(words)
        figure_block(*transfer_view.donors_figure(view, found), "transfer_donors")


def between_tasks() -> None:
    """One language: its sub-network for one task on another."""
    st.header("From another task", anchor=False)
    source = controls.source_task(task_transfer_view.sources(view), address)
    scores = task_transfer_view.select(view, source)
    say(task_transfer_view.sentence(view, source, scores))
    figure_block(*task_transfer_view.figure(view, source, scores), "task_transfer")


try:
    between_languages()
except states.CannotDraw as stop:
    states.show(stop.trouble)
if task_transfer_view.other_tasks(view):
    try:
        between_tasks()
    except states.CannotDraw as stop:
        states.show(stop.trouble, "no_task_transfer")
