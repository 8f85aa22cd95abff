"""Language tree: which languages group together by what their sub-networks share, and how firmly."""

# ruff: noqa: E402 - `enter` comes before the imports that take long: on a fresh server it starts the run again.

import streamlit as st

from lsn_core.ui import shell

view, address = shell.enter()

from lsn_core.ui import controls, store
from lsn_core.ui.figures import figure_block, say
from lsn_core.ui.views import overlap_view, tree_view
from lsn_core.viz.labels import listed, unbroken

with st.container(horizontal=True, key="controls"):
    part = controls.part(view.atlas.layout, address, side_by_side=False)
    linkage = controls.linkage(address)
    groups = controls.groups(len(view.languages), address)
view = tree_view.with_distance(view)
overlap_view.check(view, need=3)

tree = tree_view.build(view, part, linkage)
clades = tree_view.clades(tree)
say(tree_view.sentence(tree, view))
st.markdown(unbroken(tree_view.cut_words(tree, groups)))
with st.container(horizontal=True, vertical_alignment="bottom", key="clade"):
    chosen = controls.clade(clades, address)
    if chosen is not None:
        st.button(
            "Show only these languages",
            on_click=controls.only_languages,
            args=(chosen,),
            help="On every page, until all are shown again.",
        )
    if view.languages_chosen:
        st.button("Show all languages again", on_click=controls.only_languages, args=((),))
if chosen is not None:
    st.markdown(unbroken(tree_view.clade_words(tree, view, chosen)))
    if len(chosen) == 2:
        st.page_link(
            "pages/overlap.py",
            label=f"What {listed(chosen)} share",
            icon=":material/arrow_forward:",
            query_params=address.link("overlap") | {"pair": ".".join(chosen)},
        )
figure_block(
    *tree_view.figure(tree, view, part, groups, chosen),
    "language_tree",
    lambda: controls.take_clade("language_tree", clades),
    extra=("Newick", tree.newick, "nwk"),
)

st.header("Beside the family tree", anchor=False)
known = tree_view.known_families(view, part, linkage, tree)
if note := tree_view.families_note(tree, known):
    st.caption(note)
if known is not None:
    found = store.beside_families(known)
    st.markdown(tree_view.comparison_words(found))
    if found.reference_groups:
        with st.container(horizontal=True, vertical_alignment="bottom", key="likeness"):
            untangle = controls.untangle(address)
        drawn = tree_view.turned(known, untangle)
        with st.container(horizontal=True, key="levels"):
            for number in tree_view.numbers(known, found, tree_view.crossed(drawn)):
                st.metric(number.name, number.text, help=number.help, width=170)
        figure_block(*tree_view.tanglegram(drawn, tree, view, part, groups, untangle, found), "families")
