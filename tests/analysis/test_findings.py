"""The findings of an atlas: the same numbers as the analyses they are made of, and words that fit them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lsn_core.analysis.calibration import language_matrix
from lsn_core.analysis.counts import load_counts
from lsn_core.analysis.findings import DISTANCE, NEUTRALITY, RELATIVES, findings, sentences
from lsn_core.analysis.statistics import adjusted_p_values, mantel
from lsn_core.languages import reference_distances
from lsn_core.masks.atlas import Atlas
from tests.synthetic_atlas import make_atlas

LANGUAGES = ("en", "de", "fr", "es", "sw")


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
    assert "so not shown" in unsure
    assert "so not shown" not in sure
    assert f"{table['value'].iloc[0]:.3f}" in sure


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
