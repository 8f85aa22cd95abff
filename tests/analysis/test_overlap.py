from __future__ import annotations

import dataclasses
import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lsn_core.analysis.counts import Counts
from lsn_core.analysis.intersections import intersections
from lsn_core.analysis.overlap import COLUMNS, overlap, overlap_table
from lsn_core.errors import LsnError
from lsn_core.masks.layout import SCOPES, Layout, Matrix
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import TicketKey
from tests.synthetic import make_atlas, odd_layout, random_mask

CONTRACT = [
    "task_a",
    "language_a",
    "seed_a",
    "task_b",
    "language_b",
    "seed_b",
    "sparsity",
    "scope",
    "size",
    "count_a",
    "count_b",
    "intersection",
    "union",
    "jaccard",
    "chance",
    "reference",
    "ceiling",
    "neutrality",
]

KEYS = (
    TicketKey("mlm", "en", "imp", 0),
    TicketKey("mlm", "en", "imp", 1),
    TicketKey("mlm", "sw", "imp", 0),
    TicketKey("mlm", "sw", "imp", 1),
    TicketKey("ner", "sw", "imp", 0),
)


def counts_of(masks: dict[TicketKey, Mask], base: Mask | None, sparsity: float = 0.5) -> Counts:
    every = [*masks.values(), *([base] if base is not None else [])]
    pair = intersections(every)
    total = len(masks)
    if base is None:
        return Counts(every[0].layout, tuple(masks), sparsity, pair)
    return Counts(
        every[0].layout, tuple(masks), sparsity, pair[:total, :total], pair[-1, -1], pair[:total, -1]
    )


def brute_force(masks: dict[TicketKey, Mask], base: Mask | None, by: str) -> list[dict]:
    """Every row of the table, weight by weight and formula by formula, with no help from the package."""
    layout = next(iter(masks.values())).layout
    bits = {key: mask.arrays() for key, mask in masks.items()}
    reference_bits = None if base is None else base.arrays()
    scopes = [(scope.label, [layout.names[m] for m in scope.matrices]) for scope in layout.scopes(by)]

    def jaccard(names: list[str], first: TicketKey, second: TicketKey) -> float:
        shared = sum(int(np.sum(bits[first][name] & bits[second][name])) for name in names)
        either = sum(int(np.sum(bits[first][name] | bits[second][name])) for name in names)
        return shared / either if either else math.nan

    def expected(names: list[str], first: TicketKey, second: TicketKey, parts: list[dict]) -> float:
        total = 0.0
        for name in names:
            for part in parts:
                inside = part[name]
                if inside.sum():
                    total += (
                        (bits[first][name] & inside).sum()
                        * (bits[second][name] & inside).sum()
                        / inside.sum()
                    )
        kept = sum(int(bits[key][name].sum()) for key in (first, second) for name in names)
        return total / (kept - total) if kept - total else math.nan

    def ceiling(names: list[str], key: TicketKey) -> float:
        own = [other for other in masks if (other.task, other.language) == (key.task, key.language)]
        pairs = [jaccard(names, a, b) for a, b in combinations(own, 2)]
        return sum(pairs) / len(pairs) if pairs else math.nan

    rows = []
    for a, b in combinations(masks, 2):
        for label, names in scopes:
            everything = [{name: np.ones_like(bits[a][name]) for name in names}]
            j, chance = jaccard(names, a, b), expected(names, a, b, everything)
            by_reference = math.nan
            if reference_bits is not None:
                parts = [reference_bits, {name: ~array for name, array in reference_bits.items()}]
                by_reference = expected(names, a, b, parts)
            top = (ceiling(names, a) + ceiling(names, b)) / 2
            rows.append(
                {
                    **{f"{field}_a": getattr(a, field) for field in ("task", "language", "seed")},
                    **{f"{field}_b": getattr(b, field) for field in ("task", "language", "seed")},
                    "sparsity": 0.5,
                    "scope": label,
                    "size": sum(bits[a][name].size for name in names),
                    "count_a": sum(int(bits[a][name].sum()) for name in names),
                    "count_b": sum(int(bits[b][name].sum()) for name in names),
                    "intersection": sum(int((bits[a][name] & bits[b][name]).sum()) for name in names),
                    "union": sum(int((bits[a][name] | bits[b][name]).sum()) for name in names),
                    "jaccard": j,
                    "chance": chance,
                    "reference": by_reference,
                    "ceiling": top,
                    "neutrality": (j - by_reference) / (top - by_reference)
                    if top > by_reference
                    else math.nan,
                }
            )
    return rows


def cases() -> dict[str, tuple[dict[TicketKey, Mask], Mask | None]]:
    layout = odd_layout()
    rng = np.random.default_rng(0)
    base = random_mask(layout, 0.5, rng)
    full, empty = Mask.full(layout), Mask.empty(layout)

    def near(share: float) -> Mask:
        return base ^ random_mask(layout, share, rng)

    return {
        "random": (dict(zip(KEYS, [random_mask(layout, 0.5, rng) for _ in KEYS], strict=True)), base),
        "near the base": (dict(zip(KEYS, [near(0.1) for _ in KEYS], strict=True)), base),
        "no base": (dict(zip(KEYS, [near(0.2) for _ in KEYS], strict=True)), None),
        "empty": (dict.fromkeys(KEYS, empty), base),
        "full": (dict.fromkeys(KEYS, full), base),
        "one empty": (dict(zip(KEYS, [empty, base, near(0.1), near(0.2), full], strict=True)), base),
        "disjoint": (dict(zip(KEYS, [base, base, ~base, ~base, ~base], strict=True)), near(0.3)),
        "identical": (dict.fromkeys(KEYS, base), near(0.3)),
        "empty base": (dict(zip(KEYS, [near(0.2) for _ in KEYS], strict=True)), empty),
        "full base": (dict(zip(KEYS, [near(0.2) for _ in KEYS], strict=True)), full),
    }


@pytest.mark.parametrize("by", SCOPES)
@pytest.mark.parametrize("case", list(cases()))
def test_the_table_equals_brute_force(case: str, by: str) -> None:
    masks, base = cases()[case]
    found = overlap_table(counts_of(masks, base), by)
    expected = pd.DataFrame(brute_force(masks, base, by))
    assert list(found.columns) == CONTRACT == list(COLUMNS)
    pd.testing.assert_frame_equal(found, expected[CONTRACT], check_exact=False, rtol=1e-12, atol=1e-12)


def test_a_small_case_worked_by_hand() -> None:
    layout = Layout((Matrix("x", (1, 8), "encoder", 0, "query"), Matrix("y", (1, 4), "encoder", 0, "key")))

    def mask(x: str, y: str) -> Mask:
        return Mask.from_arrays(
            {"x": np.array([[int(bit) for bit in x]]), "y": np.array([[int(bit) for bit in y]])}, layout
        )

    base = mask("11110000", "1100")
    masks = {
        KEYS[0]: mask("11101000", "1100"),  # en, seed 0
        KEYS[1]: mask("11101000", "1010"),  # en, seed 1
        KEYS[2]: mask("11011000", "1100"),  # sw, seed 0
        KEYS[3]: mask("11010100", "1100"),  # sw, seed 1
    }
    table = overlap_table(counts_of(masks, base))
    row = table[(table.seed_a == 0) & (table.seed_b == 0) & (table.language_a != table.language_b)].iloc[0]
    # en/0 and sw/0: x shares weights 1, 2, 5 of 4 and 4; y both of 2 and 2.
    assert (row["size"], row.count_a, row.count_b, row.intersection, row.union) == (12, 6, 6, 5, 7)
    assert row.jaccard == pytest.approx(5 / 7)
    # Chance: x 4·4/8 = 2, y 2·2/4 = 1, together 3: 3 / (12 - 3).
    assert row.chance == pytest.approx(1 / 3)
    # Reference: x 3·3/4 + 1·1/4 = 2.5, y 2·2/2 = 2, together 4.5: 4.5 / (12 - 4.5).
    assert row.reference == pytest.approx(4.5 / 7.5)
    # Ceiling: en shares 4 + 1 of 6 and 6, 5/7; sw shares 3 + 2 of 6 and 6, 5/7.
    assert row.ceiling == pytest.approx(5 / 7)
    assert row.neutrality == pytest.approx(1)
    # en/1 and sw/1: x shares 1, 2; y shares 1: 3 of 6 and 6.
    row = table[(table.seed_a == 1) & (table.seed_b == 1)].iloc[0]
    assert row.jaccard == pytest.approx(3 / 9)
    # Reference: x 3·3/4 + 1·1/4 = 2.5, y 1·2/2 + 1·0/2 = 1, together 3.5: 3.5 / (12 - 3.5).
    assert row.reference == pytest.approx(3.5 / 8.5)
    assert row.neutrality == pytest.approx((3 / 9 - 3.5 / 8.5) / (5 / 7 - 3.5 / 8.5))


def test_one_seed_leaves_ceiling_and_neutrality_empty(tmp_path: Path) -> None:
    atlas = make_atlas(tmp_path / "a", languages=("en", "sw", "zh"), seeds=(3,))
    for by in SCOPES:
        table = overlap(atlas, by=by)
        assert table[["ceiling", "neutrality"]].isna().all(axis=None)
        assert not table[["jaccard", "chance", "reference"]].isna().any(axis=None)


def test_no_base_leaves_the_reference_empty(tmp_path: Path) -> None:
    table = overlap(make_atlas(tmp_path / "a", languages=("en", "sw"), with_base=False))
    assert table[["reference", "neutrality"]].isna().all(axis=None)
    assert not table[["jaccard", "ceiling"]].isna().any(axis=None)


def test_the_overlap_of_an_atlas(tmp_path: Path) -> None:
    atlas = make_atlas(tmp_path / "a", languages=("en", "de", "zh"))
    table = overlap(atlas, task="mlm", sparsity=0.5)
    assert len(table) == 6 * 5 / 2
    assert table.scope.unique().tolist() == ["total"]
    keys = [header.key for header in atlas.headers() if header.key.method == "imp"]
    tickets = {key: atlas.ticket(key).mask(0.5) for key in keys}
    expected = pd.DataFrame(brute_force(tickets, atlas.base().mask(0.5), "total"))
    pd.testing.assert_frame_equal(table, expected[CONTRACT], check_exact=False, rtol=1e-12)
    same = table[table.language_a == table.language_b]
    related = table[(table.language_a == "de") & (table.language_b == "en")]
    far = table[(table.language_b == "zh") & (table.language_a != "zh")]
    assert same.jaccard.min() > related.jaccard.max() > far.jaccard.max() > far.chance.max() + 0.2
    assert same.neutrality.between(0.9, 1.1).all()
    assert far.reference.between(far.chance, far.jaccard).all()
    layers = overlap(atlas, by="layer")
    assert layers.scope.unique().tolist() == ["encoder.0", "encoder.1", "encoder.2"]
    pairs = ["task_a", "language_a", "seed_a", "task_b", "language_b", "seed_b"]
    sums = layers.groupby(pairs)[["size", "count_a", "count_b", "intersection", "union"]].sum()
    pd.testing.assert_frame_equal(sums, table.set_index(pairs)[sums.columns].sort_index())
    random = overlap(atlas, method="random")
    np.testing.assert_allclose(random.jaccard, random.chance, atol=0.02)


def test_several_tasks_are_compared_when_none_is_chosen(tmp_path: Path) -> None:
    atlas = make_atlas(tmp_path / "a", languages=("en", "sw"))
    for key in [header.key for header in atlas.headers() if header.key.method == "imp"]:
        atlas.save(dataclasses.replace(atlas.ticket(key), key=dataclasses.replace(key, task="ner")))
    table = overlap(atlas)
    assert len(table) == 8 * 7 / 2
    twins = table[(table.language_a == table.language_b) & (table.seed_a == table.seed_b)]
    assert twins.jaccard.tolist() == [1.0] * 4
    assert len(overlap(atlas, task="ner")) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparsity": 0.55}, "no imp tickets at sparsity 0.55; they have 0.1, 0.2"),
        ({"sparsity": 1.5}, "at sparsity 1.5"),
        ({"task": "ner"}, "no imp tickets of task ner; it has base, imp of task mlm, random of task mlm"),
        ({"method": "oneshot"}, "no oneshot tickets; it has"),
        ({"by": "head"}, "choose one of total"),
        ({"method": "base"}, "needs two tickets at least, and here is base"),
    ],
)
def test_what_cannot_be_answered_is_refused(tmp_path: Path, arguments: dict, message: str) -> None:
    atlas = make_atlas(tmp_path / "a", languages=("en",))
    with pytest.raises(LsnError, match=message):
        overlap(atlas, **arguments)
