"""Giving memory back that reading an atlas took: libraries keep what they have freed, to use it again."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Let the system have what Arrow and the C library hold and do not use; called after something large was read."""
    import pyarrow

    pyarrow.default_memory_pool().release_unused()
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    """`malloc_trim` of the GNU C library; None on systems that have another one."""
    try:
        found = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return found
