"""Where each model family keeps its layers and components: the one table to extend for a new family."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from lsn_core.errors import LsnError
from lsn_core.masks.layout import Layout, Matrix


@dataclass(frozen=True)
class Family:
    """How one architecture names its parts.

    `prefix` is the attribute of the task model that holds the encoder, `layers` the path below it that
    is followed by the layer's number, `components` the path below a layer of each prunable matrix, and
    `mlm_logits` applies the masked-language-modelling head to hidden states of shape (n, hidden).
    """

    model_type: str
    prefix: str
    layers: str
    components: Mapping[str, str]
    mlm_logits: Callable[[Any, torch.Tensor], torch.Tensor]
    pooler: str | None = None
    positions_after_padding: bool = False
    """Whether positions are counted from the padding piece's number on, as in RoBERTa."""

    def reserved_positions(self, config: Any) -> int:
        """Return how many position embeddings no piece ever uses, for a transformers configuration."""
        return config.pad_token_id + 1 if self.positions_after_padding else 0


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


def _bert_head(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    return model.cls(hidden)


def _roberta_head(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    return model.lm_head(hidden)


def _distilbert_head(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    hidden = model.vocab_layer_norm(model.activation(model.vocab_transform(hidden)))
    return model.vocab_projector(hidden)


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.model_type: family
        for family in (
            Family("bert", "bert", "encoder.layer", _BERT_COMPONENTS, _bert_head, "pooler.dense"),
            Family(
                "roberta", "roberta", "encoder.layer", _BERT_COMPONENTS, _roberta_head, "pooler.dense", True
            ),
            Family(
                "xlm-roberta",
                "roberta",
                "encoder.layer",
                _BERT_COMPONENTS,
                _roberta_head,
                "pooler.dense",
                True,
            ),
            Family("distilbert", "distilbert", "transformer.layer", _DISTILBERT_COMPONENTS, _distilbert_head),
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


def encoder_of(model: nn.Module, family: Family) -> nn.Module:
    """Return the part of a task model that lies below its head."""
    return getattr(model, family.prefix)


def prunable_parameters(model: nn.Module, family: Family) -> dict[str, nn.Parameter]:
    """Map the name of each prunable matrix to its parameter, in layer order.

    Prunable are the linear weights inside the transformer layers, and the pooler where the model has
    one; never embeddings, LayerNorm, biases or the head (Foroutan et al. 2022, section 3). Names are
    relative to the encoder, so that they are the same whatever head sits on top.
    """
    layer_of = re.compile(rf"^{re.escape(family.layers)}\.(\d+)\.(.+)\.weight$")
    parameters = {}
    for name, parameter in encoder_of(model, family).named_parameters():
        match = layer_of.match(name)
        if (match and match.group(2) in family.components) or (
            family.pooler and name == f"{family.pooler}.weight"
        ):
            parameters[name] = parameter
    return parameters


def layout_of(model: nn.Module, family: Family) -> Layout:
    """Return the prunable matrices of a model with their shapes, layers and components."""
    layer_of = re.compile(rf"^{re.escape(family.layers)}\.(\d+)\.(.+)\.weight$")
    matrices = []
    for name, parameter in prunable_parameters(model, family).items():
        match = layer_of.match(name)
        layer, component = (
            (int(match.group(1)), family.components[match.group(2)]) if match else (None, "pooler")
        )
        rows, columns = parameter.shape
        matrices.append(Matrix(name, (rows, columns), "encoder", layer, component))
    return Layout(tuple(matrices))
