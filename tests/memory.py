"""What memory a piece of code takes, and a limit on it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def at_most(limit: int) -> Iterator[None]:
    """Fail when the code inside allocates more than ``limit`` bytes at any one time."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit, f"{peak} bytes were allocated, {limit} are allowed"


def restart_peak() -> None:
    """Let `peak_memory` begin anew (Linux: /proc/self/clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """The most bytes of this process that were in memory at once since `restart_peak`."""
    return _status("VmHWM")


def resident_memory() -> int:
    """Bytes of this process that are in memory now."""
    return _status("VmRSS")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
