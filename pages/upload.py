"""Upload: masks that were found elsewhere, checked, set beside the atlas, kept for the session or saved."""

# ruff: noqa: E402 - `enter` comes before the imports that take long: on a fresh server it starts the run again.

import streamlit as st

from lsn_core.ui import shell

view, address = shell.enter()

from lsn_core.ui import controls, states, subnetworks
from lsn_core.ui.figures import figure_block, say
from lsn_core.ui.views import upload_files, upload_view

st.markdown(upload_files.about(view))
upload_files.show_inbox(view)
upload_files.show_files(view)
upload_files.show_expected(view)

if files := upload_files.sound(view):
    st.header("Beside the languages of the atlas", anchor=False)
    with st.container(horizontal=True, key="controls"):
        file = upload_files.choose(files)
        part = controls.part(view.atlas.layout, address, side_by_side=False)
    beside = None
    try:
        beside = upload_view.beside(view, part, file)
    except states.CannotDraw as stop:
        states.show(stop.trouble)
    else:
        say(upload_view.sentence(beside))
        if upload_files.is_kept(view, file):
            subnetworks.link_upload(view, address, file.token, upload_view.nearest(beside), beside.level)
        for remark in upload_view.remarks(beside):
            st.caption(remark)
        figure_block(*upload_view.neighbours_figure(beside), "upload_beside")
    st.header("Where it keeps weights", anchor=False)
    say(upload_view.density_sentence(view, file))
    left, right = st.columns(2, gap="medium")
    with left:
        figure_block(*upload_view.density_figure(view, file, beside, "layer"), "upload_layers")
    with right:
        figure_block(*upload_view.density_figure(view, file, beside, "component"), "upload_components")
