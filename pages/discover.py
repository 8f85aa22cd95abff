"""Discover: find sub-networks: choose, see the cost, start, watch, stop, resume."""

# ruff: noqa: E402 - `heading` comes before the imports that take long: on a fresh server it starts the run again.

import streamlit as st

from lsn_core.ui import shell

frame = shell.heading()

from lsn_core.ui import permissions, store
from lsn_core.ui.views import discover_form, discover_view

may = permissions.may_discover()
board = discover_view.board(frame.root)
given = discover_form.offers(store.masks_root(frame.root), any_model=permissions.on_this_computer())

st.markdown(discover_view.OPENING)
if not may:
    st.info(discover_view.OFF)

job = discover_view.choose_run(board, frame.address)
if job is not None:
    discover_view.watch(board, job, may)

st.header("A new run", anchor=False)
chosen, places = discover_view.ask(given, frame.address)
verdict = discover_form.judge(chosen, given)
for control, sentence in verdict.wrong.items():
    places[control].error(sentence)
discover_view.offer_start(board, given, chosen, verdict, may)
