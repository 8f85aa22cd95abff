"""Times in words."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return a time in words, in its two largest units at most: '12 s', '5 min', '2 h 10 min', '3 days 4 h'."""
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(minutes / 60)
    return f"{hours // 24} days {hours % 24} h"
