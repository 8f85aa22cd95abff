"""What is prunable in each family, against brute force over its modules."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    MT5ForConditionalGeneration,
)

from lsn_core.analysis.counts import Counts
from lsn_core.analysis.intersections import intersections
from lsn_core.analysis.overlap import overlap_table
from lsn_core.masks.layout import COMPONENTS, Layout
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import TicketKey
from lsn_core.models.families import FAMILIES, body_of, encoder_of, family_of, layout_of, prunable_parameters
from tests.families.conftest import EVERY_FAMILY
from tests.synthetic import random_mask
from tests.tiny_models import (
    DECODER_LAYERS,
    HEADS,
    HIDDEN,
    LAYERS,
    TEXT_FAMILIES,
    tiny_model,
    tiny_text_model,
)

SELF = ["query", "key", "value", "attention output"]
CROSS = ["cross query", "cross key", "cross value", "cross output"]
GATED = ["feed-forward gate", "feed-forward in", "feed-forward out"]
PLAIN = ["feed-forward in", "feed-forward out"]


def _model(name: str) -> nn.Module:
    return (tiny_text_model if name in TEXT_FAMILIES else tiny_model)(name, 60).eval()


def _linear_inside_layers(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights of every nn.Linear that lies in a list of layers, by the library's own names."""
    rows = [name for name, module in model.named_modules() if isinstance(module, nn.ModuleList)]
    return {
        f"{name}.weight": module.weight
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and any(name.startswith(f"{row}.") for row in rows)
    }


def test_the_suite_runs_over_every_family_there_is() -> None:
    assert set(EVERY_FAMILY) == set(FAMILIES)


def test_prunable_are_exactly_the_linear_weights_inside_the_layers(name: str) -> None:
    model, family = _model(name), family_of(name)
    expected = {id(weight) for weight in _linear_inside_layers(model).values()}
    found = prunable_parameters(model, family)
    assert {id(weight) for weight in found.values()} == expected
    assert len(found) == len(expected)
    layout = layout_of(model, family)
    assert layout.names == tuple(found)
    assert [matrix.shape for matrix in layout.matrices] == [tuple(weight.shape) for weight in found.values()]


def test_nothing_else_is_prunable(name: str) -> None:
    model, family = _model(name), family_of(name)
    found = {id(weight) for weight in prunable_parameters(model, family).values()}
    others = [
        (other, weight)
        for other, weight in model.named_parameters(remove_duplicate=False)
        if id(weight) not in found
    ]
    kinds = ("embed", "norm", "bias", "head", "cls", "vocab", "shared", "relative_attention")
    assert others
    assert [other for other, _ in others if not any(kind in other.lower() for kind in kinds)] == []


def test_names_are_relative_to_the_model_without_its_head(name: str) -> None:
    model, family = _model(name), family_of(name)
    body = body_of(model, family)
    assert body is (model if name in TEXT_FAMILIES else model.base_model)
    for matrix, weight in prunable_parameters(model, family).items():
        assert body.get_parameter(matrix) is weight


def test_every_layer_of_a_stack_has_its_components(name: str) -> None:
    layout = layout_of(_model(name), family_of(name))
    feed_forward = GATED if name in ("mt5", "umt5") else PLAIN
    depth = {"encoder": LAYERS} | ({"decoder": DECODER_LAYERS} if name in TEXT_FAMILIES else {})
    assert [scope.label for scope in layout.scopes("layer")] == [
        f"{stack}.{layer}" for stack, layers in depth.items() for layer in range(layers)
    ]
    for stack, layers in depth.items():
        for layer in range(layers):
            inside = [m.component for m in layout.matrices if (m.stack, m.layer) == (stack, layer)]
            cross = CROSS if stack == "decoder" else []
            assert sorted(inside) == sorted([*SELF, *cross, *feed_forward])


def test_a_layout_is_the_same_after_json(name: str) -> None:
    layout = layout_of(_model(name), family_of(name))
    again = Layout.from_json(json.loads(json.dumps(layout.to_json())))
    assert again == layout
    assert again.fingerprint == layout.fingerprint


def test_names_do_not_depend_on_the_head(name: str) -> None:
    model, family = _model(name), family_of(name)
    layout = layout_of(model, family)
    tagger = AutoModelForTokenClassification.from_config(model.config)
    tags = layout_of(tagger, family)
    encoder = [matrix for matrix in layout.matrices if matrix.stack == "encoder"]
    assert list(tags.matrices) == encoder
    if name not in TEXT_FAMILIES:
        whole = layout_of(AutoModelForSequenceClassification.from_config(model.config), family)
        assert [matrix for matrix in whole.matrices if matrix.layer is not None] == encoder
        assert [matrix.component for matrix in whole.matrices if matrix.layer is None] == (
            ["pooler"] if name == "bert" else []
        )


def test_the_encoder_turns_pieces_into_states(name: str) -> None:
    model, family = _model(name), family_of(name)
    ids = torch.arange(3, 12)[None]
    with torch.no_grad():
        states = encoder_of(model, family)(input_ids=ids, attention_mask=torch.ones_like(ids))
    assert states.last_hidden_state.shape == (1, 9, HIDDEN)


def test_names_of_mt5_are_pinned() -> None:
    # Atlases hang on them.
    layout = layout_of(_model("mt5"), family_of("mt5"))
    place = {m.name: (m.stack, m.layer, m.component, m.shape) for m in layout.matrices}
    inner = HEADS * (HIDDEN // HEADS)
    assert place["encoder.block.0.layer.0.SelfAttention.q.weight"] == ("encoder", 0, "query", (inner, HIDDEN))
    assert place["encoder.block.1.layer.1.DenseReluDense.wi_0.weight"] == (
        *("encoder", 1, "feed-forward gate"),
        (4 * HIDDEN, HIDDEN),
    )
    assert place["decoder.block.2.layer.0.SelfAttention.o.weight"][:3] == ("decoder", 2, "attention output")
    assert place["decoder.block.2.layer.1.EncDecAttention.v.weight"][:3] == ("decoder", 2, "cross value")
    assert place["decoder.block.0.layer.2.DenseReluDense.wi_1.weight"][:3] == (
        "decoder",
        0,
        "feed-forward in",
    )
    assert place["decoder.block.0.layer.2.DenseReluDense.wo.weight"] == (
        *("decoder", 0, "feed-forward out"),
        (HIDDEN, 4 * HIDDEN),
    )
    assert len(place) == LAYERS * 7 + DECODER_LAYERS * 11


def test_a_plain_t5_has_no_gate_and_a_gated_one_has() -> None:
    for kind, gated in (("relu", False), ("gated-gelu", True)):
        layout = layout_of(tiny_text_model("t5", 60, feed_forward_proj=kind), family_of("t5"))
        assert ("feed-forward gate" in {matrix.component for matrix in layout.matrices}) == gated


def test_the_gate_is_the_matrix_that_goes_through_the_activation() -> None:
    model = tiny_text_model("mt5", 60).eval()
    assert isinstance(model, MT5ForConditionalGeneration)
    found = {
        m.component: model.get_submodule(m.name.removesuffix(".weight"))
        for m in layout_of(model, family_of("mt5")).matrices
        if (m.stack, m.layer) == ("encoder", 0) and m.component.startswith("feed-forward")
    }
    block = model.encoder.block[0].layer[1].DenseReluDense
    states = torch.ones(1, 1, HIDDEN)
    with torch.no_grad():
        for closed, shut in (("feed-forward gate", True), ("feed-forward in", False)):
            for component in ("feed-forward gate", "feed-forward in"):
                found[component].weight.fill_(-9.0 if component == closed else 9.0)
            # A number far below zero is nothing after the activation, and a factor like any other beside it.
            assert (block(states).abs().max() < 1e-6) == shut


@pytest.mark.parametrize("by", ["total", "stack", "layer", "component", "matrix"])
def test_overlap_of_every_part_is_that_of_its_bits(name: str, by: str) -> None:
    layout = layout_of(_model(name), family_of(name))
    rng = np.random.default_rng(0)
    one, other = (random_mask(layout, 0.5, rng) for _ in range(2))
    pair = intersections([one, other])
    keys = (TicketKey("mlm", "en", "imp", 0), TicketKey("mlm", "fr", "imp", 0))
    table = overlap_table(Counts(layout, keys, 0.5, pair), by).set_index("scope")
    parts: dict[str, list[str]] = {}
    for m in layout.matrices:
        label = {
            "total": "total",
            "stack": m.stack,
            "layer": f"{m.stack}.{m.layer}",
            "component": m.component,
            "matrix": m.name,
        }[by]
        parts.setdefault(label, []).append(m.name)
    assert set(table.index) == set(parts)
    if by == "component":
        assert [COMPONENTS.index(label) for label in table.index] == sorted(map(COMPONENTS.index, parts))
    for label, names in parts.items():
        a, b = (np.concatenate([_bits(mask, matrix) for matrix in names]) for mask in (one, other))
        assert table.loc[label, "size"] == len(a)
        assert table.loc[label, "jaccard"] == pytest.approx((a & b).sum() / (a | b).sum())


def _bits(mask: Mask, matrix: str) -> np.ndarray:
    return np.asarray(mask[matrix]).ravel()
