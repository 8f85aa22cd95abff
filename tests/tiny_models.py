"""Tiny random models of every family, saved in the hub's layout, for tests of everything that needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    MT5Config,
    MT5ForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    T5Config,
    T5ForConditionalGeneration,
    UMT5Config,
    UMT5ForConditionalGeneration,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

from lsn_core.data.cldr import CldrSource
from lsn_core.tasks.pretrain import PretrainConfig, train_tokenizer

FAMILIES = ("bert", "roberta", "xlm-roberta", "distilbert")
TEXT_FAMILIES = ("mt5", "umt5", "t5")
LAYERS, HEADS, HIDDEN = 2, 2, 16
DECODER_LAYERS = 3
PRUNABLE = LAYERS * 12 * HIDDEN**2
POSITIONS = 128
SENTINELS = tuple(f"<extra_id_{number}>" for number in range(20))


def tiny_tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(CldrSource(), ("en", "fr"), PretrainConfig(vocabulary=300, tokenizer_lines=60))


def tiny_text_tokenizer() -> PreTrainedTokenizerBase:
    """As the T5 family's: no mask piece, an end piece after every text, and sentinels."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=[*special, *SENTINELS], show_progress=False)
    source = CldrSource()
    lines = [source.corpus(language, "train")[i] for language in ("en", "fr") for i in range(60)]
    tokenizer.train_from_iterator(
        [*lines, "premise hypothesis xnli entailment neutral contradiction"], trainer
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens=list(SENTINELS),
    )


def tiny_text_model(family: str, vocabulary: int, seed: int = 0, **settings: Any) -> PreTrainedModel:
    torch.manual_seed(seed)
    config, model = {
        "mt5": (MT5Config, MT5ForConditionalGeneration),
        "umt5": (UMT5Config, UMT5ForConditionalGeneration),
        "t5": (T5Config, T5ForConditionalGeneration),
    }[family]
    sizes = {
        "d_model": HIDDEN,
        "d_kv": HIDDEN // HEADS,
        "d_ff": 4 * HIDDEN,
        "num_layers": LAYERS,
        "num_decoder_layers": DECODER_LAYERS,
        "num_heads": HEADS,
    }
    return model(config(vocab_size=vocabulary, decoder_start_token_id=0, **sizes, **settings))


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
    text = family in TEXT_FAMILIES
    tokenizer = tiny_text_tokenizer() if text else tiny_tokenizer()
    (tiny_text_model if text else tiny_model)(family, len(tokenizer), seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
