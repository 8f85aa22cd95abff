from __future__ import annotations

import dataclasses
import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform
from skbio import TreeNode

from lsn_core.analysis.calibration import LanguageMatrix, language_matrix
from lsn_core.analysis.counts import load_counts
from lsn_core.analysis.tree_comparison import bakers_gamma, robinson_foulds
from lsn_core.analysis.trees import LINKAGES, Tree, build_tree, cut, cut_height, tree
from lsn_core.errors import LsnError
from lsn_core.languages import family_tree
from lsn_core.masks.atlas import Atlas
from tests.synthetic import make_atlas


def random_matrix(count: int, seed: int, replicates: int = 0, names: str = "language {}") -> LanguageMatrix:
    """Similarities of points in space, and replicates with the points a little moved."""
    rng = np.random.default_rng(seed)
    points = rng.random((count, 5)) / 3
    moved = [points + 0.02 * rng.normal(size=points.shape) for _ in range(replicates)]
    value, *again = [1 - squareform(pdist(place)) for place in (points, *moved)]
    stacked = np.array(again).reshape(replicates, count, count)
    labels = tuple(names.format(index) for index in range(count))
    return LanguageMatrix(labels, "jaccard", "total", value, value, value, stacked)


def read(found: Tree) -> TreeNode:
    return TreeNode.read(io.StringIO(found.newick()), convert_underscores=False)


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    languages = ("en", "de", "fr", "es", "zh", "ar")
    return make_atlas(tmp_path_factory.mktemp("atlas") / "a", languages, levels=(0.3, 0.5))


@pytest.mark.parametrize("linkage", LINKAGES)
@pytest.mark.parametrize("count", [3, 4, 11, 40])
def test_linkage_and_cophenetic_correlation_are_scipys(linkage: str, count: int) -> None:
    matrix = random_matrix(count, count)
    found = build_tree(matrix, linkage)
    distances = squareform(1 - matrix.value, checks=False)
    expected = hierarchy.linkage(distances, linkage, optimal_ordering=True)
    np.testing.assert_array_equal(found.linkage, expected)
    correlation = np.corrcoef(hierarchy.cophenet(expected), distances)[0, 1]
    assert found.cophenetic == pytest.approx(correlation)
    assert sorted(found.order) == list(range(count))
    assert found.method == linkage
    assert found.support is None
    np.testing.assert_allclose(squareform(found.heights()), hierarchy.cophenet(expected))


def test_the_leaf_order_is_the_best_that_the_tree_allows() -> None:
    matrix = random_matrix(6, 3)
    found = build_tree(matrix)

    def length(order: tuple[int, ...]) -> float:
        return sum(1 - matrix.value[a, b] for a, b in pairwise(order))

    def orders(node: int) -> list[tuple[int, ...]]:
        if node < 6:
            return [(node,)]
        left, right = (int(child) for child in found.linkage[node - 6, :2])
        pairs = [(x, y) for x in orders(left) for y in orders(right)]
        return [x + y for x, y in pairs] + [y + x for x, y in pairs]

    assert length(found.order) == pytest.approx(min(length(order) for order in orders(10)))


@given(st.integers(3, 25), st.integers(0, 10**6), st.sampled_from(LINKAGES), st.booleans())
def test_newick_is_read_back_by_another_library(count: int, seed: int, linkage: str, supported: bool) -> None:
    found = build_tree(random_matrix(count, seed, replicates=5 if supported else 0), linkage)
    parsed = read(found)
    assert [tip.name for tip in parsed.tips()] == [found.labels[leaf] for leaf in found.order]
    distances = parsed.cophenet()  # along the branches, leaf to leaf
    rows = [distances.ids.index(label) for label in found.labels]
    np.testing.assert_allclose(distances.data[np.ix_(rows, rows)], found.heights(), rtol=1e-6, atol=1e-8)
    clades = {frozenset(tip.name for tip in node.tips()) for node in parsed.non_tips(include_self=True)}
    assert clades == set(found.clades())
    if supported:
        shares = dict(zip(found.clades(), found.support, strict=True))
        for node in parsed.non_tips():
            assert float(node.name) == pytest.approx(
                shares[frozenset(tip.name for tip in node.tips())], abs=1e-3
            )
    assert parsed.name is None


def test_newick_worked_by_hand() -> None:
    value = np.array([[1, 0.8, 0.5], [0.8, 1, 0.5], [0.5, 0.5, 1]])
    replicates = np.array([value, value, value, value[::-1, ::-1]])
    matrix = LanguageMatrix(("en", "de", "zh"), "jaccard", "total", value, value, value, replicates)
    found = build_tree(matrix)
    assert found.support.tolist() == [0.75, 1.0]
    assert found.newick() in {
        "(zh:0.25,(en:0.1,de:0.1)0.75:0.15);",
        "(zh:0.25,(de:0.1,en:0.1)0.75:0.15);",
        "((en:0.1,de:0.1)0.75:0.15,zh:0.25);",
        "((de:0.1,en:0.1)0.75:0.15,zh:0.25);",
    }
    assert found.clades() == [{"en", "de"}, {"en", "de", "zh"}]


@pytest.mark.parametrize(
    "label", ["a b", "it's", "x:y", "(z)", "[q]", "a,b;c", "under_score", "中文", "zh-Hant"]
)
def test_labels_that_mean_something_in_newick_are_quoted(label: str) -> None:
    matrix = dataclasses.replace(random_matrix(3, 1), languages=("en", label, "de"))
    assert {tip.name for tip in read(build_tree(matrix)).tips()} == {"en", label, "de"}


def test_a_tree_of_many_leaves_is_written_without_recursion() -> None:
    count = 3000
    chain = np.column_stack(
        [
            [0, *range(count, 2 * count - 2)],
            np.arange(1, count),
            np.arange(1, count) / count,
            np.arange(2, count + 1),
        ]
    )
    labels = tuple(f"l{index}" for index in range(count))
    found = Tree(labels, chain, tuple(range(count)), 1.0, None, "single")
    assert found.newick().count("(") == count - 1
    assert len(found.clades()[-1]) == count


def test_the_tree_of_an_atlas(atlas: Atlas) -> None:
    found = tree(atlas, task="mlm", replicates=100)
    assert set(found.labels) == {"en", "de", "fr", "es", "zh", "ar"}
    assert {"en", "de"} in found.clades()
    assert {"fr", "es"} in found.clades()
    assert {"en", "de", "fr", "es"} in found.clades()
    support = dict(zip(found.clades(), found.support, strict=True))
    assert support[frozenset({"en", "de"})] > 0.9
    assert support[frozenset(found.labels)] == 1
    assert np.all((found.support >= 0) & (found.support <= 1))
    assert 0.8 < found.cophenetic <= 1
    again = tree(atlas, task="mlm", replicates=100)
    assert again.newick() == found.newick()
    by_hand = build_tree(language_matrix(load_counts(atlas, 0.5, "mlm"), replicates=100))
    assert by_hand.newick() == found.newick()
    families = family_tree(found.labels)
    assert robinson_foulds(found, families) <= 1
    assert bakers_gamma(found, families) > 0.7


def test_options_reach_the_tree(atlas: Atlas) -> None:
    total = tree(atlas, replicates=20)
    neutral = tree(atlas, distance="neutrality", linkage="complete", replicates=20)
    assert neutral.method == "complete"
    assert neutral.linkage[-1, 2] > total.linkage[-1, 2]  # neutrality spreads what the reference squeezes
    few = tree(
        atlas, languages=("zh", "de", "en"), seeds=(0,), sparsity=0.3, scope="encoder.1", replicates=20
    )
    assert few.labels == ("zh", "de", "en")
    assert {"de", "en"} in few.clades()
    random = tree(atlas, method="random", replicates=20)
    assert random.linkage[0, 2] > 0.6  # random masks share what chance gives


def test_support_falls_when_the_evidence_is_weak() -> None:
    clear, weak = random_matrix(8, 0, replicates=50), random_matrix(8, 0, replicates=50)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=weak.replicates.shape) / 5
    weak = dataclasses.replace(weak, replicates=weak.replicates + noise + noise.transpose(0, 2, 1))
    assert build_tree(weak).support[:-1].mean() < build_tree(clear).support[:-1].mean()
    same = dataclasses.replace(clear, replicates=np.repeat(clear.value[None], 5, axis=0))
    assert build_tree(same).support.tolist() == [1.0] * 7


def test_undefined_replicates_are_left_out() -> None:
    matrix = random_matrix(5, 0, replicates=4)
    holed = matrix.replicates.copy()
    holed[0, 1, 2] = np.nan
    found = build_tree(dataclasses.replace(matrix, replicates=holed))
    expected = build_tree(dataclasses.replace(matrix, replicates=matrix.replicates[1:]))
    np.testing.assert_array_equal(found.support, expected.support)
    holed[:, 1, 2] = np.nan
    assert build_tree(dataclasses.replace(matrix, replicates=holed)).support is None


def test_a_neutrality_above_one_is_no_distance() -> None:
    matrix = random_matrix(4, 0)
    value = matrix.value.copy()
    value[0, 1] = value[1, 0] = 1.2
    found = build_tree(dataclasses.replace(matrix, value=value, measure="neutrality"))
    assert found.linkage[0, 2] == 0


def test_equal_distances_have_no_correlation() -> None:
    value = np.full((4, 4), 0.5)
    matrix = LanguageMatrix(tuple("abcd"), "jaccard", "total", value, value, value, np.empty((0, 4, 4)))
    assert np.isnan(build_tree(matrix).cophenetic)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"distance": "dice"}, "choose one of jaccard, neutrality"),
        ({"linkage": "median"}, "choose one of average"),
        ({"languages": ("en", "de")}, "three languages at least, and here are 2"),
        ({"languages": ("en", "de", "xx")}, "no ticket of language xx"),
        ({"sparsity": 0.7}, "no imp tickets at sparsity 0.7"),
        ({"distance": "neutrality", "seeds": (0,)}, "two seeds of each language"),
    ],
)
def test_what_gives_no_tree_is_refused(atlas: Atlas, arguments: dict, message: str) -> None:
    with pytest.raises(LsnError, match=message):
        tree(atlas, replicates=5, **arguments)


def test_one_of_several_tasks_has_to_be_chosen(tmp_path: Path) -> None:
    atlas = make_atlas(tmp_path / "a", languages=("en", "de", "zh"), seeds=(0,), levels=(0.5,))
    for key in [header.key for header in atlas.headers() if header.key.method == "imp"]:
        atlas.save(dataclasses.replace(atlas.ticket(key), key=dataclasses.replace(key, task="ner")))
    with pytest.raises(LsnError, match="several tasks; choose one of mlm, ner"):
        tree(atlas)
    assert tree(atlas, task="ner", replicates=3).newick() == tree(atlas, task="mlm", replicates=3).newick()


@given(st.integers(3, 14), st.integers(0, 10**6), st.sampled_from(["average", "single", "complete"]))
def test_a_cut_gives_the_groups_that_scipy_gives(count: int, seed: int, linkage: str) -> None:
    found = build_tree(random_matrix(count, seed, replicates=3), linkage)
    support = dict(zip(found.clades(), found.support, strict=True))
    for groups in range(1, count + 1):
        parts = cut(found, groups)
        flat = hierarchy.fcluster(found.linkage, groups, "maxclust")
        expected = {
            frozenset(label for label, number in zip(found.labels, flat, strict=True) if number == each)
            for each in set(flat)
        }
        assert {frozenset(part.labels) for part in parts} == expected
        assert [label for part in parts for label in part.labels] == [
            found.labels[leaf] for leaf in found.order
        ]
        for part in parts:
            if len(part.labels) > 1:
                assert part.support == support[frozenset(part.labels)]
            else:
                assert np.isnan(part.support)
        height = cut_height(found, groups)
        below = hierarchy.fcluster(found.linkage, height, "distance")
        assert len(set(below)) == groups


def test_what_cannot_be_cut_is_refused() -> None:
    found = build_tree(random_matrix(4, 0))
    assert all(np.isnan(part.support) for part in cut(found, 2))
    for function in (cut, cut_height):
        for groups in (0, 5):
            with pytest.raises(LsnError, match="into 1 to 4 groups"):
                function(found, groups)
