"""The figures for a notebook: those of the pages, with no Streamlit there; and what the README tells to write."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from lsn_core.analysis.overlap import overlap
from lsn_core.analysis.trees import tree
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas
from lsn_core.viz.notebook import layers_figure, overlap_figure, tree_figure
from tests.synthetic_atlas import make_atlas

ROOT = Path(__file__).parents[2]
LANGUAGES = ("en", "de", "fr", "sw")
NO_STREAMLIT = """
import importlib.abc, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("streamlit", "torch", "transformers"):
            raise ImportError(f"{name} is not to be had here")
sys.meta_path.insert(0, Refuse())
"""


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return make_atlas(tmp_path_factory.mktemp("notebook") / "demo", LANGUAGES, levels=(0.5,))


def cells(fig: go.Figure) -> np.ndarray:
    return np.array(next(trace.z for trace in fig.data if trace.coloraxis))


def test_map_has_the_overlap_of_the_table(atlas: Atlas) -> None:
    fig = overlap_figure(atlas, measure="jaccard", scope="encoder.1")
    order = list(fig.layout.xaxis.ticktext)
    table = overlap(atlas, "mlm", 0.5, by="layer")
    table = table[table["scope"] == "encoder.1"]
    for row, first in enumerate(order):
        for column, second in enumerate(order):
            if row < column:
                either = table[
                    ((table["language_a"] == first) & (table["language_b"] == second))
                    | ((table["language_a"] == second) & (table["language_b"] == first))
                ]
                assert cells(fig)[row, column] == pytest.approx(either["jaccard"].mean(), abs=1e-6)


def test_measure_is_the_one_that_says_most_unless_chosen(atlas: Atlas) -> None:
    assert overlap_figure(atlas).layout.coloraxis.colorbar.title.text.startswith(
        "neutrality (0: pretrained alone"
    )
    one_seed = overlap_figure(atlas, seeds=[0]).layout.coloraxis.colorbar.title.text
    assert one_seed == "Jaccard − pretrained alone"
    assert layers_figure(atlas, "en", "sw").layout.yaxis.title.text == "neutrality"


def test_languages_can_be_chosen(atlas: Atlas) -> None:
    fig = overlap_figure(atlas, measure="jaccard", languages=["sw", "en"])
    assert set(fig.layout.xaxis.ticktext) == {"sw", "en"}


def test_tree_is_that_of_the_analysis(atlas: Atlas) -> None:
    expected = tree(atlas, "mlm", 0.5, "jaccard", "single")
    fig = tree_figure(atlas, measure="jaccard", linkage="single")
    heights = next(trace.x for trace in fig.data if trace.name == "support")
    assert list(heights) == pytest.approx(expected.linkage[:, 2].tolist())
    assert fig.layout.xaxis.title.text == "1 − Jaccard"


def test_layers_of_a_pair(atlas: Atlas) -> None:
    fig = layers_figure(atlas, "en", "sw", measure="jaccard")
    measured = next(trace.y for trace in fig.data if trace.name == "this pair")
    table = overlap(atlas, "mlm", 0.5, by="layer")
    pair = table[(table["language_a"] == "en") & (table["language_b"] == "sw")]
    assert list(measured) == pytest.approx(pair.groupby("scope", sort=True)["jaccard"].mean().tolist())


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda atlas: overlap_figure(atlas, measure="likeness"), "likeness"),
        (lambda atlas: overlap_figure(atlas, task="pos"), "pos"),
        (lambda atlas: overlap_figure(atlas, scope="encoder.99"), "encoder.99"),
        (lambda atlas: overlap_figure(atlas, languages=["en", "tlh"]), "tlh"),
        (lambda atlas: tree_figure(atlas, measure="above-chance"), "above-chance"),
        (lambda atlas: layers_figure(atlas, "en", "tlh"), "tlh"),
    ],
)
def test_what_is_not_there_is_told_in_a_sentence(atlas: Atlas, make: object, told: str) -> None:
    with pytest.raises(LsnError, match=told):
        make(atlas)  # type: ignore[operator]


def test_code_of_the_readme_runs_without_streamlit(atlas: Atlas, tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## In a notebook")[2]
    code = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "demo").symlink_to(atlas.path)
    ending = "\nimport json\nprint(json.dumps([len(fig.data) for fig in (overlap, groups, layers)]))"
    done = subprocess.run(
        [sys.executable, "-c", NO_STREAMLIT + code + ending],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        len(fig.data) for fig in (overlap_figure(atlas), tree_figure(atlas), layers_figure(atlas, "en", "sw"))
    ]
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Figure 1. Overlap" in report
    assert "All eleven languages." in report
