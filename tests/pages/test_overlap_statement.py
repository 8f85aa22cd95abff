"""The sentence above the Overlap page's figure, counted again from the tables alone, on three atlases.

Nothing here goes through the software's own analysis: the overlap table is read as parquet, and means, ceilings,
intervals and the noise among many pairs are worked out once more, with other random draws.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from streamlit.testing.v1 import AppTest

from lsn_core.languages import language
from tests.pages.conftest import APP, Visit

SHIPPED = APP.parent / "masks"
DRAWS = 200
DIGITS = {"neutrality": 2, "above-reference": 4, "above-chance": 3, "jaccard": 3}

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


def resamples(shared: Shared, measure: str) -> Iterator[dict[Pair, float]]:
    """The same for matrices and seeds drawn with replacement."""
    rng = np.random.default_rng(20240817)
    for _ in range(DRAWS):
        rows = rng.integers(len(shared.sizes), size=len(shared.sizes))
        drawn = {code: list(rng.choice(tickets, len(tickets))) for code, tickets in shared.seeds.items()}
        yield values(shared, measure, rows, drawn)


def statement(app: AppTest) -> str:
    return next(m.value for m in app.markdown if m.value.startswith("With 50 %"))


@pytest.mark.parametrize(
    ("atlas", "measure"),
    [
        ("synthetic", "neutrality"),
        ("synthetic", "above-reference"),
        ("synthetic", "above-chance"),
        ("synthetic", "jaccard"),
        ("demo", "neutrality"),
        pytest.param("demo", "jaccard", marks=pytest.mark.slow),
        ("e5-small", "neutrality"),
        pytest.param("e5-small", "jaccard", marks=pytest.mark.slow),
    ],
)
def test_statement_is_what_the_table_says(
    visit: Visit, atlases: Path, monkeypatch: pytest.MonkeyPatch, atlas: str, measure: str
) -> None:
    name = "demo" if atlas == "synthetic" else atlas
    root = atlases if atlas == "synthetic" else SHIPPED
    monkeypatch.setenv("LSN_MASKS", str(root))
    app = visit("overlap", atlas=name, task="mlm", measure=measure, sparsity="50")
    assert not app.exception
    text = statement(app)
    shared = read(root / name)
    every = np.arange(len(shared.sizes))
    found = values(shared, measure, every, shared.seeds)
    digits = DIGITS[measure]

    assert f"two of these {len(shared.seeds)} languages" in text
    mean = float(np.mean(list(found.values())))
    assert f"**{mean:.{digits}f}**" in text
    for word, pick in (("Most alike are", max), ("least", min)):
        pair = pick(found, key=lambda each: found[each])
        said = re.search(rf"{word} (\S+) and (\S+) \(([\d.]+)\)", text)
        assert said is not None
        assert {said[1], said[2]} == {language(code).name for code in pair}
        assert said[3] == f"{found[pair]:.{digits}f}"

    drawn = list(resamples(shared, measure))
    means = [np.mean(list(each.values())) for each in drawn]
    low, high = np.quantile(means, [0.025, 0.975])
    told = re.search(r"interval ([\d.]+) to ([\d.]+)\)", text)
    assert told is not None
    slack = 10.0**-digits + 0.2 * (high - low)
    assert float(told[1]) == pytest.approx(low, abs=slack)
    assert float(told[2]) == pytest.approx(high, abs=slack)

    seeds = len(next(iter(shared.seeds.values())))
    noise = [np.ptp([each[pair] - found[pair] for pair in found]) for each in drawn]
    widest = np.quantile(noise, 0.95) * np.sqrt(seeds / (seeds - 1))
    clear = np.ptp(list(found.values())) > widest
    assert ("noise alone would not set two so far apart" in text) == clear
    assert ("noise alone can set two so far apart" in text) == (not clear)

    shown = {metric.label: metric.value for metric in app.metric}
    levels = {
        "Chance": [
            shared.expected(a, b, every, inside=False)
            for one, other in combinations(shared.seeds, 2)
            for a in shared.seeds[one]
            for b in shared.seeds[other]
        ],
        "Same language": [
            np.mean([shared.jaccard(a, b, every) for a, b in combinations(tickets, 2)])
            for tickets in shared.seeds.values()
        ],
    }
    for label, numbers in levels.items():
        assert float(shown[label]) == pytest.approx(np.mean(numbers), abs=6e-4)
