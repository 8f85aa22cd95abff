"""Trees beside a reference tree: measures with oracles, permutation tests, crossings by geometry."""

from __future__ import annotations

import dataclasses
from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from skbio import TreeNode

from lsn_core.analysis.tree_comparison import bakers_gamma, compare, crossings, robinson_foulds, untangled
from lsn_core.analysis.trees import Tree, build_tree
from lsn_core.errors import LsnError
from lsn_core.languages import PAPER_LANGUAGES, Nested, family_tree, leaves
from tests.analysis.test_trees import random_matrix, read

KIN: Nested = ((("a", "b"), "c"), ("d", ("e", "f")))


def named(count: int, seed: int) -> Tree:
    """A random tree over the first letters."""
    found = build_tree(random_matrix(count, seed))
    return dataclasses.replace(found, labels=tuple("abcdefghijklmnopqrstuvwxyz"[:count]))


def like(nested: Nested) -> Tree:
    """A tree whose joins are those of binary nested tuples."""
    labels = sorted(leaves(nested))
    similar = np.eye(len(labels))

    def fill(node: Nested, value: float) -> None:
        inside = [labels.index(leaf) for leaf in leaves(node)]
        for a, b in combinations(inside, 2):
            similar[a, b] = similar[b, a] = value
        if not isinstance(node, str):
            for step, child in enumerate(node):
                fill(child, value + 0.1 + 0.01 * step)

    fill(nested, 0.2)
    matrix = random_matrix(len(labels), 0)
    return build_tree(dataclasses.replace(matrix, languages=tuple(labels), value=similar))


@given(st.integers(3, 20), st.integers(0, 10**6), st.integers(0, 10**6))
def test_robinson_foulds_agrees_with_another_library(count: int, first: int, second: int) -> None:
    a, b = build_tree(random_matrix(count, first)), build_tree(random_matrix(count, second))
    assert robinson_foulds(a, b) == read(a).compare_rfd(read(b), rooted=True)
    assert robinson_foulds(a, b) == robinson_foulds(b, a)
    assert robinson_foulds(a, a) == 0


def nested(node: TreeNode) -> Nested:
    return node.name if node.is_tip() else tuple(nested(child) for child in node.children)


@given(st.integers(3, 15), st.integers(0, 10**6), st.integers(0, 10**6))
def test_nested_tuples_stand_for_their_tree(count: int, first: int, second: int) -> None:
    a, b = build_tree(random_matrix(count, first)), build_tree(random_matrix(count, second))
    assert robinson_foulds(nested(read(a)), b) == robinson_foulds(a, b)
    assert robinson_foulds(a, nested(read(a))) == 0


def test_robinson_foulds_with_families_that_join_many_at_once() -> None:
    star: Nested = ("a", "b", "c", "d")
    assert robinson_foulds(star, (("a", "b"), ("c", "d"))) == 2
    assert robinson_foulds((("a", "c"), "b", "d"), (("a", "b"), ("c", "d"))) == 3
    families = family_tree(PAPER_LANGUAGES)
    assert robinson_foulds(families, families) == 0


@given(st.integers(4, 15), st.integers(0, 10**6), st.integers(0, 10**6))
def test_bakers_gamma_is_a_rank_correlation(count: int, first: int, second: int) -> None:
    a, b = build_tree(random_matrix(count, first)), build_tree(random_matrix(count, second))
    assert bakers_gamma(a, a) == pytest.approx(1)
    assert bakers_gamma(a, b) == pytest.approx(bakers_gamma(b, a))
    stages = []
    for found in (a, b):
        joined_in = {
            frozenset(pair): max(
                -len(found.clades()),
                *(-row for row, clade in enumerate(found.clades()) if set(pair) <= clade),
            )
            for pair in combinations(found.labels, 2)
        }
        stages.append([-joined_in[frozenset(pair)] for pair in combinations(a.labels, 2)])
    assert bakers_gamma(a, b) == pytest.approx(spearmanr(*stages).statistic)


def test_bakers_gamma_does_not_hang_on_the_order_of_labels() -> None:
    matrix = random_matrix(7, 0)
    turned = np.random.default_rng(0).permutation(7)
    other = dataclasses.replace(
        matrix,
        languages=tuple(matrix.languages[index] for index in turned),
        value=matrix.value[np.ix_(turned, turned)],
    )
    assert bakers_gamma(build_tree(matrix), build_tree(other)) == pytest.approx(1)
    assert robinson_foulds(build_tree(matrix), build_tree(other)) == 0


def test_bakers_gamma_of_a_star_is_undefined() -> None:
    assert np.isnan(bakers_gamma(("a", "b", "c"), (("a", "b"), "c")))
    assert bakers_gamma((("a", "b"), "c"), (("a", "b"), "c")) == pytest.approx(1)
    assert bakers_gamma((("a", "b"), "c"), (("a", "c"), "b")) == pytest.approx(-0.5)


def test_trees_over_different_languages_are_not_compared() -> None:
    for measure in (robinson_foulds, bakers_gamma):
        with pytest.raises(LsnError, match="not over the same languages: c, d"):
            measure(("a", "b", "c"), ("a", "b", "d"))
        with pytest.raises(LsnError, match="not over the same languages"):
            measure(("a", "b", "b"), ("a", "b"))


def shuffled(tree: Tree, order: tuple[int, ...]) -> Tree:
    return dataclasses.replace(tree, labels=tuple(tree.labels[index] for index in order))


@pytest.mark.parametrize("seed", range(4))
def test_a_comparison_is_that_of_every_permutation(seed: int) -> None:
    tree = named(6, seed)
    found = compare(tree, KIN)
    gammas, distances = [], []
    for order in permutations(range(6)):
        gammas.append(bakers_gamma(shuffled(tree, order), KIN))
        distances.append(robinson_foulds(shuffled(tree, order), KIN))
    assert found.robinson_foulds == distances[0] / (found.groups + found.reference_groups)
    assert found.shared == (8 - distances[0]) / 2
    assert found.gamma == pytest.approx(gammas[0])
    assert found.exact
    assert found.permutations == 719
    first = np.mean(np.array(distances) <= distances[0])
    second = np.mean(np.array(gammas) >= gammas[0] - 1e-12)
    low, high = sorted([first, second])
    adjusted = {low: min(2 * low, high), high: high}
    assert found.p_robinson_foulds == pytest.approx(adjusted[first])
    assert found.p_gamma == pytest.approx(adjusted[second])


def test_a_tree_like_its_reference_is_told_from_chance() -> None:
    same = compare(like(KIN), KIN)
    assert (same.groups, same.reference_groups, same.shared) == (4, 4, 4)
    assert same.robinson_foulds == same.lowest == 0
    assert same.gamma > 0.9
    assert max(same.p_robinson_foulds, same.p_gamma) < 0.05
    families = family_tree(PAPER_LANGUAGES)
    binary = ((((("en", "de"), ("fr", "es")), "ru"), ("fa", ("ur", "hi"))), (("zh", "ar"), "sw"))
    found = compare(like(binary), families, permutations=999)
    assert found.permutations == 999
    assert not found.exact
    assert found.shared == found.reference_groups == 5
    assert found.robinson_foulds == pytest.approx(found.lowest)
    assert found.p_robinson_foulds == pytest.approx(0.001, abs=1e-9)
    assert compare(like(binary), families, permutations=999) == found


def test_permuted_labels_are_rarely_called_alike() -> None:
    called = [
        compare(named(8, seed), ((("a", "b"), "c"), ("d", ("e", "f")), "g", "h"), 199) for seed in range(60)
    ]
    assert sum(found.p_gamma <= 0.05 for found in called) <= 8
    assert sum(found.p_robinson_foulds <= 0.05 for found in called) <= 8


def test_no_relatives_no_comparison() -> None:
    found = compare(named(4, 0), ("a", "b", "c", "d"))
    assert (found.reference_groups, found.shared) == (0, 0)
    assert np.isnan([found.robinson_foulds, found.gamma, found.p_robinson_foulds, found.p_gamma]).all()
    with pytest.raises(LsnError, match="not over the same languages"):
        compare(named(4, 0), ("a", "b", "c", "e"))


def cross(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Whether the segments (0, y0)-(1, y1) meet between the columns."""
    above = [np.linspace(*first, 1001) > np.linspace(*second, 1001)]
    return bool(above[0][0] != above[0][-1])


@given(st.integers(2, 12), st.integers(0, 10**6))
def test_crossings_are_those_of_the_lines(count: int, seed: int) -> None:
    labels = [f"x{k}" for k in range(count)]
    rng = np.random.default_rng(seed)
    left, right = list(rng.permutation(labels)), list(rng.permutation(labels))
    lines = [(left.index(label), right.index(label)) for label in labels]
    assert crossings(left, right) == sum(cross(a, b) for a, b in combinations(lines, 2))


def test_crossings_of_columns_that_differ_are_refused() -> None:
    assert crossings("abc", "abc") == 0
    assert crossings("abc", "cba") == 3
    for second in ("abd", "abb", "ab"):
        with pytest.raises(LsnError, match="same labels in both"):
            crossings("abc", second)
    with pytest.raises(LsnError, match="order of its own labels"):
        untangled(named(3, 0), "abd")


def every_order(tree: Tree) -> list[tuple[int, ...]]:
    """All leaf orders that turning nodes gives."""
    orders: list[list[tuple[int, ...]]] = [[(leaf,)] for leaf in range(len(tree.labels))]
    for left, right in tree.linkage[:, :2].astype(int):
        pairs = list(product(orders[left], orders[right]))
        orders.append([a + b for a, b in pairs] + [b + a for a, b in pairs])
    return orders[-1]


@given(st.integers(3, 8), st.integers(0, 10**6))
def test_untangling_is_the_best_of_all_turns_and_leaves_the_tree(count: int, seed: int) -> None:
    tree = named(count, seed)
    beside = list(np.random.default_rng(seed).permutation(list(tree.labels)))
    turned = untangled(tree, beside)

    def crossed(order: tuple[int, ...]) -> int:
        return crossings([tree.labels[leaf] for leaf in order], beside)

    possible = every_order(tree)
    assert turned.order in possible
    assert crossed(turned.order) == min(map(crossed, possible))
    np.testing.assert_array_equal(turned.linkage, tree.linkage)
    assert turned.clades() == tree.clades()
    assert untangled(turned, beside).order == turned.order
    assert untangled(tree, [tree.labels[leaf] for leaf in tree.order]).order == tree.order
