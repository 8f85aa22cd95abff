"""The sub-networks that a visitor uploaded: this visitor's alone, for as long as the session lasts."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from lsn_core.masks.layout import Layout
from lsn_core.masks.ticket import Ticket

_KEY = "uploads"


@dataclass(frozen=True)
class Upload:
    """One uploaded sub-network that passed every check.

    `token` names it in an address (the first 12 hex digits of the file's SHA-256), `label` on the screen;
    `ticket` has one level.
    """

    token: str
    label: str
    ticket: Ticket


def kept(layout: Layout) -> tuple[Upload, ...]:
    """This visitor's uploads over these matrices, in the order they came."""
    found: dict[str, Upload] = st.session_state.get(_KEY, {})
    return tuple(upload for upload in found.values() if upload.ticket.layout == layout)


def keep(upload: Upload) -> None:
    """Keep an upload for the rest of this visitor's session."""
    st.session_state[_KEY] = {**st.session_state.get(_KEY, {}), upload.token: upload}


def drop(token: str) -> None:
    """Forget an upload; nothing happens when it is not there."""
    st.session_state[_KEY] = {k: v for k, v in st.session_state.get(_KEY, {}).items() if k != token}
