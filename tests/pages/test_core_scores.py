"""What the Neutral core page says of the core's score and of sets of languages, and which controls it has."""

from __future__ import annotations

import json
import re
import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from lsn_core.analysis.core_scores import core_rows
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.ticket import TicketKey
from tests.pages.conftest import FEW, Visit, charts, plain, said
from tests.synthetic_atlas import write_core_scores

NAMES = {"en": "English", "de": "German", "fr": "French", "sw": "Swahili"}


@pytest.fixture(scope="module", autouse=True)
def with_scores(atlases: Path) -> Path:
    """Atlases whose core was scored, beside those where it was not."""
    for name in ("scored", "scored-once", "scored-damaged"):
        shutil.copytree(atlases / "demo", atlases / name)
    write_core_scores(Atlas.open(atlases / "scored"), FEW, 3)
    write_core_scores(Atlas.open(atlases / "scored-once"), FEW, 4, seeds=(0,), controls=("random",))
    (atlases / "scored-damaged" / "core.parquet").write_bytes(b"not a table")
    return atlases


def figures(app: AppTest) -> dict[str, dict[str, Any]]:
    return {chart.key: json.loads(chart.proto.spec) for chart in charts(app)}


def score_words(app: AppTest) -> str:
    return plain(next(m.value for m in app.markdown if m.value.startswith("Trained on one"))).replace(
        "−", "-"
    )


def by_language(table: pd.DataFrame, control: str) -> pd.DataFrame:
    """Seed by language."""
    return table[table["control"] == control].pivot(index="seed", columns="target", values="value")


def test_sentence_is_computed_from_the_table(visit: Visit, atlases: Path) -> None:
    text = score_words(visit("core", atlas="scored", k="3"))
    table = core_rows(Atlas.open(atlases / "scored"))
    core = by_language(table, "")
    kept = table[table["control"] == ""]["kept"].mean()
    assert (
        f"at least 3 of 4 languages keep, {kept:,.0f} weights (80.0 % of the number in one sub-network)"
        in text
    )
    assert f"scores on average **{core.to_numpy().mean():.3f}** (top-1 accuracy)" in text
    for control, words in (
        ("own", "the language's own sub-network"),
        ("random", "as many weights drawn by lot"),
        ("base", "as many of the largest pretrained weights"),
        ("dense", "the unpruned model"),
    ):
        other = by_language(table, control)
        by_seed = (core - other).mean(axis=1)
        spread = max(np.ptp(by_seed), np.ptp(core.mean(axis=1)), np.ptp(other.mean(axis=1)))
        shown = bool(abs(by_seed.mean()) > 2 * spread)
        each = " and ".join(f"{value + 0.0:+.3f}" if round(value, 3) else "0.000" for value in by_seed)
        side = "above" if by_seed.mean() > 0 else "below"
        claimed = f"**{abs(by_seed.mean()):.3f} {side}** ({each} by seed) {words}"
        assert (claimed in text) == shown, control
        assert (f"{words} ({each} by seed)" in text) == (not shown), control
    assert "**no difference is shown**" in text


def test_figure_has_a_mark_a_network_and_language(visit: Visit, atlases: Path) -> None:
    shown = figures(visit("core", atlas="scored", k="3"))["core_scores"]
    table = core_rows(Atlas.open(atlases / "scored"))
    traces = {trace["name"]: trace for trace in shown["data"]}
    assert list(traces) == [
        *("core", "own sub-network", "largest pretrained, as many", "random, as many", "unpruned model"),
    ]
    assert len({trace["marker"]["symbol"] for trace in traces.values()}) == 5
    order = [code for name in shown["layout"]["yaxis"]["ticktext"] for code, n in NAMES.items() if n == name]
    assert sorted(order) == sorted(FEW)
    texts = traces["own sub-network"]["customdata"]
    means = by_language(table, "own").mean()
    assert [float(re.search(r": ([\d.]+)", text)[1]) for text in texts] == [  # type: ignore[index]
        pytest.approx(means[code], abs=6e-4) for code in order
    ]


def test_one_seed_claims_nothing_and_missing_networks_are_left_out(visit: Visit) -> None:
    app = visit("core", atlas="scored-once")
    text = score_words(app)
    assert re.search(r"That is 0\.\d{3} (above|below) as many weights drawn by lot; with one seed, how", text)
    assert "Seed 0 only" in said(app)
    assert "**no difference" not in text
    assert " above**" not in text
    assert "Not measured with seed 1." in said(app)
    assert [trace["name"] for trace in figures(app)["core_scores"]["data"]] == ["core", "random, as many"]


def test_a_core_without_a_score_has_the_command_and_ways_to_those_that_have_one(visit: Visit) -> None:
    app = visit("core", atlas="scored")  # of all four; measured is at least three
    assert "Not measured yet" in said(app)
    assert "core --atlas masks/scored --task mlm --sparsity 0.5 --at-least 4 --score" in said(app)
    (way,) = [button for button in app.button if button.label == "Show the core of at least 3 of 4"]
    way.click().run()
    assert app.query_params["k"] == "3"
    assert "core_scores" in figures(app)
    app = visit("core", atlas="scored", k="3", sparsity="80")
    (way,) = [button for button in app.button if button.label == "Show 50 %"]
    way.click().run()
    assert "core_scores" in figures(app)
    app = visit("core", atlas="scored", k="2", languages="en.fr.sw")
    assert "--at-least 2 --score --languages en fr sw" in said(app)
    assert "at least 3 of 4 languages (" in said(app)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ({"atlas": "demo"}, "Not measured yet"),
        ({"atlas": "scored-once", "seeds": "1"}, "scored with seed 0"),
        ({"atlas": "scored", "method": "random", "k": "3"}, "Only cores of iterative pruning"),
        ({"atlas": "scored-damaged"}, "damaged"),
    ],
)
def test_states(visit: Visit, atlases: Path, tokens: dict[str, str], words: str) -> None:
    app = visit("core", tokens)
    assert not app.exception
    assert words in said(app)
    assert str(atlases) not in said(app)
    assert "core_scores" not in figures(app)
    assert "core_sets" in figures(app), "the rest of the page is there"


def test_sets_are_counted_as_weight_by_weight(visit: Visit, atlases: Path) -> None:
    app = visit("core")
    atlas = Atlas.open(atlases / "demo")
    counts: dict[tuple[str, ...], list[int]] = {}
    for seed in (0, 1):
        masks = {code: atlas.ticket(TicketKey("mlm", code, "imp", seed)).mask(0.5) for code in FEW}
        for size in range(1, len(FEW)):
            for chosen in combinations(FEW, size):
                exactly = None
                for code in FEW:
                    side = masks[code] if code in chosen else ~masks[code]
                    exactly = side if exactly is None else exactly & side
                counts.setdefault(chosen, []).append(exactly.kept)  # type: ignore[union-attr]
    means = {chosen: float(np.mean(found)) for chosen, found in counts.items()}
    shown = figures(app)["core_sets"]
    measured = next(trace for trace in shown["data"] if trace["name"] == "measured")
    assert measured["y"] == sorted((value for value in means.values() if value), reverse=True)[:15]
    whole = sum(means.values())
    text = plain(next(m.value for m in app.markdown if "All 4 languages keep the same" in m.value))
    assert f"**{whole:,.0f}** ({100 * whole / atlas.layout.size:.1f} %)" in text
    best = max(means, key=lambda chosen: means[chosen])
    assert f"({means[best]:,.0f})" in text.split("most: ")[1].split(";")[0]
    rows = shown["layout"]["yaxis2"]["ticktext"]
    inside = next(trace for trace in shown["data"] if trace["name"] == "in the set")
    first = sorted(rows[row] for place, row in zip(inside["x"], inside["y"], strict=True) if place == 0)
    assert means[tuple(c for c in FEW if NAMES[c] in first)] == measured["y"][0]


def test_groups_leave_out_one_alone_and_all_but_one_and_are_in_the_address(visit: Visit) -> None:
    app = visit("core")
    app.segmented_control(key="sets").set_value("groups").run()
    assert app.query_params["sets"] == "groups"
    inside = next(t for t in figures(app)["core_sets"]["data"] if t["name"] == "in the set")
    assert set(np.bincount(inside["x"])) == {2}
    assert "Among groups of languages" in said(app)
    assert figures(visit("core", app.query_params)) == figures(app)
    assert not [c for c in visit("core", languages="en.de.fr").segmented_control if c.key == "sets"]


def test_measure_is_not_drawn_where_it_says_nothing_and_comes_back(visit: Visit) -> None:
    app = visit("core", measure="jaccard")
    assert not [box for box in app.selectbox if box.key == "measure"]
    app.multiselect(key="languages").set_value(["en", "fr"]).run()
    assert app.query_params["measure"] == "jaccard"
    app.switch_page("pages/overlap.py").run()
    assert app.selectbox(key="measure").value.token == "jaccard"
    assert app.multiselect(key="languages").value == ["en", "fr"]


def test_methods_has_the_atlas_alone_and_keeps_the_rest(visit: Visit) -> None:
    app = visit("methods", measure="jaccard", sparsity="80", languages="en.fr")
    assert [box.key for box in app.selectbox] == ["atlas"]
    assert not app.multiselect
    app.switch_page("pages/overlap.py").run()
    assert app.selectbox(key="measure").value.token == "jaccard"
    assert app.session_state["sparsity"] == 0.8
    assert app.multiselect(key="languages").value == ["en", "fr"]
