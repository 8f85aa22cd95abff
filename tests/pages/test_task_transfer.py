"""Transfer between tasks on the Transfer page: its numbers again from the table, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from lsn_core.analysis.transfer import transfer_rows
from lsn_core.masks.atlas import Atlas
from tests.pages.conftest import FEW, Visit, charts, said
from tests.synthetic_atlas import make_atlas, write_task_transfer, write_transfer


@pytest.fixture(scope="module", autouse=True)
def two_tasks(atlases: Path) -> Path:
    for name in ("tasks", "tasks-alone", "tasks-none"):
        for task in ("mlm", "pos"):
            made = make_atlas(atlases / name, FEW, methods=("imp",), levels=(0.3, 0.5), task=task)
        if name == "tasks":
            write_transfer(made, FEW, kinds=("mask",))
        if name != "tasks-none":
            write_task_transfer(made, FEW, "mlm", "pos")
    return atlases


def figures(app: AppTest) -> dict[str, dict[str, Any]]:
    return {chart.key: json.loads(chart.proto.spec) for chart in charts(app)}


def grid(table: pd.DataFrame, kind: str, control: str) -> pd.DataFrame:
    mine = table[(table["kind"] == kind) & (table["control"] == control)]
    if kind == "mask":
        mine = mine[mine["source"] == mine["target"]]
    return mine.pivot(index="seed", columns="target", values="value")


def test_sentence_is_computed_from_the_table(visit: Visit, atlases: Path) -> None:
    app = visit("transfer", atlas="tasks")
    assert not app.exception
    assert {"transfer_map", "task_transfer"} <= set(figures(app))
    table = transfer_rows(Atlas.open(atlases / "tasks"))
    text = next(m.value for m in app.markdown if "Parts of speech (pos)" in m.value).replace("−", "-")
    other = grid(table, "task", "")
    assert f"scores on average **{other.to_numpy().mean():.3f}**" in text
    for beside, words in (
        (grid(table, "mask", ""), "the language's own sub-network for the task"),
        (grid(table, "task", "random"), "as many weights drawn by lot"),
        (grid(table, "task", "base"), "the largest pretrained weights"),
        (grid(table, "task", "dense"), "the unpruned model"),
    ):
        by_seed = (other - beside).mean(axis=1)
        each = " and ".join(f"{value + 0.0:+.3f}" if round(value, 3) else "0.000" for value in by_seed)
        spread = max(np.ptp(by_seed), np.ptp(other.mean(axis=1)), np.ptp(beside.mean(axis=1)))
        shown = abs(by_seed.mean()) > 2 * spread
        side = "above" if by_seed.mean() > 0 else "below"
        claimed = f"**{abs(by_seed.mean()):.3f} {side}** ({each} by seed) {words}"
        assert (claimed in text) == bool(shown), words
        assert f"({each} by seed)" in text


def test_it_is_there_without_transfer_between_languages_and_without_own(visit: Visit) -> None:
    app = visit("transfer", atlas="tasks-alone")
    assert not app.exception
    assert "No transfer here" in said(app)
    names = [trace["name"] for trace in figures(app)["task_transfer"]["data"]]
    assert names == ["sub-network for pos", "pretrained alone", "random", "unpruned model"]


def test_the_command_where_there_is_none_and_nothing_with_one_task(visit: Visit) -> None:
    app = visit("transfer", atlas="tasks-none", task="pos")
    assert not app.exception
    assert "--task pos --sparsity 0.5 --kind task --source-task mlm" in said(app)
    app = visit("transfer", atlas="tasks", sparsity="30")
    assert {b.label for b in app.button} >= {"Show 50 %"}
    assert "between tasks" not in said(visit("transfer", atlas="demo"))


def test_side_bar_can_leave_none(visit: Visit) -> None:
    app = visit("transfer", atlas="tasks", languages="en.fr")
    table = figures(app)["task_transfer"]["layout"]["yaxis"]["ticktext"]
    assert table == ["English", "French"]
