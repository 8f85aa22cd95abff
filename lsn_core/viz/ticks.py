"""The marks of an axis of differences and of a logarithmic one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lsn_core.viz.labels import signed

FAR = 300  # from the lowest to the highest, as a ratio; beyond it, a logarithmic axis has the powers of ten alone
ROOM = 0.04  # of a logarithmic axis, left free beyond the outer ticks


def signed_ticks(low: float, high: float, most: int = 6) -> dict[str, Any]:
    """Settings of an axis or colour bar from `low` to `high`: at most so many round numbers, each with its sign, a
    true minus, and zero as a plain 0, which no number format of the browser gives."""
    step = _round_step((high - low) / most)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    values = step * np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return {
        "tickmode": "array",
        "tickvals": values.round(digits).tolist(),
        "ticktext": [signed(value, digits) if round(value, digits) else "0" for value in values],
    }


def log_ticks(low: float, high: float) -> dict[str, Any]:
    """Settings of a logarithmic axis that shows `low` to `high` (both above 0), from tick to tick: 1, 2 and 5 times the
    powers of ten, or, where these would be too many, the powers alone."""
    steps = (1, 2, 5) if high / low < FAR else (1,)
    powers = 10.0 ** np.arange(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    marks = np.outer(powers, steps).ravel()
    marks = marks[
        np.searchsorted(marks, low * (1 - 1e-9)) - 1 : np.searchsorted(marks, high * (1 - 1e-9)) + 1
    ]
    first, last = np.log10(marks[[0, -1]])
    room = ROOM * (last - first)
    return {"range": [first - room, last + room], "tickmode": "array", "tickvals": marks.tolist()}


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is `least` or more; a range of nothing has step 1."""
    if least <= 0 or not math.isfinite(least):
        return 1.0
    power = 10.0 ** math.floor(math.log10(least) + 1e-9)
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9)))
