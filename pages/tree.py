"""Language tree: which languages group together by what their sub-networks share, and how firmly."""

# ruff: noqa: E402 - `enter` comes before the imports that take long: on a fresh server it starts the run again.

import streamlit as st

from lsn_core.ui import shell

view, address = shell.enter("tree")

from lsn_core.ui import controls
from lsn_core.ui.figures import figure_block
from lsn_core.ui.views import overlap_view, tree_view

with st.container(horizontal=True, key="controls"):
    part = controls.part(view.atlas.layout, address, side_by_side=False)
    linkage = controls.linkage(address)
view = tree_view.with_distance(view)
overlap_view.check(view, need=3)

tree = tree_view.build(view, part, linkage)
st.markdown(tree_view.sentence(tree, view))
figure_block(*tree_view.figure(tree, view, part), "language_tree", extra=("Newick", tree.newick, "nwk"))
