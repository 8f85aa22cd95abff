"""The Language tree page without a browser."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.cluster import hierarchy
from streamlit.testing.v1 import AppTest

from lsn_core.analysis.tree_comparison import bakers_gamma, robinson_foulds
from lsn_core.analysis.trees import tree
from lsn_core.masks.atlas import Atlas
from lsn_core.ui.controls import clicked_clade
from lsn_core.viz.labels import plain_name
from lsn_core.viz.measures import MEASURES
from tests.pages.conftest import FEW, Visit, charts, plain, said
from tests.synthetic_atlas import make_atlas


@pytest.mark.parametrize("linkage", ["average", "single", "complete"])
@pytest.mark.parametrize("distance", ["neutrality", "jaccard"])
def test_tree_is_that_of_the_analysis(visit: Visit, atlases: Path, linkage: str, distance: str) -> None:
    app = visit("tree", measure=distance, linkage=linkage)
    assert not app.exception
    assert app.title[0].value == "Language tree"
    expected = tree(Atlas.open(atlases / "demo"), "mlm", 0.5, distance, linkage)
    assert f"cophenetic correlation {expected.cophenetic:.2f}" in said(app)
    assert [chart.key for chart in charts(app)] == ["language_tree", "families"]
    chart = charts(app)[0]
    assert expected.newick() in chart.proto.alt
    figure = json.loads(chart.proto.spec)
    names = [text.split("<br>")[0] for text in figure["layout"]["yaxis"]["ticktext"]]
    english = {"en": "English", "de": "German", "fr": "French", "sw": "Swahili"}
    assert names == [english[expected.labels[leaf]] for leaf in expected.order]


@pytest.mark.parametrize("measure", [measure.token for measure in MEASURES])
@pytest.mark.parametrize(
    ("by", "scope"), [("layer", "encoder.0"), ("component", "key"), ("matrix", "encoder.0.key")]
)
def test_every_measure_in_every_part(visit: Visit, measure: str, by: str, scope: str) -> None:
    app = visit("tree", measure=measure, by=by, scope=scope)
    assert not app.exception
    assert not app.warning
    assert len(charts(app)) == 2
    distance = "neutrality" if measure == "neutrality" else "Jaccard overlap"
    assert f"By {distance}, the tree of these {len(FEW)} languages" in said(app)


def test_two_languages_are_no_tree(visit: Visit) -> None:
    app = visit("tree", languages="en.de")
    assert not charts(app)
    assert "Choose more languages" in said(app)
    (way,) = [button for button in app.button if button.label == "Show all languages"]
    way.click().run()
    assert len(charts(app)) == 2
    assert app.query_params["languages"] == "all"


def test_undefined_distance_is_told(visit: Visit) -> None:
    app = visit("tree", atlas="damaged", measure="neutrality")
    assert not app.exception
    assert "No tree here" in said(app)
    assert "Choose the measure Jaccard" in said(app)
    app = visit("tree", atlas="damaged", measure="jaccard")
    assert len(charts(app)) == 2


def test_moved_control_goes_into_the_address(visit: Visit) -> None:
    app = visit("tree")
    app.segmented_control(key="linkage").set_value("single").run()
    assert app.query_params["linkage"] == "single"
    assert app.query_params["v"] == "1"
    app.toggle(key="untangle").set_value(True).run()
    app.select_slider(key="groups").set_value(2).run()
    app.selectbox(key="group").set_value("en.de").run()
    assert {key: app.query_params[key] for key in ("untangle", "groups", "group")} == {
        "untangle": "on",
        "groups": "2",
        "group": "en.de",
    }
    again = visit("tree", app.query_params)
    assert [chart.proto.spec for chart in charts(again)] == [chart.proto.spec for chart in charts(app)]


@pytest.mark.parametrize("groups", range(1, len(FEW) + 1))
def test_cut_says_its_groups_and_their_support(visit: Visit, atlases: Path, groups: int) -> None:
    app = visit("tree", groups=str(groups))
    assert not app.exception
    expected = tree(Atlas.open(atlases / "demo"), "mlm", 0.5, "neutrality")
    flat = hierarchy.fcluster(expected.linkage, groups, "maxclust")
    members = [{expected.labels[k] for k in np.flatnonzero(flat == number)} for number in set(flat)]
    several = [group for group in members if len(group) > 1]
    text = plain(next(m.value for m in app.markdown if "cut" in m.value.lower()))
    if groups == 1:
        assert "all languages in one group" in text
    elif not several:
        assert "each of the 4 languages on its own" in text
    else:
        assert text.startswith(f"**Cut into {groups} groups**")
        support = dict(zip(expected.clades(), expected.support, strict=True))
        for group in several:
            assert f"in {100 * support[frozenset(group)]:.0f} % of the resamples" in text
            assert all(plain_name(code) in text for code in group)
    layout = json.loads(charts(app)[0].proto.spec)["layout"]
    assert len(layout.get("shapes", [])) == (groups > 1)
    start = layout["xaxis"]["range"][1]
    assert (f"the axis begins at 1 − neutrality = {start:.4f}, not at 0" in said(app)) == (start > 0)


def test_group_control_leaves_its_languages_on_every_page(visit: Visit) -> None:
    app = visit("tree", measure="neutrality")
    assert "Show only these languages" not in [button.label for button in app.button]
    app.selectbox(key="group").set_value("en.fr.de").run()
    assert re.search(r"\*\*(\w+, \w+ and \w+)\*\* join at 1 − neutrality = 0\.\d{4}; ", said(app))
    press(app, "Show only these languages")
    assert set(app.session_state["languages"]) == {"en", "de", "fr"}
    assert app.query_params["languages"] == "en.fr.de"
    assert app.query_params["group"] == "none"
    assert "tree of these 3 languages" in said(app)
    app.switch_page("pages/overlap.py").run()
    assert "two of these 3 languages" in said(app)
    app.switch_page("pages/tree.py").run()
    press(app, "Show all languages again")
    assert app.query_params["languages"] == "all"
    assert "tree of these 4 languages" in said(app)


def press(app: AppTest, label: str) -> None:
    (button,) = [button for button in app.button if button.label == label]
    button.click().run()
    assert not app.exception


def test_two_languages_lead_to_their_overlap(visit: Visit) -> None:
    app = visit("tree", group="de.en")
    assert app.warning  # groups are written in the order of the list of languages
    app = visit("tree", group="en.de")
    assert not app.warning
    (link,) = [link for link in app.get("page_link") if link.proto.label.startswith("What ")]
    assert "pair=" in link.proto.query_string


@pytest.mark.parametrize(
    ("points", "token"),
    [
        ([{"customdata": "de.en"}], "en.de"),
        ([{"customdata": "en.de.fr.sw"}], None),
        ([{"customdata": "en.sw"}], None),
        ([{"customdata": ["en", "de"]}], None),
        ([{}], None),
        ([], None),
    ],
)
def test_click_must_name_a_group_of_the_tree(points: list[dict[str, Any]], token: str | None) -> None:
    assert clicked_clade(points, [("de", "en"), ("fr", "de", "en")]) == token


def test_family_tree_is_judged_by_the_analysis(visit: Visit, atlases: Path) -> None:
    app = visit("tree")
    found = tree(Atlas.open(atlases / "demo"), "mlm", 0.5, "neutrality")
    families = (("en", "de"), "fr"), "sw"
    groups = {frozenset({"en", "de"}), frozenset({"en", "de", "fr"})}
    shared = len(groups & set(found.clades()))
    assert f"Of the 2 groups in the family tree, the measured tree has **{shared or 'none'}**" in said(app)
    shown = {metric.label: metric.value for metric in app.metric}
    assert float(shown["Robinson–Foulds"]) == pytest.approx(robinson_foulds(found, families) / 4, abs=5e-3)
    assert shown["Baker's gamma"] == f"{bakers_gamma(found, families):+.2f}".replace("-", "−")
    assert float(shown["Cophenetic correlation"]) == pytest.approx(found.cophenetic, abs=5e-3)
    places = [("en", "de", "fr", "sw").index(found.labels[leaf]) for leaf in found.order]
    crossed = sum(a > b for a, b in combinations(places, 2))
    assert shown["Lines that cross"] == f"{crossed} of 6"
    turned = visit("tree", untangle="on")
    after = {metric.label: metric.value for metric in turned.metric}
    assert int(after.pop("Lines that cross").split(" ")[0]) <= crossed
    del shown["Lines that cross"]
    assert after == shown
    assert charts(turned)[0].proto.spec == charts(app)[0].proto.spec


def test_languages_of_unknown_family_are_left_out(visit: Visit, atlases: Path) -> None:
    make_atlas(atlases / "strangers", ("en", "de", "fr", "xq", "xz"), methods=("imp",), levels=(0.5,))
    app = visit("tree", atlas="strangers")
    assert not app.exception
    assert "Left out, because the family is not known here: xq and xz." in said(app)
    marks = json.loads(charts(app)[1].proto.spec)["layout"]["annotations"]
    assert not any("xq" in mark["text"] for mark in marks)
    few = visit("tree", atlas="strangers", languages="en.xq.xz")
    assert len(charts(few)) == 1
    assert "fewer than three of these languages" in said(few)
    alone = visit("tree", languages="en.fr.sw")
    assert len(charts(alone)) == 2
    make_atlas(atlases / "unrelated", ("zh", "ar", "sw"), methods=("imp",), levels=(0.5,))
    star = visit("tree", atlas="unrelated")
    assert len(charts(star)) == 1
    assert "no family tree to stand beside" in said(star)
