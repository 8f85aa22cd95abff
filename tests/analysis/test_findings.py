"""The findings of an atlas: the same numbers as the analyses they are made of, and words that fit them."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lsn_core.analysis.calibration import language_matrix
from lsn_core.analysis.counts import load_counts
from lsn_core.analysis.findings import (
    CORE,
    DISTANCE,
    NEUTRALITY,
    RELATIVES,
    TRANSFER,
    Finding,
    findings,
    sentences,
)
from lsn_core.analysis.statistics import adjusted_p_values, mantel
from lsn_core.languages import reference_distances
from lsn_core.masks.atlas import Atlas
from tests.synthetic_atlas import make_atlas

LANGUAGES = ("en", "de", "fr", "es", "sw")


def words_of(row: Finding) -> str:
    """The sentence on one finding, which follows that on neutrality."""
    first = replace(row, question=NEUTRALITY, subject="total")
    _, text = sentences(pd.DataFrame([asdict(first), asdict(row)]))
    return text


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    folder = tmp_path_factory.mktemp("findings") / "made"
    make_atlas(folder, LANGUAGES, levels=(0.5,))
    return Atlas.open(folder)


def test_every_part_has_its_mean_neutrality(atlas: Atlas) -> None:
    table = findings(atlas)
    rows = table[table["question"] == NEUTRALITY].set_index("subject")
    layout = atlas.layout
    wanted = [scope.label for by in ("total", "layer", "component") for scope in layout.scopes(by)]
    assert list(rows.index) == wanted
    counts = load_counts(atlas, 0.5, "mlm")
    pairs = np.triu_indices(len(LANGUAGES), 1)
    for label in wanted:
        assert rows.loc[label, "value"] == pytest.approx(
            language_matrix(counts, "neutrality", label).value[pairs].mean()
        )
        assert rows.loc[label, "low"] <= rows.loc[label, "high"]
    assert set(rows["pairs"]) == {10}


def test_tests_are_those_of_statistics_adjusted_together(atlas: Atlas) -> None:
    table = findings(atlas)
    matrix = language_matrix(load_counts(atlas, 0.5, "mlm"), "neutrality")
    expected = mantel(matrix.value, reference_distances("genealogy", matrix.languages), "spearman")
    row = table[(table["question"] == DISTANCE) & (table["subject"] == "genealogy")].iloc[0]
    assert (row["value"], row["p"]) == (expected.correlation, expected.p_value)
    assert (table["question"] == RELATIVES).sum() == 1
    tested = table.dropna(subset=["p"])
    assert tested["p_adjusted"].to_numpy() == pytest.approx(adjusted_p_values(tested["p"].to_numpy()))


def test_words_say_what_was_not_shown(atlas: Atlas) -> None:
    table = findings(atlas)
    unsure = "\n".join(sentences(table.assign(p=0.5, p_adjusted=0.6)))
    sure = "\n".join(sentences(table.assign(p=0.001, p_adjusted=0.002)))
    assert unsure.count("no evidence for it") == (table["question"] == DISTANCE).sum()
    assert "; no evidence for a difference)." in unsure
    assert "no evidence" not in sure
    assert f"{table['value'].iloc[0]:.3f}" in sure


@pytest.mark.parametrize(
    ("value", "p", "answer"),
    [
        (0.5, 0.001, "Yes, the more is shared, the better: Jaccard"),
        (-0.5, 0.001, "Yes, the more is shared, the worse: Jaccard"),
        (0.5, 0.2, "No evidence for it: Jaccard"),
    ],
)
def test_a_question_is_answered(value: float, p: float, answer: str) -> None:
    row = Finding("mlm", 0.5, TRANSFER, "jaccard", value, np.nan, np.nan, p, 20, p)
    text = words_of(row)
    assert f"serves another? {answer} against the change of score has ρ = {value:+.2f} over 20" in text
    away = words_of(replace(row, question=DISTANCE, subject="script"))
    wanted = "no evidence for it" if p > 0.05 else "yes" if value < 0 else "no, it rises"
    assert f"with script: {wanted} (ρ = {value:+.2f}, p = {p:.3f}, {p:.3f} adjusted" in away


@pytest.mark.parametrize(
    ("at_least", "low", "high", "text"),
    [
        (
            3,
            np.nan,
            np.nan,
            "what all 3 languages keep scores 0.010 lower than the unpruned model; with one seed",
        ),
        (
            2,
            -0.012,
            -0.008,
            "at least 2 of 3 languages keep scores 0.010 lower than the unpruned model (seeds",
        ),
        (3, -0.03, 0.01, "(seeds change scores by up to 0.010; no evidence for a difference)."),
    ],
)
def test_a_core_is_said_to_score_higher_or_lower(at_least: int, low: float, high: float, text: str) -> None:
    subject = f"dense, {at_least} of en fr sw"
    assert text in words_of(Finding("mlm", 0.5, CORE, subject, -0.01, low, high, np.nan, 3))


def test_one_seed_gives_no_neutrality_and_says_so(tmp_path: Path) -> None:
    make_atlas(tmp_path / "one", LANGUAGES, seeds=(0,), methods=("imp",), levels=(0.5,))
    table = findings(Atlas.open(tmp_path / "one"))
    assert table["value"].isna().all()
    assert "undefined" in next(sentences(table))


def test_a_level_that_is_not_there_has_no_findings(atlas: Atlas) -> None:
    assert findings(atlas, sparsity=0.35).empty


def test_a_damaged_transfer_table_does_not_stop_the_rest(tmp_path: Path) -> None:
    make_atlas(tmp_path / "hurt", LANGUAGES, levels=(0.5,))
    whole = findings(Atlas.open(tmp_path / "hurt"))
    (tmp_path / "hurt" / "transfer.parquet").write_bytes(b"not a table")
    assert findings(Atlas.open(tmp_path / "hurt")).equals(whole)
