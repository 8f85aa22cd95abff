"""Where each model family keeps its layers and components: the one table to extend for a new family."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from lsn_core.errors import LsnError
from lsn_core.masks.layout import Layout, Matrix


@dataclass(frozen=True)
class Stack:
    """A row of equal layers: its name in a layout, the path below the body that is followed by the layer's
    number, and the path below a layer of each prunable matrix with the component that it is.

    A path that a model lacks is passed over: one table serves plain and gated feed-forward blocks.
    """

    name: str
    layers: str
    components: Mapping[str, str]


def _no_mlm_head(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    raise LsnError(f"A {type(model).__name__} has no head for hidden pieces; use a model that has one.")


@dataclass(frozen=True)
class Family:
    """How one architecture names its parts.

    `prefix` is the attribute of a task model that holds its *body*, all but the head; a task model without
    that attribute is its own body, but for the parts named in `head_parts`. `encoder` is the path below the
    body of the part that turns pieces into states (empty: the body). `mlm_logits` applies the
    masked-language-modelling head to hidden states of shape (n, hidden); LsnError where there is none.
    """

    model_type: str
    prefix: str
    stacks: tuple[Stack, ...]
    mlm_logits: Callable[[Any, torch.Tensor], torch.Tensor] = _no_mlm_head
    pooler: str | None = None
    positions_after_padding: bool = False
    """Whether positions are counted from the padding piece's number on, as in RoBERTa."""
    relative_positions: bool = False
    """Whether attention sees distances alone, so that any number of pieces can be read."""
    encoder: str = ""
    head_parts: tuple[str, ...] = ()

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the architecture writes text with a decoder beside its encoder."""
        return any(stack.name == "decoder" for stack in self.stacks)

    def positions(self, config: Any) -> int | None:
        """Return how many pieces a model of this transformers configuration reads at once; None: any number."""
        if self.relative_positions:
            return None
        reserved = config.pad_token_id + 1 if self.positions_after_padding else 0
        return config.max_position_embeddings - reserved

    def place_of(self, name: str) -> tuple[str, int | None, str] | None:
        """Return stack, layer and component of the parameter called `name` in the body, or None where it
        is not prunable. A pooler stands after the encoder's layers, in none of them.
        """
        if self.pooler and name == f"{self.pooler}.weight":
            return "encoder", None, "pooler"
        for stack in self.stacks:
            match = re.fullmatch(rf"{re.escape(stack.layers)}\.(\d+)\.(.+)\.weight", name)
            if match and match.group(2) in stack.components:
                return stack.name, int(match.group(1)), stack.components[match.group(2)]
        return None


_BERT_COMPONENTS = MappingProxyType(
    {
        "attention.self.query": "query",
        "attention.self.key": "key",
        "attention.self.value": "value",
        "attention.output.dense": "attention output",
        "intermediate.dense": "feed-forward in",
        "output.dense": "feed-forward out",
    }
)

_DISTILBERT_COMPONENTS = MappingProxyType(
    {
        "attention.q_lin": "query",
        "attention.k_lin": "key",
        "attention.v_lin": "value",
        "attention.out_lin": "attention output",
        "ffn.lin1": "feed-forward in",
        "ffn.lin2": "feed-forward out",
    }
)


_T5_SELF_ATTENTION = {
    "layer.0.SelfAttention.q": "query",
    "layer.0.SelfAttention.k": "key",
    "layer.0.SelfAttention.v": "value",
    "layer.0.SelfAttention.o": "attention output",
}

_T5_CROSS_ATTENTION = {
    "layer.1.EncDecAttention.q": "cross query",
    "layer.1.EncDecAttention.k": "cross key",
    "layer.1.EncDecAttention.v": "cross value",
    "layer.1.EncDecAttention.o": "cross output",
}


def _t5_feed_forward(layer: int) -> dict[str, str]:
    """Plain blocks have `wi` alone; in gated ones `wi_0` goes through the activation and multiplies `wi_1`."""
    return {
        f"layer.{layer}.DenseReluDense.wi": "feed-forward in",
        f"layer.{layer}.DenseReluDense.wi_0": "feed-forward gate",
        f"layer.{layer}.DenseReluDense.wi_1": "feed-forward in",
        f"layer.{layer}.DenseReluDense.wo": "feed-forward out",
    }


_T5_STACKS = (
    Stack("encoder", "encoder.block", MappingProxyType(_T5_SELF_ATTENTION | _t5_feed_forward(1))),
    Stack(
        "decoder",
        "decoder.block",
        MappingProxyType(_T5_SELF_ATTENTION | _T5_CROSS_ATTENTION | _t5_feed_forward(2)),
    ),
)


def _bert_head(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    return model.cls(hidden)


def _roberta_head(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    return model.lm_head(hidden)


def _distilbert_head(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    hidden = model.vocab_layer_norm(model.activation(model.vocab_transform(hidden)))
    return model.vocab_projector(hidden)


_BERT_STACKS = (Stack("encoder", "encoder.layer", _BERT_COMPONENTS),)
_DISTILBERT_STACKS = (Stack("encoder", "transformer.layer", _DISTILBERT_COMPONENTS),)


def _roberta(model_type: str) -> Family:
    return Family(
        model_type,
        "roberta",
        _BERT_STACKS,
        _roberta_head,
        pooler="pooler.dense",
        positions_after_padding=True,
    )


def _t5(model_type: str) -> Family:
    return Family(
        model_type,
        "transformer",
        _T5_STACKS,
        relative_positions=True,
        encoder="encoder",
        head_parts=("lm_head",),
    )


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.model_type: family
        for family in (
            Family("bert", "bert", _BERT_STACKS, _bert_head, pooler="pooler.dense"),
            _roberta("roberta"),
            _roberta("xlm-roberta"),
            Family("distilbert", "distilbert", _DISTILBERT_STACKS, _distilbert_head),
            _t5("mt5"),
            _t5("umt5"),
            _t5("t5"),
        )
    }
)


def family_of(model_type: str) -> Family:
    """Return the family of a Hugging Face `model_type`.

    Raises LsnError for an architecture that is not in the table.
    """
    try:
        return FAMILIES[model_type]
    except KeyError:
        known = ", ".join(FAMILIES)
        raise LsnError(
            f"Models of type {model_type!r} are not supported; choose one of these families: {known}."
        ) from None


def body_of(model: nn.Module, family: Family) -> nn.Module:
    """Return the part of a task model that holds everything below its head, or the model itself where its
    head hangs beside the rest."""
    return getattr(model, family.prefix, model)


def encoder_of(model: nn.Module, family: Family) -> nn.Module:
    """Return the part of a task model that turns pieces into hidden states."""
    return body_of(model, family).get_submodule(family.encoder)


def name_in_body(model: nn.Module, family: Family, name: str) -> str | None:
    """Return what the body calls the weight that the task model calls `name`, or None for one of the head."""
    if body_of(model, family) is model:
        return None if name.split(".")[0] in family.head_parts else name
    prefix = f"{family.prefix}."
    return name.removeprefix(prefix) if name.startswith(prefix) else None


def body_parameters(model: nn.Module, family: Family) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield name and value of every parameter below the head; names do not depend on the head on top."""
    for name, parameter in body_of(model, family).named_parameters():
        if name.split(".")[0] not in family.head_parts:
            yield name, parameter


def prunable_parameters(model: nn.Module, family: Family) -> dict[str, nn.Parameter]:
    """Map the name of each prunable matrix to its parameter, in layer order, the encoder first.

    Prunable are the linear weights inside the transformer layers, and the pooler where the model has
    one; never embeddings, LayerNorm, biases (of relative positions neither) or the head (Foroutan et al.
    2022, section 3). Names are relative to the model without its head, so that they are the same whatever
    head sits on top: `encoder.layer.0.attention.self.query.weight` in BERT,
    `encoder.block.0.layer.0.SelfAttention.q.weight` in mT5.
    """
    return {
        name: parameter
        for name, parameter in body_parameters(model, family)
        if family.place_of(name) is not None
    }


def layout_of(model: nn.Module, family: Family) -> Layout:
    """Return the prunable matrices of a model with their shapes, stacks, layers and components."""
    matrices = []
    for name, parameter in body_parameters(model, family):
        place = family.place_of(name)
        if place is not None:
            rows, columns = parameter.shape
            matrices.append(Matrix(name, (rows, columns), *place))
    return Layout(tuple(matrices))
