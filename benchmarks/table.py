"""The rows of the benchmark table, and the page that they make."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Row:
    """One piece of work, measured beside what a user would pick instead, in the same run.

    Amounts are given as they are to be read, with their unit ("0.84 s"); `ratio` is theirs over ours, larger is
    better for us, None where there is nothing to compare with. `limit` says what holds the work back (memory
    traffic, arithmetic, the browser) and how far from that limit it is.
    """

    work: str
    against: str
    ours: str
    theirs: str
    ratio: float | None
    aim: str
    reached: bool
    limit: str

    def cells(self) -> list[str]:
        """The row as cells of a Markdown table."""
        ratio = (
            "–"
            if self.ratio is None
            else f"{self.ratio:,.0f}×"
            if self.ratio >= 100
            else f"{self.ratio:.2f}×"
        )
        return [
            self.work,
            self.ours,
            self.against,
            self.theirs,
            ratio,
            self.aim,
            "yes" if self.reached else "**no**",
            self.limit,
        ]


HEADINGS = ["work", "here", "against", "there", "ratio", "aim", "reached", "what limits it"]


@dataclass(frozen=True)
class Measured:
    """The rows of one benchmark, with the machine and the day that they come from."""

    name: str
    machine: str
    day: str
    rows: list[Row]

    def write(self, folder: Path) -> None:
        """One JSON file a benchmark, so that one can be measured again without the others."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"
        (folder / f"{self.name}.json").write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Measured:
        """What `write` wrote."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**fields, "rows": [Row(**row) for row in fields["rows"]]})


def machine() -> str:
    """The processor, its cores and the versions that times depend on."""
    model = platform.processor() or platform.machine()
    description = Path("/proc/cpuinfo")
    if description.exists():
        named = [line for line in description.read_text().splitlines() if line.startswith("model name")]
        model = named[0].split(":", 1)[1].strip() if named else model
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}"


def markdown(results: Iterable[Measured]) -> str:
    """One table for each machine and day, in the order given."""
    blocks: dict[tuple[str, str], list[Row]] = {}
    for result in results:
        blocks.setdefault((result.machine, result.day), []).extend(result.rows)
    parts = []
    for (where, day), rows in blocks.items():
        lines = [HEADINGS, ["---"] * len(HEADINGS), *(row.cells() for row in rows)]
        parts.append(f"{where}; {day}\n\n" + "\n".join("| " + " | ".join(cells) + " |" for cells in lines))
    return "\n\n".join(parts) + "\n"
