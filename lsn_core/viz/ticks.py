"""The marks of an axis of differences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lsn_core.viz.labels import signed


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


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is `least` or more; a range of nothing has step 1."""
    if least <= 0 or not math.isfinite(least):
        return 1.0
    power = 10.0 ** math.floor(math.log10(least) + 1e-9)
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9)))
