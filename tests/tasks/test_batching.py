from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from lsn_core.tasks.batching import scoring_batches, stable_seed, training_batches


def test_seed_is_the_same_everywhere() -> None:
    assert stable_seed("round", "mlm", "en", 0, 1) == 2443888935510669689
    assert stable_seed("a", "bc") != stable_seed("ab", "c")


@pytest.mark.parametrize(("items", "batch"), [(100, 16), (1000, 16), (17, 16), (513, 8)])
def test_an_epoch_sees_every_item_once(items: int, batch: int) -> None:
    lengths = np.random.default_rng(0).integers(3, 60, size=items)
    batches = list(islice(training_batches(lengths, batch, np.random.default_rng(1)), items))
    assert all(len(chosen) == batch for chosen in batches)
    seen = Counter(i for chosen in batches for i in chosen)
    assert set(seen) == set(range(items))
    assert max(seen.values()) - min(seen.values()) <= 1


def test_few_items_are_every_batch() -> None:
    assert list(islice(training_batches([5, 6], 16, np.random.default_rng(0)), 3)) == [[0, 1]] * 3


def test_same_seed_same_batches() -> None:
    lengths = list(range(3, 203))
    one, two = (list(islice(training_batches(lengths, 8, np.random.default_rng(7)), 50)) for _ in range(2))
    assert one == two


def test_scoring_sees_every_item_once_in_order_of_length() -> None:
    lengths = np.random.default_rng(0).integers(3, 60, size=101)
    order = [i for chosen in scoring_batches(lengths, 16) for i in chosen]
    assert sorted(order) == list(range(101))
    assert (np.diff(lengths[order]) >= 0).all()
