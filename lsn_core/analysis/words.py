"""Words that the atlas card and the pages have in common."""

from __future__ import annotations

from collections.abc import Sequence


def everyone(count: int) -> str:
    """All of so many languages, in words."""
    return "both languages" if count == 2 else f"all {count} languages"


def keepers_words(at_least: int, count: int) -> str:
    """Those who keep a weight of a core, at least so many of ``count`` languages."""
    return everyone(count) if at_least == count else f"at least {at_least} of {count} languages"


def over_seeds(seeds: Sequence[int], when_several: str = "") -> str:
    """Which seeds a number is of, to begin a sentence with; ``when_several`` goes on after those of a mean."""
    if len(seeds) == 1:
        return f"Seed {seeds[0]} only"
    return f"Mean over seeds {', '.join(map(str, seeds))}{when_several}"
