"""What the machine itself can do, measured: the floor under every time that torch takes here."""

from __future__ import annotations

import time

import torch

_COPIED = 1 << 26
"""Floats that are copied: 256 MB, more than any cache holds."""
_SIDE = 2048
_REPEATS = 5


def wait(device: torch.device) -> None:
    """Wait until a device has done what it was given, as a GPU answers before it has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: object, device: torch.device, repeats: int = _REPEATS) -> float:
    """Return the shortest time that calling `work` takes; the first call is not counted."""
    assert callable(work)
    times = []
    for _ in range(repeats + 1):
        wait(device)
        started = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - started)
    return min(times[1:])


def memory_bandwidth(device: torch.device) -> float:
    """Return the bytes a second, read and written together, of a copy from memory to memory."""
    source = torch.ones(_COPIED, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / seconds_of(lambda: target.copy_(source), device)


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the floating-point operations a second of a product of two square matrices of 2,048 rows."""
    one = torch.randn(_SIDE, _SIDE, device=device).to(dtype)
    product = torch.empty_like(one)
    return 2 * _SIDE**3 / seconds_of(lambda: torch.mm(one, one, out=product), device)
