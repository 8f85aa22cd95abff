"""Matrices of a transfer table: hand-worked cells, and what is missing stays missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lsn_core.analysis.transfer import TransferMatrix, transfer_matrix
from lsn_core.errors import LsnError
from lsn_core.masks.cells import TRANSFER


def _rows(*cells: tuple, kind: str = "mask", source_task: str = "mlm") -> pd.DataFrame:
    """Rows of (source, control, target, seed, value), with a loss of minus the value beside."""
    rows = [
        {
            **{"kind": kind, "task": "mlm", "source_task": source_task, "source": source},
            **{"control": control, "target": target, "seed": seed, "sparsity": 0.5, "metric": metric},
            **{"value": sign * value, "count": 9, "split": "test"},
            **{"tickets": "", "settings": "", "cell": ""},
        }
        for source, control, target, seed, value in cells
        for metric, sign in (("top-1", 1), ("loss", -1))
    ]
    return pd.DataFrame(rows, columns=list(TRANSFER.columns))


MASK = _rows(
    *(("en", "", "en", 0, 0.6), ("fr", "", "en", 0, 0.5), ("sw", "", "en", 0, 0.3)),
    *(("en", "", "fr", 0, 0.4), ("fr", "", "fr", 0, 0.45)),
    *(("en", "", "en", 1, 0.8), ("fr", "", "en", 1, 0.6)),
    *(("", "dense", "en", 0, 0.7), ("", "dense", "fr", 0, 0.5), ("", "base", "en", 0, 0.55)),
)


def _matrix(rows: pd.DataFrame = MASK, **options) -> TransferMatrix:
    return transfer_matrix(rows, **{"kind": "mask", "task": "mlm", "sparsity": 0.5, **options})


def test_cells_are_means_over_seeds_and_missing_ones_are_not_zero() -> None:
    matrix = _matrix(languages=("en", "fr", "sw"))
    assert matrix.metric == "top-1"
    assert matrix.seeds == (0, 1)
    nan = np.nan
    np.testing.assert_allclose(matrix.value, [[0.7, 0.4, nan], [0.55, 0.45, nan], [0.3, nan, nan]])


def test_differences_take_the_seeds_that_both_have() -> None:
    matrix = _matrix()
    np.testing.assert_allclose(matrix.difference("dense"), [[-0.1, -0.1], [-0.2, -0.05]])
    np.testing.assert_allclose(matrix.difference("base"), [[0.05, np.nan], [-0.05, np.nan]])
    np.testing.assert_allclose(matrix.control("dense"), [[0.7, 0.5], [0.7, 0.5]])
    assert np.isnan(matrix.control("random")).all()
    with pytest.raises(LsnError, match="no control 'magic'"):
        matrix.control("magic")


def test_donors_are_ranked_by_what_others_lose_with_them() -> None:
    matrix = _matrix(languages=("en", "fr", "sw"))
    np.testing.assert_allclose(matrix.loss()[:2, :2], [[0, -0.05], [-0.15, 0]])
    assert matrix.donors().to_dict() == pytest.approx({"en": -0.05, "fr": -0.15, "sw": -0.3})
    assert list(matrix.donors().index) == ["en", "fr", "sw"]


def test_one_seed_one_metric_some_languages() -> None:
    matrix = _matrix(seeds=(1,), metric="loss", languages=("fr", "en"))
    np.testing.assert_allclose(matrix.value, [[np.nan, -0.6], [np.nan, -0.8]])


def test_zero_shot_controls_learn_from_the_source() -> None:
    rows = _rows(
        *(("en", "", "fr", 0, 0.4), ("fr", "", "fr", 0, 0.5), ("fr", "", "en", 0, 0.3)),
        *(("en", "dense", "fr", 0, 0.45), ("fr", "dense", "fr", 0, 0.6)),
        kind="zero-shot",
    )
    matrix = _matrix(rows, kind="zero-shot")
    np.testing.assert_allclose(matrix.control("dense"), [[np.nan, 0.45], [np.nan, 0.6]])
    np.testing.assert_allclose(matrix.difference("dense"), [[np.nan, -0.05], [np.nan, -0.1]])


def test_between_tasks_there_is_a_diagonal_only() -> None:
    rows = _rows(
        ("en", "", "en", 0, 0.4), ("fr", "", "fr", 0, 0.5), ("", "base", "fr", 0, 0.45),
        kind="task", source_task="pos",
    )  # fmt: skip
    matrix = _matrix(rows, kind="task")
    assert matrix.source_task == "pos"
    np.testing.assert_allclose(matrix.value, [[0.4, np.nan], [np.nan, 0.5]])
    np.testing.assert_allclose(matrix.difference("base"), [[np.nan, np.nan], [np.nan, 0.05]])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kind": "task"}, "there is mask of task mlm"),
        ({"task": "pos"}, "no mask transfer of task pos"),
        ({"sparsity": 0.8}, "there is 0.5"),
        ({"source_task": "pos"}, "there is none"),
        ({"seeds": (7,)}, "these seeds"),
        ({"metric": "F1"}, "'F1'"),
    ],
)
def test_what_is_not_there_is_said(options: dict, says: str) -> None:
    with pytest.raises(LsnError, match=says):
        _matrix(**options)


def test_average_between_languages_says_what_the_seeds_share() -> None:
    matrix = _matrix(languages=("en", "fr", "sw"))
    average = matrix.between_languages(matrix.by_seed - matrix.own)
    # fr to en in both seeds (-0.1, -0.2), sw to en (-0.3) and en to fr (-0.05) in seed 0 alone.
    assert average.value == pytest.approx((-0.15 - 0.3 - 0.05) / 3)
    assert (average.count, average.shared) == (3, 1)
    assert average.by_seed == {0: pytest.approx(-0.1), 1: pytest.approx(-0.2)}
    assert not matrix.complete
    dense = matrix.between_languages(matrix.controls["dense"])
    assert dense.value == pytest.approx((0.7 + 0.7 + 0.5) / 3)


def test_noise_is_how_far_two_seeds_of_one_language_differ() -> None:
    assert _matrix().seed_noise() == pytest.approx(0.2)
    one = _matrix().of_seed(1)
    assert one.seeds == (1,)
    assert np.isnan(one.seed_noise())
    assert one.complete
    np.testing.assert_allclose(one.value, _matrix(seeds=[1], languages=("en", "fr")).value)
