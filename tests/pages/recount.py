"""What the pages say of overlaps, worked out once more from an atlas's table, by other code and other random draws.

Nothing here goes through the software's own analysis: the overlap table is read as parquet.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet

from tests.pages.conftest import APP

SHIPPED = APP.parent / "masks"
DRAWS = 200

Pair = tuple[str, str]


@dataclass(frozen=True)
class Shared:
    """Kept and shared weights by matrix: `both[a, b]` (M,) of two tickets, the base mask among them as "base"."""

    both: dict[Pair, np.ndarray]
    sizes: np.ndarray
    seeds: dict[str, list[str]]

    def jaccard(self, a: str, b: str, rows: np.ndarray) -> float:
        shared = self.both[a, b][rows].sum()
        return float(shared / (self.both[a, a][rows].sum() + self.both[b, b][rows].sum() - shared))

    def expected(self, a: str, b: str, rows: np.ndarray, inside: bool) -> float:
        """The Jaccard index of masks that share by chance, or (`inside`) nothing but the base mask."""
        first, second, size = self.both[a, a][rows], self.both[b, b][rows], self.sizes[rows]
        if inside:
            base = self.both["base", "base"][rows]
            one, other = self.both["base", a][rows], self.both["base", b][rows]
            shared = (one * other / base + (first - one) * (second - other) / (size - base)).sum()
        else:
            shared = (first * second / size).sum()
        return float(shared / (first.sum() + second.sum() - shared))


@cache
def read(folder: Path) -> Shared:
    """What an atlas's table says at 50 %, for masked words and iterative pruning."""
    table = pyarrow.parquet.read_table(folder / "overlap.parquet").to_pylist()
    rows = [row for row in table if abs(row["sparsity"] - 0.5) < 1e-9]
    both: dict[Pair, np.ndarray] = {}
    for row in rows:
        counts = np.array(row["intersection"], dtype=np.float64)
        both[row["ticket_a"], row["ticket_b"]] = both[row["ticket_b"], row["ticket_a"]] = counts
    matrices = json.loads((folder / "atlas.json").read_text())["layout"]
    seeds: dict[str, list[str]] = {}
    for stem in sorted({row["ticket_a"] for row in rows} | {row["ticket_b"] for row in rows}):
        if match := re.fullmatch(r"mlm-(\w+)-imp-s\d+", stem):
            seeds.setdefault(match[1], []).append(stem)
    return Shared(both, np.array([np.prod(matrix["shape"]) for matrix in matrices], dtype=np.float64), seeds)


def values(shared: Shared, measure: str, rows: np.ndarray, drawn: dict[str, list[str]]) -> dict[Pair, float]:
    """The measure of every two languages, over these matrices and seeds."""
    own = {
        code: np.mean(
            [shared.jaccard(a, b, rows) for a, b in combinations(tickets, 2) if a != b]
            or [shared.jaccard(a, b, rows) for a, b in combinations(shared.seeds[code], 2)]
        )
        for code, tickets in drawn.items()
    }
    found = {}
    for first, second in combinations(drawn, 2):
        pairs = [(a, b) for a in drawn[first] for b in drawn[second]]
        overlap, floor = np.mean([shared.jaccard(a, b, rows) for a, b in pairs]), 0.0
        if measure != "jaccard":
            inside = measure != "above-chance"
            floor = float(np.mean([shared.expected(a, b, rows, inside) for a, b in pairs]))
        scale = (own[first] + own[second]) / 2 - floor if measure == "neutrality" else 1.0
        found[first, second] = float((overlap - floor) / scale)
    return found


@cache
def resamples(folder: Path, measure: str) -> list[dict[Pair, float]]:
    """The same of an atlas for `DRAWS` times matrices and seeds drawn with replacement."""
    shared, rng = read(folder), np.random.default_rng(20240817)
    found = []
    for _ in range(DRAWS):
        rows = rng.integers(len(shared.sizes), size=len(shared.sizes))
        drawn = {code: list(rng.choice(tickets, len(tickets))) for code, tickets in shared.seeds.items()}
        found.append(values(shared, measure, rows, drawn))
    return found
