"""One suite for every model family: what is prunable, where it sits, and that the head is applied rightly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lsn_core.errors import LsnError
from lsn_core.models.families import FAMILIES, encoder_of, family_of, layout_of, prunable_parameters
from lsn_core.tasks.batching import IGNORED
from lsn_core.tasks.mlm import MaskedLanguageModelling
from tests.tiny_models import FAMILIES as NAMES
from tests.tiny_models import HIDDEN, LAYERS, PRUNABLE, TEXT_FAMILIES, tiny_model, tiny_tokenizer


def test_the_suite_covers_every_family_in_the_table() -> None:
    assert set(NAMES) | set(TEXT_FAMILIES) == set(FAMILIES)


@pytest.fixture(scope="module", params=NAMES)
def family_and_model(request: pytest.FixtureRequest):
    return family_of(request.param), tiny_model(request.param, 50).eval()


def test_every_linear_weight_of_the_layers_is_prunable_and_nothing_else(family_and_model) -> None:
    family, model = family_and_model
    linear = {
        f"{name}.weight"
        for name, module in encoder_of(model, family).named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    assert set(prunable_parameters(model, family)) == linear
    layout = layout_of(model, family)
    assert layout.size == PRUNABLE
    assert not any("embed" in name or "norm" in name.lower() or "bias" in name for name in layout.names)


def test_layout_says_layer_and_component_of_each_matrix(family_and_model) -> None:
    family, model = family_and_model
    layout = layout_of(model, family)
    for layer in range(LAYERS):
        inside = {m.component: m.shape for m in layout.matrices if m.layer == layer}
        square = (HIDDEN, HIDDEN)
        assert inside == {
            "query": square,
            "key": square,
            "value": square,
            "attention output": square,
            "feed-forward in": (4 * HIDDEN, HIDDEN),
            "feed-forward out": (HIDDEN, 4 * HIDDEN),
        }


def test_logits_at_hidden_pieces_equal_those_of_the_whole_model(family_and_model) -> None:
    family, model = family_and_model
    tokenizer = tiny_tokenizer()
    model = tiny_model(family.model_type, len(tokenizer)).eval()
    task, rng = MaskedLanguageModelling(), np.random.default_rng(0)
    features = [{"ids": np.arange(3, 3 + n), "maskable": np.arange(n) % n > 0} for n in (7, 12, 4)]
    batch = task.collate(features, tokenizer, rng, training=False)
    with torch.no_grad():
        whole = model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"]
        )
        assert torch.allclose(task.loss(model, family, batch), whole.loss, atol=1e-5)
        metrics, count = task.evaluate(model, family, [batch])
    hidden = batch["labels"] != IGNORED
    right = (whole.logits.argmax(-1) == batch["labels"])[hidden]
    assert count == int(hidden.sum())
    assert metrics["masked top-1"] == pytest.approx(right.float().mean().item())


def test_unknown_architecture_is_one_sentence() -> None:
    with pytest.raises(LsnError, match="'gpt2' are not supported"):
        family_of("gpt2")
