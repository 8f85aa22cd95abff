"""The sub-networks that a visitor uploaded: this visitor's alone, for as long as the session lasts."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.foreign.exchange import imported_ticket
from lsn_core.masks.foreign.inspection import Report
from lsn_core.masks.foreign.received import inspect_received
from lsn_core.masks.layout import Layout
from lsn_core.masks.ticket import Ticket, TicketKey
from lsn_core.viz.labels import plain_name, task_name

MAX_FILES = 12
"""Files of one visitor that are remembered, kept or not."""
MAX_KEPT_BYTES = 256 * 2**20
"""Memory that one visitor's kept sub-networks may take: one byte a weight that can be removed."""

_KEY = "uploads"
_ARRIVED = "uploads_arrived"
_TURNS = threading.BoundedSemaphore(2)
"""Files that are read at once, over all visitors: each reading may take two gigabytes."""
_TOKEN_DIGITS = 12
_LONGEST_NAME = 60
_UNSAFE = re.compile(r"[^\w .()-]")

_Place = tuple[str, str]  # a file's token, and the fingerprint of the layout it was checked against


@dataclass(frozen=True)
class Upload:
    """One uploaded sub-network that passed every check.

    `token` names it in an address (the first 12 hex digits of the file's SHA-256), `label` on the screen;
    `ticket` has one level.
    """

    token: str
    label: str
    ticket: Ticket


@dataclass(frozen=True)
class Arrived:
    """A file that was checked against the matrices of `layout`; `name` is what to call it on the screen."""

    token: str
    name: str
    layout: Layout
    report: Report


def kept(layout: Layout) -> tuple[Upload, ...]:
    """This visitor's uploads over these matrices, in the order they came."""
    return tuple(upload for upload in _all_kept().values() if upload.ticket.layout == layout)


def keep(upload: Upload) -> None:
    """Keep an upload for the rest of this visitor's session; LsnError when there is no room for it."""
    place = (upload.token, upload.ticket.layout.fingerprint)
    others = [other for there, other in _all_kept().items() if there != place]
    taken = sum(other.ticket.survival.nbytes for other in others)
    if len(others) >= MAX_FILES:
        raise LsnError(f"{MAX_FILES} sub-networks are kept already; remove one first")
    if taken + upload.ticket.survival.nbytes > MAX_KEPT_BYTES:
        raise LsnError(
            f"the sub-networks kept already take {taken // 2**20} MiB, and with this one they would take more than "
            f"the {MAX_KEPT_BYTES // 2**20} MiB that one visitor has here; remove one first"
        )
    st.session_state[_KEY] = {**_all_kept(), place: upload}


def drop(token: str, layout: Layout) -> None:
    """Forget an upload; nothing happens when it is not there. Its file stays, as one that was checked."""
    place = (token, layout.fingerprint)
    st.session_state[_KEY] = {there: one for there, one in _all_kept().items() if there != place}


def arrived(layout: Layout) -> tuple[Arrived, ...]:
    """This visitor's files that were checked against these matrices, the latest first."""
    return tuple(reversed([file for file in _all_arrived().values() if file.layout == layout]))


def forget(token: str, layout: Layout) -> None:
    """Forget a file, and the upload that was made of it."""
    drop(token, layout)
    place = (token, layout.fingerprint)
    st.session_state[_ARRIVED] = {there: one for there, one in _all_arrived().items() if there != place}


def take_in(name: str, content: bytes | memoryview, atlas: Atlas) -> Arrived:
    """Check a file against an atlas's matrices and remember the result.

    The same content again replaces what was remembered of it. Raises LsnError when this visitor's files are too
    many, or the file cannot be copied to be read.
    """
    if len(_all_arrived()) >= MAX_FILES:
        raise LsnError(f"{MAX_FILES} files are remembered already; remove one first")
    with _TURNS:
        report = inspect_received(content, name, atlas.layout, atlas.model)
    file = Arrived(report.path.name[:_TOKEN_DIGITS], safe_name(name), atlas.layout, report)
    st.session_state[_ARRIVED] = {**_all_arrived(), (file.token, atlas.layout.fingerprint): file}
    return file


def made(file: Arrived, key: TicketKey, atlas: Atlas) -> Upload:
    """The sub-network in a file that passed every check; LsnError with the first failed check otherwise."""
    label = f"{file.name} ({plain_name(key.language)}, {task_name(key.task)})"
    return Upload(file.token, label, imported_ticket(file.report, key, atlas.model))


def safe_name(name: str) -> str:
    """A file's name as it can be shown anywhere: without folders, marks that mean something, and not too long."""
    plain = _UNSAFE.sub("_", name.replace("\\", "/").rsplit("/", 1)[-1]).strip() or "a file without a name"
    return plain if len(plain) <= _LONGEST_NAME else f"{plain[: _LONGEST_NAME - 13]}...{plain[-10:]}"


def let_go(files: Sequence[UploadedFile]) -> None:
    """Free the memory that Streamlit holds these files in, as it would until the session ends."""
    context = get_script_run_ctx()
    if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        for file in files:
            context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)


def _all_kept() -> dict[_Place, Upload]:
    found: dict[_Place, Upload] = st.session_state.get(_KEY, {})
    return found


def _all_arrived() -> dict[_Place, Arrived]:
    found: dict[_Place, Arrived] = st.session_state.get(_ARRIVED, {})
    return found
