"""Errors that a person can mend: one clear sentence, no traceback."""

from __future__ import annotations


class LsnError(ValueError):
    """Something a user gave was wrong.

    The message is one sentence that says what was wrong, where, and what to do. The command line prints
    it and exits with 2; a page shows it.
    """


class Busy(LsnError):
    """Another process is at it now."""


class CorruptFile(LsnError):
    """A file whose bytes are not the ones that were written."""
