"""The languages the software knows by name, and how they are related.

The names are written here by hand, so that this module needs nothing but the standard library. The
relations follow the classification of Glottolog (https://glottolog.org), cut down to the levels that
tell the paper's eleven languages apart.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import asin, cos, nan, radians, sin, sqrt
from typing import TYPE_CHECKING

from lsn_core.errors import LsnError

if TYPE_CHECKING:
    import numpy as np

Nested = str | tuple["Nested", ...]
"""A tree as nested tuples: a leaf is a language code, an inner node a tuple of its children."""


@dataclass(frozen=True)
class Language:
    """One language: how it is called, what it belongs to and how it is written.

    ``direction`` is ``"ltr"`` or ``"rtl"``; ``branch`` is the branch of the family, or None where the
    family is not split further here.
    """

    code: str
    name: str
    own_name: str
    family: str
    branch: str | None
    script: str
    direction: str


PAPER_LANGUAGES: tuple[str, ...] = ("en", "fr", "de", "zh", "ru", "es", "fa", "ur", "ar", "hi", "sw")
"""The eleven languages of Foroutan et al. (EMNLP 2022), in the paper's order."""

_KNOWN = {
    entry.code: entry
    for entry in (
        Language("en", "English", "English", "Indo-European", "Germanic", "Latin", "ltr"),
        Language("fr", "French", "français", "Indo-European", "Romance", "Latin", "ltr"),
        Language("de", "German", "Deutsch", "Indo-European", "Germanic", "Latin", "ltr"),
        Language("zh", "Chinese", "中文", "Sino-Tibetan", "Sinitic", "Han", "ltr"),
        Language("ru", "Russian", "русский", "Indo-European", "Slavic", "Cyrillic", "ltr"),
        Language("es", "Spanish", "español", "Indo-European", "Romance", "Latin", "ltr"),
        Language("fa", "Persian", "فارسی", "Indo-European", "Indo-Iranian", "Arabic", "rtl"),
        Language("ur", "Urdu", "اردو", "Indo-European", "Indo-Iranian", "Arabic", "rtl"),
        Language("ar", "Arabic", "العربية", "Afro-Asiatic", "Semitic", "Arabic", "rtl"),
        Language("hi", "Hindi", "हिन्दी", "Indo-European", "Indo-Iranian", "Devanagari", "ltr"),
        Language("sw", "Swahili", "Kiswahili", "Atlantic-Congo", "Bantu", "Latin", "ltr"),
    )
}

FAMILY_TREE: Nested = (
    (("en", "de"), ("fr", "es"), "ru", ("fa", ("ur", "hi"))),
    "zh",
    "ar",
    "sw",
)
"""The eleven languages by descent (Glottolog): Indo-European with Germanic, Romance, Slavic and
Indo-Iranian (Iranian beside Indo-Aryan); Sino-Tibetan, Afro-Asiatic and Atlantic-Congo stand alone."""


COORDINATES: dict[str, tuple[float, float]] = {
    "en": (53.0, -1.0),
    "fr": (48.0, 2.0),
    "de": (48.6, 12.5),
    "zh": (40.0, 116.2),
    "ru": (59.0, 50.0),
    "es": (40.4, -1.1),
    "fa": (32.9, 53.3),
    "ur": (25.0, 67.0),
    "ar": (28.0, 43.9),
    "hi": (25.0, 77.0),
    "sw": (-8.3, 37.6),
}
"""Where Glottolog places each language: degrees north and east, to a tenth.

The entries are stan1293, stan1290, stan1295, mand1415 (Mandarin), russ1263, stan1288, west2369 (Western
Farsi), urdu1245, stan1318 (Standard Arabic), hind1269 and swah1253. One point stands for a whole language, so
distances between neighbours mean little."""

EARTH_RADIUS = 6371.0
"""Mean radius in kilometres."""


def in_paper_order(codes: Collection[str]) -> tuple[str, ...]:
    """The paper's languages among ``codes`` in the paper's order, then the others by code."""
    known = [code for code in PAPER_LANGUAGES if code in codes]
    return (*known, *sorted(set(codes) - set(known)))


@lru_cache(maxsize=4096)
def language(code: str) -> Language:
    """The language with this code; a code that is not in the table is a language of unknown family."""
    return _KNOWN.get(code) or Language(code, code, code, "unknown", None, "unknown", "ltr")


def relatives(code: str) -> str | None:
    """The name of the language's nearest known relatives: its branch, or its family where that is not split
    further here; None for a language of unknown family."""
    entry = language(code)
    return None if entry.family == "unknown" else entry.branch or entry.family


def leaves(tree: Nested) -> Iterator[str]:
    """The leaves of a nested tree, from left to right."""
    if isinstance(tree, str):
        yield tree
    else:
        for child in tree:
            yield from leaves(child)


def family_tree(languages: Collection[str]) -> tuple[Nested, ...]:
    """``FAMILY_TREE`` cut down to these languages; nodes left with one child are dropped.

    Languages that are not in it hang from the root, as nothing is known of their relatives.
    """

    def cut(tree: Nested) -> Nested | None:
        if isinstance(tree, str):
            return tree if tree in languages else None
        children = tuple(child for child in map(cut, tree) if child is not None)
        return children if len(children) > 1 else next(iter(children), None)

    branches = [branch for branch in map(cut, FAMILY_TREE) if branch is not None]
    placed = {leaf for branch in branches for leaf in leaves(branch)}
    branches += [code for code in languages if code not in placed]
    only = branches[0] if len(branches) == 1 else None
    return only if isinstance(only, tuple) else tuple(branches)


def in_family_order(codes: Collection[str]) -> tuple[str, ...]:
    """The languages as ``FAMILY_TREE`` has them from left to right, those of unknown family last, by name."""
    known = [code for code in leaves(FAMILY_TREE) if code in codes]
    return (*known, *sorted(set(codes) - set(known), key=lambda code: language(code).name))


def reference_distances(kind: str, languages: Sequence[str]) -> np.ndarray:
    """How far apart languages are by a measure that has nothing to do with models, float64 (n, n).

    ``kind`` is one of ``DISTANCE_KINDS``:

    - ``genealogy``: 1 - shared / depth. ``shared`` is the number of groups of ``FAMILY_TREE`` below its root
      that hold both languages; ``depth`` is the length of the longest line of descent in it, the language at
      its end included (4: Indo-European, Indo-Iranian, Indo-Aryan, Hindi). 1 for languages of two families.
    - ``script``: 0 for languages written in the same script, 1 for others.
    - ``geography``: kilometres along a great circle between the points of ``COORDINATES``.

    A language is at distance 0 from itself. A cell is NaN where one of two languages is not known here.
    Raises LsnError on another kind.
    """
    import numpy as np

    if kind not in _DISTANCES:
        raise LsnError(
            f"there is no distance {kind!r} between languages; choose one of {', '.join(DISTANCE_KINDS)}"
        )
    between = _DISTANCES[kind]
    cells = [[0.0 if one == other else between(one, other) for other in languages] for one in languages]
    return np.array(cells, dtype=np.float64).reshape(len(languages), len(languages))


def _genealogy(one: str, other: str) -> float:
    mine, theirs = _lineage(one), _lineage(other)
    if not mine or not theirs:
        return nan
    depth = max(len(_lineage(code)) for code in leaves(FAMILY_TREE))
    return 1 - len(set(mine) & set(theirs)) / depth


def _lineage(code: str) -> tuple[Nested, ...]:
    """The groups of ``FAMILY_TREE`` that hold a language, the language last; empty when it is not there."""

    def down(tree: Nested) -> tuple[Nested, ...]:
        if isinstance(tree, str):
            return (tree,) if tree == code else ()
        return next(((tree, *below) for below in map(down, tree) if below), ())

    return down(FAMILY_TREE)[1:]


def _script(one: str, other: str) -> float:
    if one not in _KNOWN or other not in _KNOWN:
        return nan
    return float(_KNOWN[one].script != _KNOWN[other].script)


def _geography(one: str, other: str) -> float:
    """Great-circle distance by the haversine formula, which is exact for near points too."""
    if one not in COORDINATES or other not in COORDINATES:
        return nan
    (north, east), (other_north, other_east) = (map(radians, COORDINATES[code]) for code in (one, other))
    half = sin((north - other_north) / 2) ** 2
    half += cos(north) * cos(other_north) * sin((east - other_east) / 2) ** 2
    return 2 * EARTH_RADIUS * asin(sqrt(half))


_DISTANCES: dict[str, Callable[[str, str], float]] = {
    "genealogy": _genealogy,
    "script": _script,
    "geography": _geography,
}
DISTANCE_KINDS = tuple(_DISTANCES)
"""The kinds of ``reference_distances``."""
