"""``python -m tests.fuzz [READER [CASE]]``: all cases, those of one reader, or one case again; a row a reader."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.fuzz.engine import Tally
from tests.fuzz.plan import one, total
from tests.fuzz.readers import READERS

_SHOWN = 10


def main(arguments: Sequence[str]) -> int:
    """Print the table; 1 when a reader misbehaved, 2 when there is no such reader."""
    names = [reader.name for reader in READERS if not arguments or reader.name == arguments[0]]
    if not names:
        print(
            f"There is no reader {arguments[0]!r}; there are {', '.join(reader.name for reader in READERS)}."
        )
        return 2
    case = int(arguments[1]) if len(arguments) > 1 else None
    begun, whole = time.monotonic(), Tally("in all")
    print(f"{'reader':<28}{'cases':>8}{'refused':>9}{'read':>8}{'faults':>8}")
    # A process each, so that what one has in memory does not hide what another takes.
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), max_tasks_per_child=1) as processes:
        for tally in processes.map(one, names, [case] * len(names)):
            _say(tally)
            for number, what in tally.failures[:_SHOWN]:
                print(f"    python -m tests.fuzz {tally.name!r} {number}: {what}")
            whole.cases += tally.cases
            whole.refused += tally.refused
            whole.failures += tally.failures
    _say(whole)
    print(f"{time.monotonic() - begun:.0f} s; {total()} cases asked for")
    return 1 if whole.failures else 0


def _say(tally: Tally) -> None:
    row = (tally.cases, tally.refused, tally.accepted, len(tally.failures))
    print(f"{tally.name:<28}{row[0]:>8}{row[1]:>9}{row[2]:>8}{row[3]:>8}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
