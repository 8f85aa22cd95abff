"""Every reader on mutated inputs: no crash, no hang, no memory to speak of, no file of others, a clear sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.fuzz.engine import Reader, run
from tests.fuzz.plan import cases_of, total
from tests.fuzz.readers import READERS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc"),
]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_reader(reader: Reader, tmp_path: Path) -> None:
    tally = run(reader, cases_of(reader), tmp_path)
    assert tally.failures == []
    assert tally.cases == cases_of(reader)


def test_as_many_cases_as_were_asked_for() -> None:
    assert sum(map(cases_of, READERS)) >= total()
