"""The sentence above the Overlap page's figure, counted again from the tables alone, on three atlases."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lsn_core.languages import language
from tests.pages.conftest import Visit
from tests.pages.recount import SHIPPED, read, resamples, values

DIGITS = {"neutrality": 2, "above-reference": 4, "above-chance": 3, "jaccard": 4}


def statement(app: AppTest) -> str:
    return next(m.value for m in app.markdown if m.value.startswith("With 50"))


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

    drawn = resamples(root / name, measure)
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
        assert float(shown[label]) == pytest.approx(np.mean(numbers), abs=6e-5)
