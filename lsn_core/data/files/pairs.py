"""Pairs of sentences with a label: tab-separated lines and JSON lines.

* ``.tsv``: premise, hypothesis and label, with a tab between them and no quoting; a first line whose third column
  is ``label`` or ``gold_label`` is a heading.
* ``.jsonl``: one object a line with ``premise``, ``hypothesis`` and ``label``.

A label is a word of ``NLI_LABELS`` ("contradictory", as some files have it, means contradiction) or its number in
that order: 0 entailment, 1 neutral, 2 contradiction.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lsn_core.data.files.reading import json_objects, numbered
from lsn_core.data.source import NLI_LABELS, Pair
from lsn_core.errors import LsnError, brief

_HEADINGS = frozenset({"label", "gold_label"})
_BY_WORD = {
    **{label: label for label in NLI_LABELS},
    **{str(number): label for number, label in enumerate(NLI_LABELS)},
    "contradictory": "contradiction",
}


def read_pairs(text: str, path: Path) -> Iterator[Pair]:
    """Pairs of a file in the format that its suffix says. LsnError names file and line of what is wrong."""
    rows = tsv_rows(text, path) if path.suffix == ".tsv" else jsonl_rows(text, path)
    for number, premise, hypothesis, label in rows:
        # Not bool, which is an int: true is no label.
        word = str(label).strip().lower() if type(label) in (str, int) else ""
        if word not in _BY_WORD:
            raise LsnError(
                f"Line {number} of {path} has the label {brief(repr(label))}; the labels are "
                f"{', '.join(NLI_LABELS)}, or 0, 1, 2 in this order."
            )
        yield Pair(premise.strip(), hypothesis.strip(), _BY_WORD[word])


def tsv_rows(text: str, path: Path) -> Iterator[tuple[int, str, str, Any]]:
    """Line number, premise, hypothesis and label of each line but the heading."""
    for number, line in numbered(text, path):
        columns = line.split("\t")
        if number == 1 and len(columns) == 3 and columns[2].strip().lower() in _HEADINGS:
            continue
        if len(columns) != 3 or not all(column.strip() for column in columns):
            raise LsnError(
                f"Line {number} of {path} is no pair; it needs a premise, a hypothesis and a label with tabs "
                "between them."
            )
        yield number, columns[0], columns[1], columns[2]


def jsonl_rows(text: str, path: Path) -> Iterator[tuple[int, str, str, Any]]:
    """Line number, premise, hypothesis and label of each object."""
    for number, entry in json_objects(text, path):
        premise, hypothesis = entry.get("premise"), entry.get("hypothesis")
        if not all(isinstance(part, str) and part.strip() for part in (premise, hypothesis)):
            raise LsnError(
                f'Line {number} of {path} is no pair; it needs the fields "premise", "hypothesis" and "label".'
            )
        yield number, str(premise), str(hypothesis), entry.get("label")
