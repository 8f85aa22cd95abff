"""The Overlap page without a browser: state from the address, measures, parts, pairs, and what can go wrong."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lsn_core.analysis.calibration import language_matrix
from lsn_core.analysis.counts import load_counts
from lsn_core.analysis.trees import tree
from lsn_core.masks.atlas import Atlas
from lsn_core.ui.controls import clicked_pair
from lsn_core.viz.measures import JACCARD, MEASURES, NEUTRALITY
from tests.pages.conftest import FEW, Visit, charts, said
from tests.synthetic_atlas import write_transfer

ALL_TOKENS = {
    "v": "1",
    "atlas": "demo",
    "task": "mlm",
    "method": "imp",
    "sparsity": "50",
    "seeds": "all",
    "languages": "all",
    "measure": "neutrality",
    "by": "total",
    "order": "cluster",
    "pair": "none",
}


def figures(app: AppTest) -> dict[str, dict[str, Any]]:
    """Key to Plotly figure, for each on the page."""
    return {chart.key: json.loads(chart.proto.spec) for chart in charts(app)}


def test_first_view_says_what_is_seen(visit: Visit, atlases: Path) -> None:
    app = visit("overlap")
    assert not app.exception
    assert app.title[0].value == "Overlap"
    assert set(figures(app)) == {"overlap_map", "ranking"}
    sentence = next(m.value for m in app.markdown if m.value.startswith("With 50"))
    counts = load_counts(Atlas.open(atlases / "demo"), 0.5, "mlm")
    found = language_matrix(counts, "neutrality")
    mean = found.value[np.triu_indices(len(FEW), 1)].mean()
    assert f"**{mean:.2f}**" in sentence
    low, high = map(float, re.findall(r"interval ([\d.]+) to ([\d.]+)", sentence)[0])
    assert low < mean < high
    best = np.unravel_index(np.argmax(found.value - 2 * np.eye(len(FEW))), found.value.shape)
    assert {found.languages[k] for k in best} == {"en", "de"}
    assert "Most alike are English and German" in sentence


def test_levels_are_those_of_the_analysis(visit: Visit, atlases: Path) -> None:
    shown = {metric.label: float(metric.value) for metric in visit("overlap").metric}
    counts = load_counts(Atlas.open(atlases / "demo"), 0.5, "mlm")
    above = np.triu_indices(len(FEW), 1)
    for label, measure in (
        ("Chance", "chance"),
        ("Pretrained alone", "reference"),
        ("Two languages", "jaccard"),
    ):
        value = language_matrix(counts, measure, replicates=0).value[above].mean()
        assert shown[label] == pytest.approx(value, abs=6e-4)
    ceiling = np.diagonal(language_matrix(counts, "jaccard", replicates=0).value).mean()
    assert shown["Same language"] == pytest.approx(ceiling, abs=6e-4)
    assert shown["Chance"] < shown["Pretrained alone"] < shown["Two languages"] < shown["Same language"]


@pytest.mark.parametrize("measure", [measure.token for measure in MEASURES])
@pytest.mark.parametrize(
    ("by", "scope"),
    [
        ("total", None),
        ("layer", "all"),
        ("layer", "encoder.2"),
        ("component", "all"),
        ("component", "feed-forward in"),
        ("matrix", "encoder.1.query"),
    ],
)
def test_every_measure_in_every_part(visit: Visit, measure: str, by: str, scope: str | None) -> None:
    app = visit("overlap", {"measure": measure, "by": by} | ({"scope": scope} if scope else {}))
    assert not app.exception
    assert not app.warning
    heatmaps = [t for t in figures(app)["overlap_map"]["data"] if t.get("coloraxis")]
    assert len(heatmaps) == (6 if scope == "all" else 1)
    assert all(chart.proto.alt for chart in charts(app))
    assert app.session_state["measure"].token == measure


@pytest.mark.parametrize("page", ["overlap", "tree"])
def test_model_with_two_stacks(visit: Visit, page: str) -> None:
    app = visit(page, atlas="two-stacks", by="stack", scope="decoder")
    assert not app.exception
    assert not app.warning
    assert "in decoder" in said(app)
    if page == "overlap":
        shown = figures(visit(page, atlas="two-stacks", by="layer", pair="en.fr"))
        panels = [note["text"] for note in shown["overlap_map"]["layout"]["annotations"]]
        assert panels == [f"{stack} {layer}" for stack in ("Encoder", "Decoder") for layer in (0, 1)]
        assert shown["pair_layers"]["layout"]["xaxis"]["ticktext"] == ["e0", "e1", "d0", "d1"]
    assert "Stack" not in visit(page).segmented_control(key="by").options


def test_pair_opens_its_panel(visit: Visit, atlases: Path) -> None:
    app = visit("overlap", pair="en.sw")
    assert not app.exception
    shown = figures(app)
    assert set(shown) == {"overlap_map", "pair_layers", "pair_components", "pair_weights", "pair_scores"}
    assert len({(box["x0"], box["y0"]) for box in shown["overlap_map"]["layout"]["shapes"]}) == 2
    assert "English and Swahili have a neutrality of" in said(app)
    bars = shown["pair_weights"]["data"][0]
    numbers = [int(text.split(" ")[0].replace(",", "")) for text in bars["text"]]
    assert sum(numbers) == pytest.approx(Atlas.open(atlases / "demo").layout.size, abs=2)
    assert [trace["name"] for trace in shown["pair_scores"]["data"]] == [
        "English", "Swahili", "English, random", "Swahili, random"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("order", "expected"),
    [("family", ["en", "de", "fr", "sw"]), ("alphabet", ["en", "fr", "de", "sw"]), ("cluster", None)],
)
def test_languages_stand_in_the_order_asked_for(
    visit: Visit, atlases: Path, order: str, expected: list[str] | None
) -> None:
    if expected is None:
        built = tree(Atlas.open(atlases / "demo"), "mlm", 0.5, "neutrality")
        expected = [built.labels[leaf] for leaf in built.order]
    app = visit("overlap", order=order)
    shown = figures(app)["overlap_map"]
    assert shown["layout"]["xaxis"]["ticktext"] == expected
    names = [trace["name"] for trace in shown["data"]]
    assert ("tree" in names) == (order == "cluster")
    assert "families" in names
    assert [trace["name"] for trace in shown["data"] if trace.get("showlegend")] == [
        "Germanic", "Romance", "Bantu"
    ]  # fmt: skip
    app = visit("overlap", order=order, by="layer", scope="all")
    panels = figures(app)["overlap_map"]
    assert panels["layout"]["yaxis"]["ticktext"] == expected
    assert [note["text"] for note in panels["layout"]["annotations"]] == [f"Layer {k}" for k in range(6)]
    assert "a language with itself, which is 1 by definition" in said(app)
    assert "Weights counted over the whole model; mean over pairs of seeds (0, 1); 95 % intervals" in said(
        app
    )
    again = visit("overlap")
    again.segmented_control(key="order").set_value(order).run()
    assert figures(again)["overlap_map"] == shown
    assert again.query_params.get("order", "cluster") == order


def test_pair_shows_how_well_the_two_serve_each_other(visit: Visit, atlases: Path) -> None:
    shutil.copytree(atlases / "demo", atlases / "served")
    atlas = Atlas.open(atlases / "served")
    write_transfer(atlas, ("en", "sw"))
    app = visit("overlap", atlas="served", pair="en.sw")
    assert not app.exception
    rows, _ = atlas.read_table("transfer")
    masks = rows[(rows["kind"] == "mask") & (rows["control"] == "")]
    mean = masks.groupby(["source", "target"])["value"].mean()
    text = next(m.value for m in app.markdown if "English → Swahili" in m.value)
    assert f"English → Swahili: **{mean['en', 'sw']:.3f}**" in text
    assert f"Swahili → English: **{mean['sw', 'en']:.3f}**" in text
    by_seed = masks.pivot_table(index="seed", columns=["source", "target"], values="value")
    for source, target, name in (("en", "sw", "Swahili"), ("sw", "en", "English")):
        loss = (by_seed[source, target] - by_seed[target, target]).mean()
        assert f"{abs(loss):.3f} {'below' if loss < 0 else 'above'} {name}'s own sub-network" in text
    dots = next(t for t in figures(app)["pair_transfer"]["data"] if t["name"] == "mean")
    assert len(dots["text"]) == 4
    assert dots["text"][1] == f"{mean['sw', 'en']:.3f}"
    link = next(link for link in app.get("page_link") if "How well English serves" in link.proto.label)
    assert "cell=en.sw" in link.proto.query_string
    other = visit("overlap", atlas="served", pair="de.en")
    assert "pair_transfer" not in figures(other)
    assert "between English, Swahili" in said(other)


def test_pair_without_transfer_says_so(visit: Visit) -> None:
    app = visit("overlap", pair="en.sw")
    assert "No transfer here" in said(app)
    assert "has not been done for this task" in said(app)
    assert "python -m lsn_core transfer --atlas masks/demo" in said(app)


def test_pair_control_does_what_a_click_does(visit: Visit) -> None:
    app = visit("overlap")
    app.selectbox(key="pair").set_value("fr.de").run()
    assert "French and German have a neutrality of" in said(app)
    assert app.query_params == ALL_TOKENS | {"pair": "fr.de"}
    assert "French and German have a neutrality of" in said(visit("overlap", pair="de.fr"))


@pytest.mark.parametrize(
    ("points", "token"),
    [
        ([{"customdata": ["sw", "en"]}], "en.sw"),
        ([{"customdata": ["en", "en"]}], None),
        ([{"customdata": ["en", "xx"]}], None),
        ([{"customdata": ["en", "de", "sw"]}], None),
        ([{"customdata": "en"}], None),
        ([{}], None),
        ([], None),
    ],
)
def test_click_must_name_two_languages_on_screen(points: list[dict[str, Any]], token: str | None) -> None:
    assert clicked_pair(points, FEW) == token


def test_moved_control_puts_the_whole_view_into_the_address(visit: Visit) -> None:
    app = visit("overlap")
    assert app.query_params == {}
    app.selectbox(key="measure").set_value(JACCARD).run()
    assert app.query_params == ALL_TOKENS | {"measure": "jaccard"}
    again = visit("overlap", app.query_params)
    assert figures(again) == figures(app)
    link = next(code.value for code in again.code)
    assert link.endswith("overlap?" + "&".join(f"{k}={v}" for k, v in again.query_params.items()))


def test_view_is_kept_from_page_to_page(visit: Visit) -> None:
    app = visit("overlap", measure="jaccard", sparsity="80", languages="en.de.sw")
    app.switch_page("pages/tree.py").run()
    assert app.title[0].value == "Language tree"
    assert app.session_state["measure"] is JACCARD
    assert app.session_state["sparsity"] == 0.8
    assert app.session_state["languages"] == ["en", "de", "sw"]


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        ({"atlas": "../../etc"}, "../../etc"),
        ({"measure": "<b>bold</b>"}, "<b>bold</b>"),
        ({"sparsity": "55"}, "the sparsity “55”"),
        ({"languages": "en.tlh.de"}, "tlh"),
        ({"seeds": "7"}, "the seeds “7”"),
        ({"by": "layer", "scope": "encoder.99"}, "encoder.99"),
        ({"pair": "en.en"}, "en.en"),
        ({"task": "ner"}, "ner"),
    ],
)
def test_address_that_cannot_be_followed_is_told(visit: Visit, tokens: dict[str, str], told: str) -> None:
    app = visit("overlap", tokens)
    assert not app.exception
    assert told in app.warning[0].value
    assert "overlap_map" in figures(app)


def test_languages_can_be_chosen(visit: Visit) -> None:
    app = visit("overlap")
    app.multiselect(key="languages").set_value(["fr", "sw"]).run()
    heatmap = next(t for t in figures(app)["overlap_map"]["data"] if t.get("coloraxis"))
    assert app.query_params["languages"] == "fr.sw"
    assert heatmap["name"] == NEUTRALITY.bar
    app.multiselect(key="languages").set_value(["fr"]).run()
    assert not figures(app)
    assert "Choose more languages" in said(app)


def test_neutrality_with_one_seed_is_undefined_and_never_invented(visit: Visit) -> None:
    app = visit("overlap", seeds="0", measure="neutrality")
    assert not figures(app)
    assert "Neutrality is not defined here" in said(app)
    assert "--seeds 0 1" in said(app)
    assert visit("overlap", seeds="0").session_state["measure"].token == "above-reference"


@pytest.mark.parametrize(
    ("atlas", "measure", "heading", "command"),
    [
        ("empty", "jaccard", "This atlas is empty", "discover --model synthetic"),
        ("lonely", "jaccard", "Only one language here", "--atlas masks/lonely"),
        ("one-seed", "neutrality", "Neutrality is not defined here", "--seeds 0 1"),
        ("no-base", "neutrality", "Nothing to compare with", "--method base"),
        ("no-base", "above-reference", "Nothing to compare with", "--method base"),
        ("unreadable", "jaccard", "This atlas cannot be read", ""),
    ],
)
def test_what_is_missing_and_what_to_do(
    visit: Visit, atlases: Path, atlas: str, measure: str, heading: str, command: str
) -> None:
    app = visit("overlap", atlas=atlas, measure=measure)
    assert not app.exception
    assert not figures(app)
    assert heading in said(app)
    assert command in said(app)
    assert str(atlases) not in said(app)


@pytest.mark.parametrize(("atlas", "token"), [("one-seed", "above-reference"), ("no-base", "above-chance")])
def test_default_measure_is_one_that_is_defined(visit: Visit, atlas: str, token: str) -> None:
    app = visit("overlap", atlas=atlas)
    assert app.session_state["measure"].token == token
    assert "overlap_map" in figures(app)


def test_no_atlas_at_all(visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSN_MASKS", str(tmp_path))
    app = visit("overlap")
    assert not app.exception
    assert "make demo" in said(app)
    assert "python -m lsn_core discover" in said(app)


def test_damaged_ticket_is_named_and_the_page_goes_on(visit: Visit, atlases: Path) -> None:
    app = visit("overlap", atlas="damaged")
    assert not app.exception
    assert "mlm-fr-imp-s1.safetensors" in app.warning[0].value
    assert str(atlases) not in said(app)
    heatmap = next(t for t in figures(app)["overlap_map"]["data"] if t.get("coloraxis"))
    assert heatmap["name"] == NEUTRALITY.bar
    assert "Neutrality is undefined for French, which has one seed here." in said(app)


def test_atlas_of_tables_alone_says_so(visit: Visit) -> None:
    app = visit("overlap", atlas="tables-only", pair="en.sw")
    assert not app.exception
    assert "Tables only" in said(app)
    assert "pair_scores" in figures(app)


def test_old_tables_are_told_and_not_used(visit: Visit) -> None:
    old, fresh = visit("overlap", atlas="old-tables"), visit("overlap", atlas="demo")
    assert "counted anew" in old.info[0].value
    assert not fresh.info
    assert [m.value for m in old.metric] == [m.value for m in fresh.metric]


def test_atlas_can_be_asked_for_by_name_and_by_path(
    visit: Visit, atlases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSN_ATLAS", "no-base")
    assert visit("overlap").session_state["atlas"] == "no-base"
    monkeypatch.setenv("LSN_MASKS", str(tmp_path))
    monkeypatch.setenv("LSN_ATLAS", str(atlases / "one-seed"))
    app = visit("overlap")
    assert app.session_state["atlas"] == "one-seed"
    assert app.selectbox(key="atlas").options == ["one-seed"]
