"""How many cases there are, about a thousand or as many as ``LSN_FUZZ_CASES`` says; and those of one reader."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from tests.fuzz.engine import Reader, Tally, run
from tests.fuzz.readers import READERS

CASES_VARIABLE = "LSN_FUZZ_CASES"
DEFAULT_CASES = 1000


def total() -> int:
    """Cases that are asked for in all."""
    return int(os.environ.get(CASES_VARIABLE, DEFAULT_CASES))


def cases_of(reader: Reader) -> int:
    """Cases of one reader; each has one at least, so that the sum is never less than what is asked for."""
    return max(1, -int(-total() * reader.share // sum(each.share for each in READERS)))


def one(name: str, case: int | None) -> Tally:
    """All cases of the reader of this name, or one of them."""
    logging.disable(logging.WARNING)  # Streamlit warns that no browser is there
    (reader,) = (reader for reader in READERS if reader.name == name)
    cases, first = (cases_of(reader), 0) if case is None else (1, case)
    with tempfile.TemporaryDirectory(prefix="lsn-fuzz-") as folder:
        return run(reader, cases, Path(folder), first)
