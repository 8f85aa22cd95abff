"""The languages the software knows by name, and how they are related.

The names are written here by hand, so that this module needs nothing but the standard library. The
relations follow the classification of Glottolog (https://glottolog.org), cut down to the levels that
tell the paper's eleven languages apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

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


def in_paper_order(codes: Collection[str]) -> tuple[str, ...]:
    """The paper's languages among ``codes`` in the paper's order, then the others by code."""
    known = [code for code in PAPER_LANGUAGES if code in codes]
    return (*known, *sorted(set(codes) - set(known)))


def language(code: str) -> Language:
    """The language with this code; a code that is not in the table is a language of unknown family."""
    return _KNOWN.get(code) or Language(code, code, code, "unknown", None, "unknown", "ltr")


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
