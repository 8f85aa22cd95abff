"""Where text comes from: the shape every source has, and how a source is named.

A *source* holds text in several languages; a *corpus* is one language's lines of one split. In a parallel
source, line ``i`` of every language says the same thing.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from lsn_core.errors import LsnError

SPLITS: tuple[str, ...] = ("train", "dev", "test")


@runtime_checkable
class Corpus(Protocol):
    """Lines of one language and one split, by number."""

    @property
    def language(self) -> str: ...

    @property
    def split(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> str: ...


@runtime_checkable
class TextSource(Protocol):
    """Text in several languages, split into train, dev and test."""

    @property
    def name(self) -> str: ...

    def languages(self) -> tuple[str, ...]:
        """Codes of the languages there is text in."""

    def corpus(self, language: str, split: str) -> Corpus:
        """The lines of ``language`` in ``split`` (one of :data:`SPLITS`); LsnError if there are none."""

    def fingerprint(self, language: str) -> str:
        """sha256 (hex) of what would be read for ``language``: equal where the text is equal."""


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


def open_source(spec: str) -> TextSource:
    """The source that ``spec`` names: ``cldr`` (embedded text), or a local folder.

    ``hub:NAME`` is understood but refused: text is not read from the hub yet. Raises LsnError with one
    sentence that says what is wrong with the name or with the folder.
    """
    # Imported here so that each kind of source costs only those who use it.
    from lsn_core.data.cldr import CldrSource
    from lsn_core.data.files import FolderSource

    name = spec.strip()
    if not name:
        raise LsnError("The name of the data source is empty; give cldr or a folder.")
    if name == "cldr":
        return CldrSource()
    if name.startswith("hub:"):
        raise LsnError(
            f"Data sets of the hub ({name}) are not supported for this yet; "
            "use cldr, or a local folder with LANG.train.txt, LANG.dev.txt and LANG.test.txt."
        )
    return FolderSource(name)
