"""Checks of values that may come from a file or a caller."""

from __future__ import annotations

import math


def is_whole(value: object) -> bool:
    """Whether the value is a whole number from 0 (and not a truth value)."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_real(value: object) -> bool:
    """Whether the value is a finite number (and not a truth value)."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False
