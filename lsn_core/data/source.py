"""Where text and labels come from: the shape every source has, and how a source is named.

A *source* holds items in several languages; a *corpus* is one language's items of one split and one kind: lines
of text, sentences whose words are tagged, or pairs of sentences with a label. In a parallel source, line ``i``
of every language says the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from lsn_core.errors import LsnError

SPLITS: tuple[str, ...] = ("train", "dev", "test")

KINDS: tuple[str, ...] = ("text", "pos", "ner", "nli")
"""What an item is: a line of text (str), a sentence with part-of-speech tags or with entity tags (Tagged), or a
pair of sentences (Pair)."""

# fmt: off
UPOS_TAGS: tuple[str, ...] = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM",
    "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X",
)
# fmt: on
"""The universal parts of speech (Universal Dependencies, version 2)."""

NLI_LABELS: tuple[str, ...] = ("entailment", "neutral", "contradiction")


@dataclass(frozen=True)
class Tagged:
    """A sentence in words with one tag a word; entity tags are in the scheme BIO. LsnError when they do not fit."""

    words: tuple[str, ...]
    tags: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.words or len(self.words) != len(self.tags):
            raise LsnError(
                f"A tagged sentence has {len(self.words)} words and {len(self.tags)} tags; give a tag a word."
            )


@dataclass(frozen=True)
class Pair:
    """Two sentences and whether the first entails the second. LsnError when the label is not of ``NLI_LABELS``."""

    premise: str
    hypothesis: str
    label: str

    def __post_init__(self) -> None:
        if self.label not in NLI_LABELS:
            raise LsnError(
                f"There is no inference label {self.label!r}; the labels are {', '.join(NLI_LABELS)}."
            )


Item = TypeVar("Item", str, Tagged, Pair, covariant=True)


@runtime_checkable
class Corpus(Protocol[Item]):
    """Items of one language, split and kind, by number."""

    @property
    def language(self) -> str: ...

    @property
    def split(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Item: ...


@runtime_checkable
class Source(Protocol):
    """Items in several languages, split into train, dev and test."""

    @property
    def name(self) -> str: ...

    def languages(self, kind: str = "text") -> tuple[str, ...]:
        """Codes of the languages there are items of this kind in."""

    def corpus(self, language: str, split: str, kind: str = "text") -> Corpus:
        """The items of ``language`` in ``split`` (one of :data:`SPLITS`); LsnError if there are none."""

    def labels(self, kind: str) -> tuple[str, ...]:
        """The tags or labels of this kind, the same for every language, in a fixed order; LsnError if none."""

    def fingerprint(self, language: str, kind: str = "text") -> str:
        """sha256 (hex) of what would be read for ``language``: equal where the items are equal."""


def check_kind(kind: str, offered: tuple[str, ...], name: str) -> str:
    """``kind`` itself, or LsnError when the source called ``name`` does not offer it."""
    if kind not in offered:
        raise LsnError(
            f"The source {name!r} has no data for {kind!r}; it has {', '.join(offered)}, so give another --data."
        )
    return kind


def check_split(split: str) -> str:
    """``split`` itself, or LsnError when it is not one of :data:`SPLITS`."""
    if split not in SPLITS:
        raise LsnError(f"There is no split {split!r}; the splits are {', '.join(SPLITS)}.")
    return split


def line_number(index: int, length: int) -> int:
    """``index`` as a number in 0..length-1, negative ones counted from the end; IndexError outside."""
    number = index + length if index < 0 else index
    if not 0 <= number < length:
        raise IndexError(f"line {index} of a corpus of {length} lines")
    return number
