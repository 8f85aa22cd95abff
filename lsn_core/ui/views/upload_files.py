"""The files on the Upload page: where they come in, their checks, what they are said to be, keeping and saving."""

from __future__ import annotations

from html import escape

import pandas as pd
import streamlit as st

from lsn_core.analysis.publish import publish
from lsn_core.errors import LsnError
from lsn_core.languages import PAPER_LANGUAGES, in_paper_order
from lsn_core.masks.foreign.exchange import IMPORTED, keep_ticket
from lsn_core.masks.foreign.inspection import Check, Report
from lsn_core.masks.foreign.received import Suggestion, suggestion
from lsn_core.masks.ticket import TicketKey
from lsn_core.ui import permissions, states, uploads
from lsn_core.ui.sidebar import METHOD_NAMES
from lsn_core.ui.uploads import Arrived, Upload
from lsn_core.ui.view import View
from lsn_core.viz.labels import TASKS, language_line, plain_name, task_name
from lsn_core.viz.theme import Theme

ENDINGS = ".pt, .pth or .bin (torch.save), .safetensors, .npz, or .npy for a mask of heads"
SHOWN = "upload_shown"  # the token of the file that the figures are about
_TURN = "upload_turn"  # how often files have come in; the uploader is a new, empty one after each
_NOTES = "upload_notes"  # what went wrong last, apart from checks
_SAVING = "upload_saving"  # the token of the upload that is to be saved in this run


def show_inbox(view: View) -> None:
    """Where files come in. Each is checked at once and then let go of; only what was found is remembered."""
    turn = st.session_state.get(_TURN, 0)
    files = st.file_uploader("Files of masks", accept_multiple_files=True, key=f"inbox_{turn}")
    st.caption(limits(st.get_option("server.maxUploadSize"), view))
    if not files:
        for note in st.session_state.get(_NOTES, []):
            st.warning(note)
        return
    notes = []
    for number, file in enumerate(files, start=1):
        name = uploads.safe_name(file.name)
        with st.spinner(f"Reading {name} in a process of its own ({number} of {len(files)}) …"):
            try:
                taken = uploads.take_in(file.name, file.getbuffer(), view.atlas)
            except LsnError as error:
                notes.append(f"{name} was not read: {error}.")
                continue
        if taken.report.mask is not None:
            st.session_state[SHOWN] = taken.token
    uploads.let_go(files)
    st.session_state[_TURN], st.session_state[_NOTES] = turn + 1, notes
    st.rerun()


def show_files(view: View) -> None:
    """Every file of this visitor with its checks, and what can be done with it."""
    kept = {upload.token: upload for upload in uploads.kept(view.atlas.layout)}
    for file in uploads.arrived(view.atlas.layout):
        with st.container(border=True, key=f"file_{file.token}"):
            upload = kept.get(file.token)
            mark = "Kept" if upload else "To be confirmed" if file.report.mask is not None else "Refused"
            st.html(f"<b>{escape(file.name)}</b> · {mark}<br>{escape(verdict(file.report))}")
            if upload is not None:
                _show_kept(view, upload)
            elif file.report.mask is not None:
                _confirm(view, file)
            if file.report.mask is None:
                st.html(checks_list(file.report, view.theme))
            else:
                with st.expander("The checks"):
                    st.html(checks_list(file.report, view.theme))
            with st.container(horizontal=True, key=f"do_{file.token}"):
                if upload is not None:
                    _offer_to_save(view, upload)
                    st.button(
                        "Change what it is",
                        on_click=uploads.drop,
                        args=(file.token, file.layout),
                        key=f"change_{file.token}",
                    )
                st.button(
                    "Remove",
                    on_click=uploads.forget,
                    args=(file.token, file.layout),
                    key=f"remove_{file.token}",
                )


def show_expected(view: View) -> None:
    """What a file has to hold, and how to make one to try."""
    nothing_yet = not uploads.arrived(view.atlas.layout)
    with st.expander("What a file has to hold", expanded=nothing_yet):
        st.markdown(
            "One array for each matrix, named after the parameter (a prefix such as `bert.` or `module.` and the ending "
            "`_mask` do not matter), of the matrix's shape: 1 where a weight is kept, 0 where it is removed. To have "
            "one to try, take a sub-network out of an atlas:"
        )
        st.code(
            f"python -m lsn_core export --atlas masks/{view.atlas.name} --task {view.task} --language "
            f"{view.languages[0]} --sparsity {view.sparsity:g} --format masks --out mask_{view.languages[0]}.safetensors",
            language=None,
            wrap_lines=True,
        )
        st.dataframe(matrices(view), hide_index=True, width="stretch")


def sound(view: View) -> dict[str, Arrived]:
    """The files that passed, by their tokens; the latest first."""
    return {file.token: file for file in uploads.arrived(view.atlas.layout) if file.report.mask is not None}


def choose(files: dict[str, Arrived]) -> Arrived:
    """Choose the file that the figures are about; not drawn where there is one alone.

    It is not in the address: nobody else has the file.
    """
    if st.session_state.get(SHOWN) not in files:
        st.session_state[SHOWN] = next(iter(files))
    if len(files) > 1:
        st.selectbox(
            "Upload",
            list(files),
            key=SHOWN,
            format_func=lambda token: files[token].name,
            persist_state="session",
            width=260,
        )
    return files[st.session_state[SHOWN]]


def is_kept(view: View, file: Arrived) -> bool:
    """Whether a file is kept for the session, and so offered on the Anatomy page."""
    return any(upload.token == file.token for upload in uploads.kept(view.atlas.layout))


def _show_kept(view: View, upload: Upload) -> None:
    st.markdown(f"It is kept for this session as **{named(upload.ticket.key)}**.")
    if is_saved(view, upload):
        st.caption(f"Saved in atlas {view.atlas.name} as `{upload.ticket.key.stem}`.")
    elif not permissions.may_save():
        how = (
            "This server is read-only"
            if permissions.read_only()
            else "Saving is not switched on at this server"
        )
        st.caption(f"{how}. On the command line, where the atlas is:")
        st.code(import_command(view, upload.ticket.key), language=None, wrap_lines=True)
    elif reason := why_not_saved(view, upload):
        st.caption(f"It cannot be saved to atlas {view.atlas.name}. {reason}")


def _offer_to_save(view: View, upload: Upload) -> None:
    if is_saved(view, upload) or not permissions.may_save() or why_not_saved(view, upload):
        return
    name = f"Save to atlas {view.atlas.name}"
    st.button(name, on_click=_mark, args=(upload.token,), key=f"save_upload_{upload.token}")
    if st.session_state.pop(_SAVING, None) != upload.token:
        return
    with st.spinner("Saving, and renewing the atlas's tables, findings and card …"):
        try:
            save(view, upload)
            notes = []
        except LsnError as error:
            notes = [f"It was not saved: {states.without_folder(str(error), view.atlas.path)}."]
    st.session_state[_NOTES] = notes
    st.rerun()


def _mark(token: str) -> None:
    """Have the run that follows save an upload, with a sign of it on the page."""
    st.session_state[_SAVING] = token


def _confirm(view: View, file: Arrived) -> None:
    """Ask what a file is of; its name makes the suggestions."""
    hint, codes = suggested(file, view), languages(view)
    methods = list(METHOD_NAMES)
    tasks = list(TASKS)
    with st.form(f"confirm_{file.token}", border=False):
        st.markdown("Confirm what it is, to keep it for this session:")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.selectbox(
                "Language",
                codes,
                index=codes.index(hint.language) if hint.language else None,
                format_func=language_line,
                placeholder="Choose",
                accept_new_options=True,
                key=f"language_{file.token}",
                persist_state="session",
                width=200,
                help="One that is not in the list can be typed, as a code such as pt.",
            )
            st.selectbox(
                "Task",
                tasks,
                index=tasks.index(hint.task or (view.task if view.task in tasks else tasks[0])),
                format_func=task_name,
                key=f"task_{file.token}",
                persist_state="session",
                width=200,
            )
            st.selectbox(
                "Method",
                methods,
                index=methods.index(hint.method or "imp"),
                format_func=lambda one: METHOD_NAMES[one].capitalize(),
                key=f"method_{file.token}",
                persist_state="session",
                width=180,
            )
            st.number_input(
                "Seed",
                min_value=0,
                max_value=10**9 - 1,
                value=hint.seed or 0,
                step=1,
                key=f"seed_{file.token}",
                persist_state="session",
                width=120,
            )
            st.form_submit_button("Keep", on_click=_keep, args=(view, file))


def _keep(view: View, file: Arrived) -> None:
    """Keep a file as what its form says."""
    code, task, method, seed = (
        st.session_state[f"{name}_{file.token}"] for name in ("language", "task", "method", "seed")
    )
    st.session_state[_NOTES] = []
    if code is None:
        st.session_state[_NOTES] = [f"{file.name} was not kept: choose its language first."]
        return
    try:
        uploads.keep(uploads.made(file, TicketKey(task, code, method, int(seed)), view.atlas))
    except LsnError as error:
        st.session_state[_NOTES] = [f"{file.name} was not kept: {error}."]


def about(view: View) -> str:
    """What the page is for, and of which model the files have to be."""
    return (
        f"Bring masks that were found elsewhere: each file is checked against the {len(view.atlas.layout.names)} "
        f"weight matrices of model {view.atlas.model['name']} and set beside the languages of atlas "
        f"`{view.atlas.name}`. Nothing in a file is ever run. What you bring stays with you: nobody else sees it, "
        "and it is gone when this session ends."
    )


def limits(megabytes: int, view: View) -> str:
    """How large a file may be, and what to do with a larger one."""
    return (
        f"Endings: {ENDINGS}. At most {megabytes} MB a file, which whoever runs this server can change "
        "(`--server.maxUploadSize`). Masks saved as 0/1 bytes take a quarter of the room of decimal numbers, and "
        f"much less as compressed npz; `python -m lsn_core import FILE --atlas masks/{view.atlas.name}` takes larger "
        "files."
    )


def matrices(view: View) -> pd.DataFrame:
    """What a file has to hold, one row a matrix; the shape stands before the long name, to be seen on a small screen."""
    return pd.DataFrame(
        [
            (
                f"{m.shape[0]} × {m.shape[1]}",
                m.name,
                "–" if m.layer is None else f"{m.stack} {m.layer}",
                m.component,
            )
            for m in view.atlas.layout.matrices
        ],
        columns=["shape", "name", "layer", "component"],
    )


def verdict(report: Report) -> str:
    """One sentence on a file's checks."""
    failed = [check for check in report.checks if not check.passed]
    if not failed:
        mask = report.checked_mask()
        return f"All {len(report.checks)} checks passed: {100 * mask.sparsity:.1f} % of the weights removed."
    names = ", ".join(f"“{check.name}”" for check in failed)
    return f"Not usable: check {names} failed." if len(failed) == 1 else f"Not usable: checks {names} failed."


def checks_list(report: Report, theme: Theme) -> str:
    """The checks as an HTML list; whatever comes from the file is escaped."""
    rows = "".join(f"<li style='margin:2px 0'>{_check(check, theme)}</li>" for check in report.checks)
    more = ""
    if report.failed is not None:
        more = (
            f"<div style='color:{theme.quiet};margin-top:4px'>The checks that come after are not made.</div>"
        )
    return (
        "<div style='overflow-wrap:anywhere;font-size:0.9rem'>"
        f"<ul style='list-style:none;margin:0;padding:0'>{rows}</ul>{more}</div>"
    )


def _check(check: Check, theme: Theme) -> str:
    name, expected = escape(check.name), escape(check.expected)
    if check.passed:
        return f"✓ passed · <b>{name}</b> <span style='color:{theme.quiet}'>{expected}</span>"
    lines = (("expected", expected), ("found", escape(check.found)), ("to mend it", escape(check.mend)))
    told = "".join(
        f"<div><span style='color:{theme.quiet}'>{what}:</span> {text}</div>" for what, text in lines
    )
    mark = f"border-left:3px solid {theme.accent};padding:2px 0 2px 10px;margin:4px 0"
    return f"<div style='{mark}'><b style='color:{theme.accent}'>✗ failed</b> · <b>{name}</b>{told}</div>"


def suggested(file: Arrived, view: View) -> Suggestion:
    """What the file's name says of it."""
    return suggestion(file.name, tuple(TASKS), languages(view))


def languages(view: View) -> tuple[str, ...]:
    """The languages to choose from: the paper's, and those of the atlas."""
    return in_paper_order({*PAPER_LANGUAGES, *(key.language for key in view.catalogue.tickets)})


def named(key: TicketKey) -> str:
    """A sub-network in words."""
    method = METHOD_NAMES[key.method]
    return f"{plain_name(key.language)}, {task_name(key.task).lower()}, {method}, seed {key.seed}"


def import_command(view: View, key: TicketKey | None = None) -> str:
    """The same on the command line."""
    about_it = (
        f"--task {key.task} --language {key.language} --method {key.method} --seed {key.seed}"
        if key
        else f"--task {view.task} --language L --seed N"
    )
    return f"python -m lsn_core import FILE --atlas masks/{view.atlas.name} {about_it}"


def is_saved(view: View, upload: Upload) -> bool:
    """Whether the atlas holds the very ticket."""
    atlas, key = view.atlas, upload.ticket.key
    if not atlas.has(key):
        return False
    there = atlas.header(key).provenance.get(IMPORTED)
    return isinstance(there, dict) and there.get("sha256") == upload.ticket.provenance[IMPORTED]["sha256"]


def why_not_saved(view: View, upload: Upload) -> str:
    """Why the atlas cannot take an upload; empty when it can."""
    atlas, ticket = view.atlas, upload.ticket
    if ticket.provenance["model"].get("fingerprint") != atlas.model["fingerprint"]:
        return (
            "It was brought for another model with matrices of the same shapes; bring it again for this one."
        )
    if not atlas.has_bits:
        return "This atlas holds tables only, and a sub-network cannot be added to them."
    if atlas.has(ticket.key):
        return "The atlas holds another sub-network of this language, task, method and seed. Change one of these."
    try:
        atlas.check_recipe(ticket.key, ticket.provenance["recipe"])
    except LsnError:
        return (
            "The atlas's other sub-networks of this task and method were found with settings that are known, which "
            "a file does not tell; the two are not mixed. Change the task or the method, or import it on the "
            "command line into an atlas of its own (`--model`)."
        )
    return ""


def save(view: View, upload: Upload) -> None:
    """Save an upload and renew what the atlas says of itself; LsnError when it cannot be."""
    keep_ticket(upload.ticket, view.atlas)
    publish(view.atlas)
