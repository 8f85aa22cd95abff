"""Sentences whose words are tagged: CoNLL-U, columns of text, JSON lines.

* ``.conllu`` (parts of speech only): the form and the universal tag of each syntactic word. Words of several
  parts ("3-4 zum") and empty nodes ("3.1") are left out: tags belong to the parts.
* ``.txt``: a word a line with its tag in the last column, between tabs or spaces, a blank line between sentences.
  Parts of speech take two columns; entity tags two or more, as in CoNLL-2003, ``-DOCSTART-`` lines left out.
* ``.jsonl``: one object a line, with ``words`` and ``tags`` of the same length (or ``tokens`` with
  ``ner_tags``, ``pos_tags`` or ``upos``), the tags as words, not numbers.

Entity tags come out in the scheme BIO, whatever they came in: see :func:`bio`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lsn_core.data.files.reading import json_objects
from lsn_core.data.source import UPOS_TAGS, Tagged
from lsn_core.errors import LsnError, brief


class Token(NamedTuple):
    """A word with its tag as the file has it, and the line it stands on, from 1."""

    line: int
    word: str
    tag: str


def conllu_tokens(text: str, path: Path) -> Iterator[list[Token]]:
    """Syntactic words and universal tags of each sentence of CoNLL-U."""
    sentence: list[Token] = []
    for number, raw in enumerate([*text.split("\n"), ""], 1):
        line = raw.rstrip("\r")
        if line.startswith("#"):
            continue
        if not line.strip():
            if sentence:
                yield sentence
            sentence = []
            continue
        fields = line.split("\t")
        if len(fields) < 4 or not re.fullmatch(r"\d{1,9}([-.]\d{1,9})?", fields[0]) or not fields[1].strip():
            raise LsnError(
                f"Line {number} of {path} is not CoNLL-U with tags: it needs a number, a word, a lemma and a "
                "universal tag with tabs between them."
            )
        if fields[0].isdigit():
            sentence.append(Token(number, fields[1].strip(), fields[3].strip()))


def column_tokens(text: str, path: Path, kind: str) -> Iterator[list[Token]]:
    """The first and the last column of each sentence of a column file."""
    sentence: list[Token] = []
    for number, raw in enumerate([*text.split("\n"), ""], 1):
        line = raw.strip(" \t\r")
        if kind == "ner" and line.startswith("-DOCSTART-"):
            continue
        if not line:
            if sentence:
                yield sentence
            sentence = []
            continue
        # Between tabs a word may hold spaces; other separators of Unicode are always part of the word.
        columns = [column.strip(" ") for column in re.split("\t" if "\t" in line else " +", line)]
        if len(columns) < 2 or (kind == "pos" and len(columns) > 2) or not columns[0].strip():
            needed = "a word and its tag" if kind == "pos" else "a word first and its tag last"
            raise LsnError(
                f"Line {number} of {path} has {len(columns)} columns; it needs {needed}, and a blank line "
                "between sentences."
            )
        sentence.append(Token(number, columns[0].strip(), columns[-1]))


_TAG_FIELDS = {"pos": ("tags", "pos_tags", "upos"), "ner": ("tags", "ner_tags")}


def jsonl_tokens(text: str, path: Path, kind: str) -> Iterator[list[Token]]:
    """Words and tags of each object."""
    for number, entry in json_objects(text, path):
        words = _strings(entry, ("words", "tokens"))
        tags = _strings(entry, _TAG_FIELDS[kind])
        if not words or tags is None or len(words) != len(tags) or not all(word.strip() for word in words):
            raise LsnError(
                f'Line {number} of {path} has no tagged sentence; it needs "words" and as many "tags", '
                "both lists of strings that are not empty."
            )
        yield [Token(number, word.strip(), tag) for word, tag in zip(words, tags, strict=True)]


def _strings(entry: dict[str, Any], names: Sequence[str]) -> list[str] | None:
    """The first of these fields that is there, or None when it is no list of strings."""
    value = next((entry[name] for name in names if name in entry), None)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    return None


def read_pos(text: str, path: Path) -> Iterator[Tagged]:
    """Sentences with universal part-of-speech tags. LsnError names file and line of what is wrong."""
    for sentence in _tokens(text, path, "pos"):
        for token in sentence:
            if token.tag not in UPOS_TAGS:
                raise LsnError(
                    f"Line {token.line} of {path} has the tag {brief(repr(token.tag))}; the universal tags are "
                    f"{', '.join(UPOS_TAGS)}."
                )
        yield Tagged(tuple(token.word for token in sentence), tuple(token.tag for token in sentence))


def read_ner(text: str, path: Path) -> Iterator[Tagged]:
    """Sentences with entity tags in BIO. LsnError names file and line of what is wrong."""
    for sentence in _tokens(text, path, "ner"):
        for token in sentence:
            if not _ENTITY_TAG.fullmatch(token.tag):
                raise LsnError(
                    f"Line {token.line} of {path} has the entity tag {brief(repr(token.tag))}; give O, or B- or I- and a "
                    "type, as in B-PER."
                )
        yield Tagged(tuple(token.word for token in sentence), bio([token.tag for token in sentence]))


def _tokens(text: str, path: Path, kind: str) -> Iterator[list[Token]]:
    readers: dict[str, Callable[[], Iterator[list[Token]]]] = {
        ".conllu": lambda: conllu_tokens(text, path),
        ".txt": lambda: column_tokens(text, path, kind),
        ".jsonl": lambda: jsonl_tokens(text, path, kind),
    }
    return readers[path.suffix]()


_ENTITY_TAG = re.compile(r"O|[BIESLU]-\S.*")
_OPENING, _CONTINUING = frozenset("BSU"), frozenset("IEL")


def bio(tags: Sequence[str]) -> tuple[str, ...]:
    """The entity tags of one sentence in BIO (IOB2): the first word of each entity B-, its others I-.

    Understands BIO, IOB1 (B- only between neighbours of one type), IOBES and BILOU. An entity ends where the
    type changes or a tag opens another one, which is how the scorer of CoNLL-2000 and its heirs read all these.
    """
    result: list[str] = []
    previous = ""
    for tag in tags:
        prefix, _, kind = tag.partition("-")
        goes_on = prefix in _CONTINUING and kind == previous
        result.append("O" if prefix == "O" else f"{'I' if goes_on else 'B'}-{kind}")
        previous = kind
    return tuple(result)
