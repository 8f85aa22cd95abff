"""Errors that a person can mend: one clear sentence, no traceback."""

from __future__ import annotations

_LONGEST = 300


class LsnError(ValueError):
    """Something a user gave was wrong.

    The message is one sentence that says what was wrong, where, and what to do. The command line prints
    it and exits with 2; a page shows it.
    """


class Busy(LsnError):
    """Another process is at it now."""


class CorruptFile(LsnError):
    """A file whose bytes are not the ones that were written."""


def brief(what: object) -> str:
    """What an error or a value says, in one line of at most 300 characters, fit to stand in a message."""
    text = " ".join(str(what).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
