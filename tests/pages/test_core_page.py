"""The Neutral core page without a browser: its numbers are counted again here, weight by weight."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lsn_core.masks.atlas import Atlas
from lsn_core.masks.ticket import TicketKey
from tests.pages.conftest import FEW, Visit, charts, plain, said

KEYS = {"core_bars", "core_alone", "core_sets", "core_places"}


def figures(app: AppTest) -> dict[str, dict[str, Any]]:
    return {chart.key: json.loads(chart.proto.spec) for chart in charts(app)}


def values(trace: dict[str, Any], axis: str) -> np.ndarray:
    """A trace's numbers, which may be sent packed."""
    sent = trace[axis]
    if not isinstance(sent, dict):
        return np.array(sent, dtype=float)
    flat = np.frombuffer(base64.b64decode(sent["bdata"]), dtype=np.dtype(sent["dtype"]))
    shape = tuple(int(part) for part in str(sent.get("shape", len(flat))).split(","))
    return flat.reshape(shape).astype(float)


def matrices(atlas: Atlas, seed: int, part: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each matrix of a part: the languages' masks, bool (n, size), and the base mask."""
    base = atlas.base()
    assert base is not None
    masks = [atlas.ticket(TicketKey("mlm", code, "imp", seed)).mask(0.5) for code in FEW]
    for matrix in atlas.layout.matrices:
        if part in ("total", f"{matrix.stack}.{matrix.layer}", matrix.component, matrix.name):
            bits = np.array([mask[matrix.name].ravel() for mask in masks])
            yield bits, base.mask(0.5)[matrix.name].ravel()


def expected(bits: np.ndarray) -> np.ndarray:
    """Weights that exactly k of n independent masks of these densities keep, by every pattern of languages."""
    counts = np.zeros(len(bits) + 1)
    if not bits.shape[1]:
        return counts
    density = bits.mean(axis=1)
    for pattern in product((False, True), repeat=len(bits)):
        chosen = np.array(pattern)
        counts[chosen.sum()] += bits.shape[1] * np.prod(np.where(chosen, density, 1 - density))
    return counts


def brute_force(atlas: Atlas, seed: int, part: str = "total") -> dict[str, np.ndarray]:
    """Weights kept by exactly k, what is expected, what each keeps, and what each keeps alone."""
    n = len(FEW)
    sums = {name: np.zeros(n + 1) for name in ("counts", "reference", "chance")}
    sums |= {name: np.zeros(n) for name in ("kept", "alone")}
    for bits, base in matrices(atlas, seed, part):
        keepers = bits.sum(axis=0)
        sums["counts"] += np.bincount(keepers, minlength=n + 1)
        sums["chance"] += expected(bits)
        sums["reference"] += expected(bits[:, base]) + expected(bits[:, ~base])
        sums["kept"] += bits.sum(axis=1)
        sums["alone"] += (bits & (keepers == 1)).sum(axis=1)
    return sums


@pytest.mark.parametrize(
    ("query", "part", "k"),
    [
        ({}, "total", 4),
        ({"k": "2"}, "total", 2),
        ({"k": "3", "by": "layer", "scope": "encoder.2"}, "encoder.2", 3),
        ({"by": "component", "scope": "feed-forward in"}, "feed-forward in", 4),
        ({"k": "1", "by": "matrix", "scope": "encoder.1.query"}, "encoder.1.query", 1),
    ],
)
def test_sentence_is_what_counting_weight_by_weight_gives(
    visit: Visit, atlases: Path, query: dict[str, str], part: str, k: int
) -> None:
    app = visit("core", query)
    assert not app.exception
    assert not app.warning
    assert set(figures(app)) == KEYS
    atlas = Atlas.open(atlases / "demo")
    seeds = [brute_force(atlas, seed, part) for seed in (0, 1)]
    core = [found["counts"][k:].sum() for found in seeds]
    kept = np.mean([found["kept"] for found in seeds])
    shares = {
        name: 100 * np.mean([found[name][k:].sum() for found in seeds]) / kept
        for name in ("counts", "reference", "chance")
    }
    text = plain(next(m.value for m in app.markdown if "would give" in m.value))
    assert f"**{np.mean(core):,.0f}**" in text
    assert f"{kept:,.0f} weights" in text
    assert f"mean over 2 seeds; {min(core):,.0f} to {max(core):,.0f}" in text
    assert f"**{shares['counts']:.1f} %**" in text
    assert f"pretrained weights alone would give {shares['reference']:.1f} %" in text
    assert f"chance {shares['chance']:.1f} %." in text
    assert ("all 4 languages keep" if k == 4 else f"At least {k} of 4 languages keep") in text


def test_warning_against_one_k_names_the_right_ones(visit: Visit, atlases: Path) -> None:
    atlas = Atlas.open(atlases / "demo")
    seeds = [brute_force(atlas, seed) for seed in (0, 1)]
    gaps = np.array([[f["counts"][k:].sum() - f["reference"][k:].sum() for k in range(1, 5)] for f in seeds])
    np.testing.assert_allclose(gaps.sum(axis=1), 0, atol=1e-6)
    (told,) = [c.value for c in visit("core").caption if "one core" in c.value]
    for words, those in (
        ("larger for k = ", (gaps > 0).all(axis=0)),
        ("smaller for k =", (gaps < 0).all(axis=0)),
    ):
        named = told.split(words)[1].split(" for ")[0].split(". ")[0] if words in told else ""
        numbers: set[int] = set()
        for low, high in re.findall(r"(\d)(?: to (\d))?", named):
            numbers |= set(range(int(low), int(high or low) + 1))
        assert numbers == set(1 + np.flatnonzero(those))


def test_bars_add_up_and_the_core_is_coloured(visit: Visit, atlases: Path) -> None:
    traces = {trace["name"]: trace for trace in figures(visit("core", k="3"))["core_bars"]["data"]}
    core, others = traces["in the core"], traces["not in the core"]
    assert list(values(core, "x")) == [3, 4]
    shares = np.concatenate([values(others, "y"), values(core, "y")])
    atlas = Atlas.open(atlases / "demo")
    seeds = [brute_force(atlas, seed) for seed in (0, 1)]
    size = atlas.layout.size
    np.testing.assert_allclose(shares, 100 * np.mean([f["counts"] for f in seeds], axis=0) / size)
    for name, key in (("pretrained weights alone", "reference"), ("chance", "chance")):
        wanted = 100 * np.mean([f[key] for f in seeds], axis=0) / size
        np.testing.assert_allclose(values(traces[name], "y"), wanted, rtol=1e-6)


def test_languages_stand_by_what_they_have_alone(visit: Visit, atlases: Path) -> None:
    app = visit("core")
    atlas = Atlas.open(atlases / "demo")
    alone = np.mean([brute_force(atlas, seed)["alone"] for seed in (0, 1)], axis=0)
    bars = figures(app)["core_alone"]["data"][0]
    np.testing.assert_allclose(values(bars, "x"), np.sort(alone)[::-1])
    names = {"en": "English", "de": "German", "fr": "French", "sw": "Swahili"}
    assert bars["y"] == [names[FEW[one]] for one in np.argsort(-alone, kind="stable")]
    assert f"A language keeps on average **{alone.mean():,.0f}** weights" in said(app)


def test_map_of_places_is_that_of_its_parts(visit: Visit, atlases: Path) -> None:
    app = visit("core", k="3")
    trace = next(t for t in figures(app)["core_places"]["data"] if t.get("coloraxis"))
    grid = values(trace, "z")
    assert grid.shape == (7, 7)
    atlas = Atlas.open(atlases / "demo")

    def difference(part: str) -> float:
        seeds = [brute_force(atlas, seed, part) for seed in (0, 1)]
        return float(
            np.mean([100 * (f["counts"] - f["reference"])[3:].sum() / f["kept"].mean() for f in seeds])
        )

    parts = {(2, 0): "encoder.2.query", (5, 6): "encoder.5", (6, 1): "key", (6, 6): "total"}
    for place, part in parts.items():
        assert grid[place] == pytest.approx(difference(part), abs=1e-4)
    assert f"({difference('total'):+.1f} percentage points".replace("-", "−") in said(app)


def test_one_seed_has_no_range(visit: Visit, atlases: Path) -> None:
    app = visit("core", seeds="1")
    found = brute_force(Atlas.open(atlases / "demo"), 1)
    text = next(m.value for m in app.markdown if "would give" in m.value)
    assert f"**{found['counts'][4]:,.0f}**" in text
    assert "seeds" not in text
    assert not any("over seeds" in m.value for m in app.markdown)


def test_all_stays_all_when_languages_change(visit: Visit) -> None:
    app = visit("core", k="4")
    assert app.session_state["k"] == "all"
    app.multiselect(key="languages").set_value(["fr", "sw"]).run()
    assert app.query_params["k"] == "all"
    assert app.selectbox(key="k").options == ["both languages", "at least 1 of 2"]
    assert "both languages keep" in said(app)
    app.selectbox(key="k").set_value("1").run()
    assert app.query_params["k"] == "1"
    assert "At least 1 of 2 languages keep" in said(app)
    assert figures(visit("core", app.query_params)) == figures(app)


def test_k_that_is_not_there_is_told(visit: Visit) -> None:
    app = visit("core", k="5")
    assert "“5”" in app.warning[0].value
    assert "all 4 languages keep" in said(app)


def test_model_with_two_stacks_has_grey_cells_for_none(visit: Visit) -> None:
    app = visit("core", atlas="two-stacks", by="stack", scope="decoder")
    assert not app.exception
    layers = figures(app)["core_places"]["layout"]["yaxis"]["ticktext"]
    assert layers == ["e0", "e1", "d0", "d1", "all"]


@pytest.mark.parametrize(
    ("atlas", "heading", "command"),
    [
        ("tables-only", "The masks are not here", "--atlas masks/tables-only"),
        ("lonely", "Only one language here", "--atlas masks/lonely"),
        ("empty", "This atlas is empty", "discover --model synthetic"),
    ],
)
def test_what_is_missing_and_what_to_do(
    visit: Visit, atlases: Path, atlas: str, heading: str, command: str
) -> None:
    app = visit("core", atlas=atlas)
    assert not app.exception
    assert not figures(app)
    assert heading in said(app)
    assert command in said(app)
    assert str(atlases) not in said(app)


def test_without_a_base_ticket_nothing_is_made_up(visit: Visit) -> None:
    app = visit("core", atlas="no-base")
    assert not app.exception
    assert set(figures(app)) == KEYS - {"core_places"}
    assert "what the pretrained weights alone would give is unknown" in said(app)
    assert "--method base" in said(app)
    assert "nan" not in said(app)


def test_seed_that_a_language_lacks_is_left_out_and_told(visit: Visit) -> None:
    app = visit("core", atlas="damaged")
    assert not app.exception
    assert set(figures(app)) == KEYS
    assert "Seed 1 is left out: there is no sub-network of it for French" in said(app)
    app = visit("core", atlas="damaged", languages="en.de.sw")
    assert "left out: there is no" not in said(app)
    assert "mean over 2 seeds" in said(app)


def test_no_seed_in_common(
    visit: Visit, atlases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(atlases / "demo", tmp_path / "apart")
    for name in ("mlm-en-imp-s0", "mlm-de-imp-s1"):
        (tmp_path / "apart" / "tickets" / f"{name}.safetensors").unlink()
    monkeypatch.setenv("LSN_MASKS", str(tmp_path))
    app = visit("core", atlas="apart")
    assert not app.exception
    assert not figures(app)
    assert "No seed that all languages have" in said(app)
    assert "seed 0: English; seed 1: German" in said(app)
    assert "--languages en fr de sw --seeds 0 1" in said(app)
    assert set(figures(visit("core", atlas="apart", languages="en.fr"))) == KEYS


def test_everything_drawn_has_words(visit: Visit) -> None:
    for chart in charts(visit("core")):
        assert "**" not in chart.proto.alt
        assert len(chart.proto.alt) > 60
