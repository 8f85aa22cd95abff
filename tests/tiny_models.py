"""Tiny random models of every family, saved in the hub's layout, for tests of everything that needs torch."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    RobertaConfig,
    RobertaForMaskedLM,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

from lsn_core.data.cldr import CldrSource
from lsn_core.tasks.pretrain import PretrainConfig, train_tokenizer

FAMILIES = ("bert", "roberta", "xlm-roberta", "distilbert")
LAYERS, HEADS, HIDDEN = 2, 2, 16
PRUNABLE = LAYERS * 12 * HIDDEN**2
POSITIONS = 128


def tiny_tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(CldrSource(), ("en", "fr"), PretrainConfig(vocabulary=300, tokenizer_lines=60))


def tiny_model(family: str, vocabulary: int, seed: int = 0) -> PreTrainedModel:
    torch.manual_seed(seed)
    common = {"vocab_size": vocabulary, "pad_token_id": 0, "max_position_embeddings": POSITIONS}
    sizes = {
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": 4 * HIDDEN,
    }
    if family == "distilbert":
        return DistilBertForMaskedLM(
            DistilBertConfig(dim=HIDDEN, n_layers=LAYERS, n_heads=HEADS, hidden_dim=4 * HIDDEN, **common)
        )
    config, model = {
        "bert": (BertConfig, BertForMaskedLM),
        "roberta": (RobertaConfig, RobertaForMaskedLM),
        "xlm-roberta": (XLMRobertaConfig, XLMRobertaForMaskedLM),
    }[family]
    return model(config(**sizes, **common))


def save_tiny_model(folder: Path, family: str = "bert", seed: int = 0) -> Path:
    """Write model and tokenizer of `family` into `folder` and return it."""
    tokenizer = tiny_tokenizer()
    tiny_model(family, len(tokenizer), seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
