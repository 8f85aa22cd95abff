"""The Transfer page without a browser: its numbers again from the table, its controls, what can go wrong."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from lsn_core.analysis.calibration import language_matrix
from lsn_core.analysis.counts import load_counts
from lsn_core.analysis.statistics import transfer_mantel
from lsn_core.analysis.transfer import transfer_matrix, transfer_rows
from lsn_core.masks.atlas import Atlas
from lsn_core.ui.controls import clicked_cell
from tests.pages.conftest import FEW, Visit, charts, said
from tests.synthetic_atlas import make_atlas, write_transfer

TABLED = ("transfer", "transfer-one-seed", "transfer-partial", "transfer-changed")


@pytest.fixture(scope="module", autouse=True)
def with_transfer(atlases: Path) -> Path:
    """Atlases that have a transfer table, beside those that have none."""
    for name in TABLED:
        shutil.copytree(atlases / "demo", atlases / name)
    write_transfer(Atlas.open(atlases / "transfer"), FEW)
    write_transfer(Atlas.open(atlases / "transfer-one-seed"), FEW, seeds=(0,), kinds=("mask",), controls=())
    write_transfer(Atlas.open(atlases / "transfer-partial"), ("en", "sw"))
    write_transfer(Atlas.open(atlases / "transfer-changed"), FEW)
    changed = atlases / "transfer-changed" / "tickets"
    shutil.rmtree(changed)
    other = make_atlas(atlases / "drifted", FEW, levels=(0.3, 0.5, 0.8), drift=2.0)
    shutil.copytree(other.path / "tickets", changed)
    (changed / "base.safetensors").unlink()
    return atlases


def rows_of(atlases: Path, name: str = "transfer") -> pd.DataFrame:
    found = transfer_rows(Atlas.open(atlases / name))
    assert len(found)
    return found


def figures(app: AppTest) -> dict[str, dict[str, Any]]:
    return {chart.key: json.loads(chart.proto.spec) for chart in charts(app)}


def signs(text: str) -> str:
    return text.replace("−", "-")


def losses(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Each measured cell off the diagonal beside its target's own score of the same seed, plainly."""
    mine = rows[rows["kind"] == kind]
    cells = mine[mine["control"] == ""]
    own = cells[cells["source"] == cells["target"]].set_index(["target", "seed"])["value"]
    cells = cells[cells["source"] != cells["target"]].copy()
    cells["own"] = [own[t, s] for t, s in zip(cells["target"], cells["seed"], strict=True)]
    cells["loss"] = cells["value"] - cells["own"]
    return cells


@pytest.mark.parametrize("kind", ["mask", "zero-shot"])
def test_sentence_is_computed_from_the_table(visit: Visit, atlases: Path, kind: str) -> None:
    app = visit("transfer", atlas="transfer", carried=kind)
    assert not app.exception
    assert app.title[0].value == "Transfer"
    text = signs(next(m.value for m in app.markdown if m.value.startswith("With 50")))
    rows = rows_of(atlases)
    cells = losses(rows, kind)
    whose = "its own sub-network" if kind == "mask" else "the target's own"
    assert f"**{abs(cells['loss'].mean()):.4f} below** {whose}" in text
    assert "over 12 pairs of a source and a target" in text
    for seed, mine in cells.groupby("seed"):
        assert f"{mine['loss'].mean():+.4f} with seed {seed}" in text
    own = cells.drop_duplicates(["target", "seed"]).pivot(index="target", columns="seed", values="own")
    assert f"differ by {(own[0] - own[1]).abs().mean():.4f} on average" in text
    mine = rows[rows["kind"] == kind]
    for control, words in (
        ("dense", "the unpruned model"),
        ("random", "random sub-networks"),
        ("base", "the pretrained weights alone"),
    ):
        if kind == "mask":
            beside = mine[mine["control"] == control].set_index(["target", "seed"])["value"]
            values = [beside[t, s] for t, s in zip(cells["target"], cells["seed"], strict=True)]
        else:
            beside = mine[mine["control"] == control].set_index(["source", "target", "seed"])["value"]
            values = [
                beside[key] for key in zip(cells["source"], cells["target"], cells["seed"], strict=True)
            ]
        assert f"{words} {(np.array(values) - cells['own']).mean():+.4f}" in text
    by_pair = cells.groupby(["source", "target"])["loss"].mean()
    extremes = re.findall(r"(\w+) → (\w+) \(([-+.\d]+)\)", text)
    names = {"en": "English", "de": "German", "fr": "French", "sw": "Swahili"}
    assert [float(value) for *_, value in extremes] == [
        pytest.approx(by_pair.max(), abs=6e-5),
        pytest.approx(by_pair.min(), abs=6e-5),
    ]
    assert extremes[0][:2] == tuple(names[code] for code in by_pair.idxmax())


def test_map_has_a_direction(visit: Visit, atlases: Path) -> None:
    shown = figures(visit("transfer", atlas="transfer"))["transfer_map"]
    assert "source" in shown["layout"]["yaxis"]["title"]["text"]
    assert "target" in shown["layout"]["xaxis"]["title"]["text"]
    points = next(trace for trace in shown["data"] if trace["name"] == "cells")
    text = signs(points["text"][points["customdata"].index(["sw", "en"])])
    cells = losses(rows_of(atlases), "mask").set_index(["source", "target"])
    assert f"difference: {cells.loc[('sw', 'en'), 'loss'].mean():+.3f}" in text
    assert "Swahili → English" in text


@pytest.mark.parametrize("kind", ["mask", "zero-shot"])
@pytest.mark.parametrize("against", ["own", "dense", "random", "base", "score"])
def test_every_comparison_of_every_kind(visit: Visit, kind: str, against: str) -> None:
    app = visit("transfer", atlas="transfer", carried=kind, against=against)
    assert not app.exception
    assert not app.warning
    shown = figures(app)
    assert set(shown) == {"transfer_map", "transfer_levels", "transfer_link", "transfer_donors"}
    colours = shown["transfer_map"]["layout"]["coloraxis"]
    assert (colours["cmin"] == -colours["cmax"]) == (against != "score")


def test_link_is_the_mantel_test_of_the_analysis(visit: Visit, atlases: Path) -> None:
    atlas = Atlas.open(atlases / "transfer")
    order = list(FEW)
    found = transfer_matrix(transfer_rows(atlas), "mask", "mlm", 0.5, languages=order)
    for measure, key in (("jaccard", "jaccard"), ("neutrality", "neutrality")):
        overlap = language_matrix(load_counts(atlas, 0.5, "mlm"), key, languages=order, replicates=0)
        test = transfer_mantel(overlap.value, found.loss())
        text = signs(said(visit("transfer", atlas="transfer", measure=measure)))
        assert f"(Pearson's r = {test.correlation:+.2f}" in text
        assert f"over {test.pairs} ordered pairs" in text
        assert ("**not shown**" in text) == (test.p_value > 0.05)


def test_donors_are_sorted_and_have_their_seeds(visit: Visit, atlases: Path) -> None:
    shown = figures(visit("transfer", atlas="transfer"))["transfer_donors"]
    mean = next(trace for trace in shown["data"] if trace["name"] == "mean")
    expected = losses(rows_of(atlases), "mask").groupby("source")["loss"].mean().sort_values(ascending=False)
    names = {"en": "English", "de": "German", "fr": "French", "sw": "Swahili"}
    assert shown["layout"]["yaxis"]["ticktext"] == [names[code] for code in expected.index]
    assert mean["x"] == pytest.approx(expected.tolist())
    assert [float(signs(text)) for text in mean["text"]] == pytest.approx(expected.tolist(), abs=6e-5)
    rings = next(trace for trace in shown["data"] if trace["name"] == "seeds")
    assert len(rings["x"]) == 2 * len(FEW)


def test_cell_is_told_in_words_with_a_link_to_its_overlap(visit: Visit, atlases: Path) -> None:
    app = visit("transfer", atlas="transfer", cell="sw.en")
    text = said(app)
    cell = losses(rows_of(atlases), "mask").set_index(["source", "target"]).loc[("sw", "en")]
    assert f"sub-network of Swahili scores **{cell['value'].mean():.4f}** on English" in text
    assert f"({cell['value'].min():.4f} to {cell['value'].max():.4f} over 2 seeds)" in text
    assert f"scores {cell['own'].mean():.4f}" in text
    (link,) = [link for link in app.get("page_link") if "share" in link.proto.label]
    assert "pair=sw.en" in link.proto.query_string
    outline = figures(app)["transfer_map"]["layout"]["shapes"]
    assert {(box["x0"], box["y0"]) for box in outline} == {(outline[0]["x0"], outline[0]["y0"])}
    assert any(
        trace["name"] == "chosen" and len(trace["x"]) == 1 for trace in figures(app)["transfer_link"]["data"]
    )


def test_controls_are_in_the_address(visit: Visit) -> None:
    app = visit("transfer", atlas="transfer")
    app.segmented_control(key="against").set_value("dense").run()
    app.segmented_control(key="carried").set_value("zero-shot").run()
    app.selectbox(key="cell").set_value("fr.de").run()
    expected = {"carried": "zero-shot", "against": "dense", "cell": "fr.de", "v": "1"}
    assert expected.items() <= app.query_params.items()
    assert figures(visit("transfer", app.query_params)) == figures(app)
    told = visit("transfer", atlas="transfer", cell="en.en").warning[0].value
    assert "en.en" in told


@pytest.mark.parametrize(
    ("data", "token"),
    [
        (["sw", "en"], "sw.en"),
        (["en", "sw"], "en.sw"),
        (["en", "en"], None),
        (["en", "xx"], None),
        (None, None),
    ],
)
def test_click_keeps_its_direction(data: list[str] | None, token: str | None) -> None:
    assert clicked_cell([{"customdata": data}], FEW) == token


def test_other_sparsity_has_a_way_to_one_that_was_measured(visit: Visit) -> None:
    app = visit("transfer", atlas="transfer", sparsity="80")
    assert not figures(app)
    assert "No transfer at 80 %" in said(app)
    assert "--sparsity 0.8" in said(app)
    (way,) = [button for button in app.button if button.label == "Show 50 %"]
    way.click().run()
    assert not app.exception
    assert app.session_state["sparsity"] == 0.5
    assert app.query_params["sparsity"] == "50"
    assert "transfer_map" in figures(app)


@pytest.mark.parametrize(
    ("atlas", "words"),
    [("demo", "has not been done for this task. Measure it"), ("transfer-changed", "only with earlier ones")],
)
def test_no_transfer_at_all(visit: Visit, atlases: Path, atlas: str, words: str) -> None:
    app = visit("transfer", atlas=atlas)
    assert not app.exception
    assert not figures(app)
    assert words in said(app)
    assert f"transfer --atlas masks/{atlas} --task mlm --sparsity 0.5" in said(app)
    assert str(atlases) not in said(app)


def test_tables_alone_cannot_be_added_to(visit: Visit) -> None:
    app = visit("transfer", atlas="tables-only")
    assert "where the masks are" in said(app)
    assert "python -m lsn_core transfer" not in said(app)


def test_languages_without_transfer_are_named(visit: Visit) -> None:
    app = visit("transfer", atlas="transfer-partial")
    assert "Not measured here: French, German." in said(app)
    assert "needs at least 4 languages" in said(app)
    app.multiselect(key="languages").set_value(["de", "fr"]).run()
    assert not figures(app)
    assert "between English, Swahili, with seed 0, 1" in said(app)


def test_one_seed_gives_no_spread_and_no_control_no_comparison(visit: Visit) -> None:
    app = visit("transfer", atlas="transfer-one-seed")
    assert not app.exception
    assert "one seed: how much of that is noise is unknown" in said(app)
    assert "Not measured with seed 1." in said(app)
    assert "For scale" not in said(app)
    assert app.segmented_control(key="against").options == ["Own", "Nothing"]
    assert app.session_state["carried"] == "mask"


def test_undefined_measure_leaves_the_rest_of_the_page(visit: Visit) -> None:
    app = visit("transfer", atlas="transfer", seeds="0", measure="neutrality")
    assert not app.exception
    assert "Neutrality is not defined here" in said(app)
    assert set(figures(app)) == {"transfer_map", "transfer_levels", "transfer_donors"}


def test_another_method_is_told(visit: Visit) -> None:
    app = visit("transfer", atlas="transfer", method="random", measure="jaccard")
    assert not app.exception
    assert "sub-networks of iterative pruning" in said(app)
    assert "transfer_map" in figures(app)
