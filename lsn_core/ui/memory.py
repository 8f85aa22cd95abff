"""Holding no more memory than is used: libraries keep what they have freed, to use it again."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any

_ARENAS, _LARGE = -8, -3  # M_ARENA_MAX and M_MMAP_THRESHOLD of mallopt(3)
_LARGE_BYTES = 2**22


@cache
def hold_little() -> None:
    """Called before anything large is read: all threads share one store of memory, and large pieces go back to the
    system as soon as they are freed. Only one visitor's page runs at a time, so that threads do not wait for it."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    set_option = _of_c_library("mallopt")
    if set_option is not None:
        set_option(_ARENAS, 1)
        set_option(_LARGE, _LARGE_BYTES)


def give_back() -> None:
    """Let the system have what the C library holds and does not use; called after something large was read."""
    trim = _of_c_library("malloc_trim")
    if trim is not None:
        trim(0)


@cache
def _of_c_library(name: str) -> Any:
    """A function of the GNU C library; None on systems that have another one."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
