"""Methods: what the words and numbers mean, how they are computed, and where they mislead."""

import streamlit as st

from lsn_core.ui import shell

shell.heading("methods")

from lsn_core.ui.methods_view import SECTIONS  # noqa: E402 - after the frame, as on every page

for section in SECTIONS:
    st.subheader(section.heading, anchor=section.heading.lower().replace(" ", "-"))
    st.markdown(section.text)
