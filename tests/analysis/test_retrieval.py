from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsn_core.analysis import retrieval as module
from lsn_core.analysis.retrieval import margin_neighbours, retrieval_accuracy
from lsn_core.errors import LsnError


def vectors(n: int, seed: int, d: int = 12, shift: float = 0.5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


def aligned(n: int, seed: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    a = vectors(n, seed)
    return a, a + noise * vectors(n, seed + 1000, shift=0)


def brute_force(a: np.ndarray, b: np.ndarray, k: int) -> tuple[list[int], list[int]]:
    """Pair by pair: the ratio of Artetxe & Schwenk, with sorted lists of neighbours."""

    def cosine(x: np.ndarray, y: np.ndarray) -> float:
        return float(x @ y / np.sqrt((x @ x) * (y @ y)))

    cosines = [[cosine(x, y) for y in b] for x in a]
    of_a = [sorted(row)[-k:] for row in cosines]
    of_b = [sorted(column)[-k:] for column in zip(*cosines, strict=True)]
    margins = [
        [
            cosines[i][j] / (sum(of_a[i]) / (2 * len(of_a[i])) + sum(of_b[j]) / (2 * len(of_b[j])))
            for j in range(len(b))
        ]
        for i in range(len(a))
    ]
    forward = [max(range(len(b)), key=lambda j: margins[i][j]) for i in range(len(a))]
    backward = [max(range(len(a)), key=lambda i: margins[i][j]) for j in range(len(b))]
    return forward, backward


@pytest.mark.parametrize("k", [1, 3, 5, 100])
@pytest.mark.parametrize("block_bytes", [1, 1000, 2**26])
def test_neighbours_are_those_of_brute_force(
    k: int, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK_BYTES", block_bytes)
    a, b = (array + 1 for array in aligned(30, 0, 2.0))
    forward, backward = margin_neighbours(a, b[:23], k)
    expected = brute_force(a, b[:23], k)
    assert (forward.tolist(), backward.tolist()) == expected
    assert len(set(forward.tolist())) > 5


@given(st.integers(0, 10**6), st.integers(1, 25), st.integers(1, 7), st.sampled_from([10, 400, 2**20]))
def test_accuracy_is_that_of_brute_force(seed: int, n: int, k: int, block_bytes: int) -> None:
    a, b = aligned(n, seed, 1.5)
    a, b = a + 2, b + 2  # cosines above zero, so that every margin has a meaning
    forward, backward = brute_force(a, b, k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK_BYTES", block_bytes)
        found = retrieval_accuracy(a, b, k)
    own = range(n)
    assert found == (
        np.mean([i == j for i, j in zip(own, forward, strict=True)]),
        np.mean([i == j for i, j in zip(own, backward, strict=True)]),
    )


def test_the_margin_undoes_a_sentence_that_is_near_to_everything() -> None:
    rng = np.random.default_rng(0)
    a = np.eye(8) + 1
    b = np.eye(8) + 1 + 0.02 * rng.random((8, 8))
    b[3] = 1  # a hub: the mean direction of all
    a[5] = 1 + 0.3 * np.eye(8)[5]
    cosine = (a / np.linalg.norm(a, axis=1)[:, None]) @ (b / np.linalg.norm(b, axis=1)[:, None]).T
    assert cosine[5].argmax() == 3
    assert margin_neighbours(a, b)[0][5] == 5


def test_perfect_and_hopeless_retrieval() -> None:
    a = vectors(60, 1)
    assert retrieval_accuracy(a, a) == (1, 1)
    assert retrieval_accuracy(a, np.roll(a, 1, axis=0)) == (0, 0)
    assert max(retrieval_accuracy(a, vectors(60, 2))) < 0.2
    assert retrieval_accuracy(a[:1], vectors(1, 1)) == (1, 1)


def test_directions_are_the_two_orders_of_the_arguments() -> None:
    a, b = aligned(80, 3, 2.5)
    forward, backward = retrieval_accuracy(a, b)
    assert forward != backward
    assert retrieval_accuracy(b, a) == (backward, forward)


def test_length_does_not_matter_and_precision_little() -> None:
    a, b = aligned(50, 4, 1.5)
    expected = margin_neighbours(a, b)
    scale = np.random.default_rng(0).uniform(1e-3, 1e3, (50, 1))
    for one, other in ((a * scale, b), (a.astype(np.float32), b.astype(np.float32)), (a * 1e200, b * 1e-200)):
        found = margin_neighbours(one, other)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
    half = retrieval_accuracy(a.astype(np.float16), b.astype(np.float16))
    assert half == pytest.approx(retrieval_accuracy(a, b), abs=0.05)


def test_equal_margins_go_to_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    same = np.ones((6, 4))
    for block_bytes in (1, 2**20):
        monkeypatch.setattr(module, "_BLOCK_BYTES", block_bytes)
        forward, backward = margin_neighbours(same, same)
        assert forward.tolist() == backward.tolist() == [0] * 6


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK_BYTES", 2**18)
    a, b = (array.astype(np.float32) for array in aligned(2000, 5, 0.5))
    tracemalloc.start()
    retrieval_accuracy(a, b)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2000 * 2000 * 4 / 4  # all similarities would be 16 MB


@pytest.mark.parametrize(
    ("a", "b", "k", "says"),
    [
        (np.ones((3, 4)), np.ones((2, 4)), 5, "here are 3 and 2"),
        (np.ones((3, 4)), np.ones((3, 5)), 5, "different lengths, 4 and 5"),
        (np.ones((0, 4)), np.ones((0, 4)), 5, r"not of shape \(0, 4\)"),
        (np.ones(3), np.ones(3), 5, r"not of shape \(3,\)"),
        (np.array([[1.0, 0], [0, 0]]), np.ones((2, 2)), 5, "sentence 1 is zero"),
        (np.full((2, 2), np.nan), np.ones((2, 2)), 5, "finite"),
        (np.ones((2, 2)), np.ones((2, 2)), 0, "one neighbour at least"),
        (np.ones((2, 2)), -np.ones((2, 2)), 5, "no similar neighbour"),
    ],
)
def test_bad_input_is_one_sentence(a: np.ndarray, b: np.ndarray, k: int, says: str) -> None:
    with pytest.raises(LsnError, match=says):
        retrieval_accuracy(a, b, k)
