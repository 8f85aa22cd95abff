"""The Language tree page without a browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lsn_core.analysis.trees import tree
from lsn_core.masks.atlas import Atlas
from lsn_core.viz.measures import MEASURES
from tests.pages.conftest import FEW, Visit, charts, said


@pytest.mark.parametrize("linkage", ["average", "single", "complete"])
@pytest.mark.parametrize("distance", ["neutrality", "jaccard"])
def test_tree_is_that_of_the_analysis(visit: Visit, atlases: Path, linkage: str, distance: str) -> None:
    app = visit("tree", measure=distance, linkage=linkage)
    assert not app.exception
    assert app.title[0].value == "Language tree"
    expected = tree(Atlas.open(atlases / "demo"), "mlm", 0.5, distance, linkage)
    assert f"cophenetic correlation {expected.cophenetic:.2f}" in said(app)
    (chart,) = charts(app)
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
    assert len(charts(app)) == 1
    distance = "neutrality" if measure == "neutrality" else "Jaccard overlap"
    assert f"By {distance}, the tree of these {len(FEW)} languages" in said(app)


def test_two_languages_are_no_tree(visit: Visit) -> None:
    app = visit("tree", languages="en.de")
    assert not charts(app)
    assert "Choose more languages" in said(app)


def test_undefined_distance_is_told(visit: Visit) -> None:
    app = visit("tree", atlas="damaged", measure="neutrality")
    assert not app.exception
    assert "No tree here" in said(app)
    assert "Choose the measure Jaccard" in said(app)
    app = visit("tree", atlas="damaged", measure="jaccard")
    assert len(charts(app)) == 1


def test_moved_control_goes_into_the_address(visit: Visit) -> None:
    app = visit("tree")
    app.segmented_control(key="linkage").set_value("single").run()
    assert app.query_params["linkage"] == "single"
    assert app.query_params["v"] == "1"
