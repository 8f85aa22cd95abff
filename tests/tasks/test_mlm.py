from __future__ import annotations

import numpy as np
import pytest

from lsn_core.data.cldr import CldrSource
from lsn_core.tasks.batching import IGNORED
from lsn_core.tasks.mlm import MASKED_SHARE, MaskedLanguageModelling
from tests.tiny_models import tiny_tokenizer

TASK = MaskedLanguageModelling()


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


@pytest.fixture(scope="module")
def features(tokenizer):
    return TASK.features(CldrSource(), "en", "train", 400, tokenizer, 32)


def test_features_are_bounded_and_never_hide_special_pieces(features, tokenizer) -> None:
    special = set(tokenizer.all_special_ids)
    for feature in features:
        assert len(feature["ids"]) <= 32
        assert not set(feature["ids"][feature["maskable"]].tolist()) & (special - {tokenizer.unk_token_id})


def test_training_hides_15_percent_in_the_80_10_10_way(features, tokenizer) -> None:
    batch = TASK.collate(features, tokenizer, np.random.default_rng(0), training=True)
    ids, labels = batch["input_ids"].numpy(), batch["labels"].numpy()
    hidden = labels != IGNORED
    maskable = sum(int(f["maskable"].sum()) for f in features)
    assert hidden.sum() / maskable == pytest.approx(MASKED_SHARE, abs=0.02)
    assert (hidden.sum(axis=1) >= 1).all()
    masked = (ids == tokenizer.mask_token_id)[hidden].mean()
    kept = (ids == labels)[hidden].mean()
    assert masked == pytest.approx(0.8, abs=0.04)
    assert kept == pytest.approx(0.1, abs=0.03)


def test_scoring_replaces_every_hidden_piece_and_nothing_else(features, tokenizer) -> None:
    batch = TASK.collate(features, tokenizer, np.random.default_rng(0), training=False)
    ids, labels, attention = (batch[n].numpy() for n in ("input_ids", "labels", "attention_mask"))
    hidden = labels != IGNORED
    assert (ids[hidden] == tokenizer.mask_token_id).all()
    for row, feature in enumerate(features):
        length = len(feature["ids"])
        assert attention[row].sum() == length
        seen = np.where(hidden[row], labels[row], ids[row])[:length]
        assert (seen == feature["ids"]).all()
