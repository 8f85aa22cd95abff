"""Methods: what this atlas shows, what the words and numbers mean, and where they mislead."""

import streamlit as st

from lsn_core.ui import shell

frame = shell.heading()

from lsn_core.ui.views import methods_view  # noqa: E402 - after the frame, as on every page

methods_view.show_findings(frame.content)
for section in methods_view.SECTIONS:
    st.header(section.heading, anchor=section.heading.lower().replace(" ", "-"))
    st.markdown(section.text)
