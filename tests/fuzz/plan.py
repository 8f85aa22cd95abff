"""How many cases there are: about a thousand, or as many as ``LSN_FUZZ_CASES`` says, shared out over the readers."""

from __future__ import annotations

import os

from tests.fuzz.engine import Reader
from tests.fuzz.readers import READERS

CASES_VARIABLE = "LSN_FUZZ_CASES"
DEFAULT_CASES = 1000


def total() -> int:
    """Cases that are asked for in all."""
    return int(os.environ.get(CASES_VARIABLE, DEFAULT_CASES))


def cases_of(reader: Reader) -> int:
    """Cases of one reader; each has one at least, so that the sum is never less than what is asked for."""
    return max(1, -int(-total() * reader.share // sum(each.share for each in READERS)))
