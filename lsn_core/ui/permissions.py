"""What the one who runs the dashboard lets its visitors do; never decided by a visitor."""

from __future__ import annotations

import os

import streamlit as st

READ_ONLY_VARIABLE = "LSN_READ_ONLY"
"""Set to anything but 0 or nothing: no page writes to the disk and no run is started."""
SAVE_VARIABLE = "LSN_ALLOW_SAVE"
"""Set to 1 or 0: whether visitors may save what they uploaded to an atlas. Not set: on this computer alone."""
DISCOVER_VARIABLE = "LSN_ALLOW_DISCOVER"
"""Set to 1 or 0: whether visitors may start, stop and resume runs. Not set: on this computer alone."""
MOST_RUNS_VARIABLE = "LSN_MAX_JOBS"
"""How many runs may be under way at once; 1 where it is not set."""

_THIS_COMPUTER = ("127.0.0.1", "localhost", "::1")
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip")


def read_only() -> bool:
    """Whether nothing may be written and no run started."""
    return _is_on(READ_ONLY_VARIABLE)


def may_save() -> bool:
    """Whether this visitor may save an upload to an atlas."""
    return _may(SAVE_VARIABLE)


def may_discover() -> bool:
    """Whether this visitor may start, stop and resume runs, which use the server's processors and disk."""
    return _may(DISCOVER_VARIABLE)


def most_runs() -> int:
    """How many runs may be under way at once, at least one."""
    asked = os.environ.get(MOST_RUNS_VARIABLE, "").strip()
    return max(1, int(asked)) if asked.isdecimal() else 1


def on_this_computer() -> bool:
    """Whether the server listens to this computer only, and no proxy has brought the visitor from elsewhere.

    A visitor can add a proxy's header and so lose a right, not take one away and gain it.
    """
    headers = st.context.headers
    return st.get_option("server.address") in _THIS_COMPUTER and not any(
        name in headers for name in _FORWARDED
    )


def _may(variable: str) -> bool:
    """What a variable allows; where it is not set, what is allowed on this computer alone."""
    if read_only():
        return False
    if os.environ.get(variable, "").strip():
        return _is_on(variable)
    return on_this_computer()


def _is_on(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() not in ("", "0", "false", "no", "off")
