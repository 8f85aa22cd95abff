"""Sentences as they are: plain lines, CoNLL-U, JSON lines.

Every entry of a file counts, in order, so that entry ``i`` of every language can say the same thing:

* ``.txt``: one sentence a line. A blank line within the text is refused rather than dropped, because
  dropping it in one language would shift every later line against the others. Blank lines at the end of
  the file are left out: they shift nothing.
* ``.conllu``: one entry a sentence, its ``# text =`` if there is one, otherwise its words joined by spaces.
* ``.jsonl``: one object a line, the text in its field ``text``. Blank lines as in ``.txt``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lsn_core.data.files.reading import json_objects, numbered
from lsn_core.errors import LsnError

_NUMBER = re.compile(r"\d{1,9}([-.]\d{1,9})?")
"""The first field of a word in CoNLL-U."""


def read_text(text: str, path: Path) -> Iterator[str]:
    """Sentences of a file in the format that its suffix says. LsnError names file and line of what is wrong."""
    return {".txt": plain_lines, ".conllu": conllu_texts, ".jsonl": jsonl_texts}[path.suffix](text, path)


def plain_lines(text: str, path: Path) -> Iterator[str]:
    return (line for _, line in numbered(text, path))


def jsonl_texts(text: str, path: Path) -> Iterator[str]:
    for number, entry in json_objects(text, path):
        sentence = entry.get("text")
        if not isinstance(sentence, str) or not sentence.strip():
            raise LsnError(f'Line {number} of {path} has no text; it needs a field "text" with a sentence.')
        yield " ".join(sentence.split("\n")).strip()


def conllu_texts(text: str, path: Path) -> Iterator[str]:
    """Sentences of CoNLL-U: comments, then a word a line with tabs between its fields, then a blank line."""
    given: str | None = None
    words: list[str] = []
    covered = 0
    for number, raw in enumerate([*text.split("\n"), ""], 1):
        line = raw.rstrip("\r")
        if line.startswith("#"):
            key, equals, value = line[1:].partition("=")
            if equals and key.strip() == "text" and value.strip():
                given = value.strip()
            continue
        if line.strip():
            fields = line.split("\t")
            if len(fields) < 2 or not _NUMBER.fullmatch(fields[0]) or not fields[1].strip():
                raise LsnError(
                    f"Line {number} of {path} is not CoNLL-U: it needs a number, a tab and a word."
                )
            if "." in fields[0]:
                continue  # an empty node: not a word of the text
            first, _, last = fields[0].partition("-")
            if last:
                # A word of several parts ("3-4 zum"): the word is text, its parts are not.
                covered = int(last)
            elif int(first) <= covered:
                continue
            words.append(fields[1].strip())
            continue
        if words:
            yield given or " ".join(words)
        elif given:
            raise LsnError(f"The sentence before line {number} of {path} has a text but no words.")
        given, words, covered = None, [], 0
