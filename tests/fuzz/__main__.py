"""``python -m tests.fuzz [READER [CASE]]``: all cases, those of one reader, or one case again; a row a reader."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.engine import Reader, Tally, run
from tests.fuzz.plan import cases_of, total
from tests.fuzz.readers import READERS

_SHOWN = 10


def main(arguments: list[str]) -> int:
    chosen = [reader for reader in READERS if not arguments or reader.name == arguments[0]]
    if not chosen:
        print(
            f"There is no reader {arguments[0]!r}; there are {', '.join(reader.name for reader in READERS)}."
        )
        return 2
    begun = time.monotonic()
    tallies = []
    print(f"{'reader':<28}{'cases':>8}{'refused':>9}{'read':>8}{'faults':>8}")
    for reader in chosen:
        tallies.append(_one(reader, int(arguments[1]) if len(arguments) > 1 else None))
        _say(tallies[-1])
        for number, what in tallies[-1].failures[:_SHOWN]:
            print(f"    python -m tests.fuzz {tallies[-1].name!r} {number}: {what}")
    whole = Tally("in all")
    for tally in tallies:
        whole.cases += tally.cases
        whole.refused += tally.refused
        whole.failures += tally.failures
    _say(whole)
    print(f"{time.monotonic() - begun:.0f} s; {total()} cases asked for")
    return 1 if whole.failures else 0


def _one(reader: Reader, case: int | None) -> Tally:
    with tempfile.TemporaryDirectory(prefix="lsn-fuzz-") as folder:
        cases, first = (cases_of(reader), 0) if case is None else (1, case)
        return run(reader, cases, Path(folder), first)


def _say(tally: Tally) -> None:
    print(
        f"{tally.name:<28}{tally.cases:>8}{tally.refused:>9}{tally.accepted:>8}{len(tally.failures):>8}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
