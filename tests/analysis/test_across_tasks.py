"""Two tasks held against each other: the numbers again from the overlap table, and what stands in findings."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from lsn_core.analysis.across_tasks import across_tasks
from lsn_core.analysis.card import CARD_FILE
from lsn_core.analysis.counts import load_counts
from lsn_core.analysis.findings import ACROSS, CORE, NEUTRALITY, OTHERS, OWN, SAME_TASK, findings, sentences
from lsn_core.analysis.overlap import overlap
from lsn_core.analysis.publish import publish
from lsn_core.masks.atlas import Atlas
from tests.synthetic_atlas import make_atlas, make_layout, write_core_scores

LANGUAGES = ("en", "de", "fr", "sw")


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """Each language's two tasks share its drift, and so are closer than those of two languages."""
    folder, layout = tmp_path_factory.mktemp("across") / "two", make_layout(layers=2, hidden=24)
    for task in ("mlm", "pos"):
        make_atlas(folder, LANGUAGES, methods=("imp",), levels=(0.5,), layout=layout, task=task)
    return Atlas.open(folder)


def _by_hand(atlas: Atlas) -> np.ndarray:
    """Neutrality, (2n, 2n), of the groups (task, language), from the table of the contract."""
    groups = [(task, code) for task in ("mlm", "pos") for code in LANGUAGES]
    table = overlap(atlas, sparsity=0.5)
    found = {name: np.zeros((len(groups), len(groups))) for name in ("jaccard", "reference")}
    number = np.zeros_like(found["jaccard"])
    for row in table.itertuples():
        a = groups.index((row.task_a, row.language_a))
        b = groups.index((row.task_b, row.language_b))
        for first, second in {(a, b), (b, a)}:
            number[first, second] += 1
            for name, values in found.items():
                values[first, second] += getattr(row, name)
    jaccard, reference = (values / number for values in found.values())
    own = np.diagonal(jaccard)
    ceiling = (own[:, None] + own[None, :]) / 2
    return (jaccard - reference) / (ceiling - reference)


def test_means_are_those_of_the_overlap_table(atlas: Atlas) -> None:
    found = across_tasks(load_counts(atlas, 0.5), "mlm", "pos", replicates=50)
    assert found is not None
    assert set(found.languages) == set(LANGUAGES)
    value, n = _by_hand(atlas), len(LANGUAGES)
    cross, apart = value[:n, n:], ~np.eye(n, dtype=bool)
    assert found.own.value == pytest.approx(np.diagonal(cross).mean())
    assert found.others.value == pytest.approx(cross[apart].mean())
    same = (value[:n, :n][apart].mean() + value[n:, n:][apart].mean()) / 2
    assert found.same_task.value == pytest.approx(same)
    assert found.above_others.value == pytest.approx(found.own.value - found.others.value)
    for estimate in (found.own, found.others, found.same_task, found.above_others, found.above_same_task):
        assert estimate.low <= estimate.value <= estimate.high
    means = [cross[range(n), list(order)].mean() for order in permutations(range(n))]
    assert found.p == pytest.approx(np.mean(np.array(means) >= means[0] - 1e-12))
    assert found.above_others.value > 0
    assert found.p == pytest.approx(1 / 24)


def test_without_a_second_seed_or_a_second_language_nothing_is_said(tmp_path: Path) -> None:
    for name, codes, seeds in (("seed", LANGUAGES, (0,)), ("language", ("en",), (0, 1))):
        for task in ("mlm", "pos"):
            made = make_atlas(tmp_path / name, codes, seeds, ("imp",), levels=(0.5,), task=task)
        assert across_tasks(load_counts(made, 0.5), "mlm", "pos") is None
        assert not (findings(made)["question"] == ACROSS).any()


def test_findings_keep_tasks_apart_and_compare_them(atlas: Atlas) -> None:
    table = findings(atlas)
    assert list(dict.fromkeys(table["task"])) == ["mlm", "pos", "mlm and pos"]
    for task in ("mlm", "pos"):
        assert (table[table["task"] == task]["question"] == NEUTRALITY).sum() == 1 + 2 + 6
    rows = table[table["question"] == ACROSS].set_index("subject")
    assert list(rows.index) == [OWN, OTHERS, SAME_TASK, f"{OWN} − {OTHERS}", f"{OWN} − {SAME_TASK}"]
    told = list(sentences(table))
    assert [line.partition("**,")[0] for line in told if line.startswith("**")] == [
        *("**mlm", "**pos", "**mlm and pos"),
    ]
    (line,) = [line for line in told if line.startswith("**mlm and pos")]
    assert f"{rows.loc[OWN, 'value']:.3f}" in line
    assert f"by {rows.loc[f'{OWN} − {OTHERS}', 'value']:+.3f} [" in line


def test_words_follow_the_interval(atlas: Atlas) -> None:
    table = findings(atlas)
    last = (table["question"] == ACROSS) & (table["subject"] == f"{OWN} − {SAME_TASK}")
    for value, low, high, words in (
        (0.2, 0.1, 0.3, "Another language sets sub-networks further apart than another task"),
        (-0.2, -0.3, -0.1, "Another task sets sub-networks further apart than another language"),
        (0.1, -0.1, 0.3, "There is no evidence on whether task or language"),
        (0.1, np.nan, np.nan, "There is no evidence on whether task or language"),
    ):
        changed = table.copy()
        changed.loc[last, ["value", "low", "high"]] = value, low, high
        assert words in "\n".join(sentences(changed))


def test_core_scores_stand_in_findings_and_card(tmp_path: Path) -> None:
    made = make_atlas(tmp_path / "a", LANGUAGES, methods=("imp",), levels=(0.5,))
    write_core_scores(made, LANGUAGES, 3)
    publish(made)
    table = findings(made)
    rows = table[table["question"] == CORE].set_index("subject")
    assert list(rows.index) == [
        f"{name}, 3 of {' '.join(LANGUAGES)}" for name in ("own", "random", "base", "dense")
    ]
    told = [line for line in sentences(table) if line.startswith("Trained by itself")]
    assert len(told) == 4
    for row, line in zip(rows.itertuples(), told, strict=True):
        assert f"{abs(row.value):.3f} {'higher' if row.value > 0 else 'lower'} than" in line
        assert ("no evidence for a difference" in line) == (row.low <= 0 <= row.high)
    assert told[1] in (made.path / CARD_FILE).read_text()
