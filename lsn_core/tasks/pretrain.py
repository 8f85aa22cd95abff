"""Making the embedded model: a small BERT pretrained on the embedded text of all languages.

Half of the training examples put the same item in two languages side by side, as in translation
language modelling (Conneau & Lample 2019, section 3.3), which makes the small model cross-lingual.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import babel
import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from lsn_core.data.source import Corpus, Source
from lsn_core.models.families import family_of, layout_of
from lsn_core.tasks.base import Feature
from lsn_core.tasks.batching import scoring_batches, stable_seed
from lsn_core.tasks.mlm import MaskedLanguageModelling

SPECIAL_PIECES = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
_THREADS = 2
"""Fixed, as another number of threads adds up in another order."""
_CHECKPOINT_EVERY = 256
_CHUNK = 16
"""Batches drawn together and sorted by length, to waste little on padding."""


@dataclass(frozen=True)
class PretrainConfig:
    """Shape and training of the embedded model; together with the text it determines the result."""

    steps: int = 7000
    batch_size: int = 64
    learning_rate: float = 1e-3
    warmup_steps: int = 300
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    max_length: int = 64
    paired_share: float = 0.5
    vocabulary: int = 6000
    tokenizer_lines: int = 8000
    hidden_size: int = 128
    layers: int = 6
    heads: int = 4
    seed: int = 0
    score_lines: int = 500


def train_tokenizer(
    source: Source, languages: Sequence[str], config: PretrainConfig
) -> PreTrainedTokenizerBase:
    """Train a byte-pair tokenizer on the same number of training lines of every language."""
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL_PIECES["unk"]))
    # Invisible marks of writing direction are no part of a word.
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex("[\u200e\u200f\u061c]"), "")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Punctuation(),
        ]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary,
        special_tokens=list(SPECIAL_PIECES.values()),
        show_progress=False,
    )
    corpora = [source.corpus(language, "train") for language in languages]
    lines = (corpus[i] for i in range(config.tokenizer_lines) for corpus in corpora)
    tokenizer.train_from_iterator(lines, trainer)
    cls, sep = SPECIAL_PIECES["cls"], SPECIAL_PIECES["sep"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B {sep}",
        special_tokens=[(piece, tokenizer.token_to_id(piece)) for piece in (cls, sep)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=2 * config.max_length,
        **{f"{role}_token": piece for role, piece in SPECIAL_PIECES.items()},
    )


def new_model(vocabulary: int, config: PretrainConfig) -> BertForMaskedLM:
    """Return the untrained model. Without dropout: the text is as good as endless, so none is needed."""
    torch.manual_seed(stable_seed("pretrain weights", config.seed))
    return BertForMaskedLM(
        BertConfig(
            vocab_size=vocabulary,
            hidden_size=config.hidden_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=4 * config.hidden_size,
            max_position_embeddings=2 * config.max_length,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            type_vocab_size=1,
            pad_token_id=0,
            attn_implementation="eager",  # type: ignore[call-arg]
        )
    )


def pretrain(
    source: Source,
    languages: Sequence[str],
    out: Path,
    config: PretrainConfig,
    on_step: Callable[[int, int, float], None],
) -> None:
    """Make the embedded model in folder `out`: tokenizer, fp16 weights and CARD.md.

    Resumes from `out/.training` when a run with the same text and configuration was stopped.
    """
    torch.set_num_threads(_THREADS)
    identity = _run_identity(source, languages, config)
    state_folder = out / ".training" / identity
    state_folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _resumed_tokenizer(source, languages, config, state_folder)
    model = new_model(len(tokenizer), config)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    start = _load_state(state_folder / "state.pt", model, optimiser)
    corpora = [source.corpus(language, "train") for language in languages]
    task, family = MaskedLanguageModelling(), family_of("bert")
    model.train()
    for step, features in enumerate(_batches(corpora, tokenizer, config, start), start):
        rng = np.random.default_rng(stable_seed("pretrain masking", config.seed, step))
        batch = task.collate(features, tokenizer, rng, training=True)
        for group in optimiser.param_groups:
            group["lr"] = _learning_rate(step, config)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = task.loss(model, family, batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        on_step(step + 1, config.steps, float(loss.detach()))
        if (step + 1) % _CHECKPOINT_EVERY == 0:
            _save_state(state_folder / "state.pt", model, optimiser, step + 1)
    model.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    # Scored as it is shipped: with weights rounded to fp16.
    rows = score_languages(model.float(), tokenizer, source, languages, config)
    (out / "CARD.md").write_text(_card(rows, model, config, source.name), encoding="utf-8")
    shutil.rmtree(state_folder.parent)


@dataclass(frozen=True)
class LanguageScore:
    """Masked top-1 of one language on its test split, beside always answering the most frequent piece."""

    language: str
    hidden: int
    top1: float
    most_frequent: float


def score_languages(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    source: Source,
    languages: Sequence[str],
    config: PretrainConfig,
) -> list[LanguageScore]:
    """Score the model on the test split of each language."""
    task, family = MaskedLanguageModelling(), family_of("bert")
    model.eval()
    rows = []
    for language in languages:
        frequencies: Counter[int] = Counter()
        for feature in task.features(source, language, "train", 2000, tokenizer, config.max_length):
            frequencies.update(feature["ids"][feature["maskable"]].tolist())
        most_frequent = frequencies.most_common(1)[0][0]
        features = task.features(source, language, "test", config.score_lines, tokenizer, config.max_length)
        rng = np.random.default_rng(stable_seed("score", "mlm", language))
        batches = [
            task.collate([features[i] for i in chosen], tokenizer, rng, training=False)
            for chosen in scoring_batches([len(f["ids"]) for f in features], 64)
        ]
        with torch.no_grad():
            metrics, hidden = task.evaluate(model, family, batches)
        frequent = sum(int((batch["labels"] == most_frequent).sum()) for batch in batches)
        rows.append(LanguageScore(language, hidden, metrics["masked top-1"], frequent / hidden))
    return rows


def _batches(
    corpora: Sequence[Corpus], tokenizer: PreTrainedTokenizerBase, config: PretrainConfig, start: int
) -> Iterator[list[Feature]]:
    """Yield the batch of every step from `start`; those of a chunk hold examples of like length."""
    size = config.batch_size
    for chunk in range(start // _CHUNK, -(-config.steps // _CHUNK)):
        rng = np.random.default_rng(stable_seed("pretrain chunk", config.seed, chunk))
        examples = sorted(_examples(corpora, tokenizer, config, rng), key=lambda e: len(e["ids"]))
        for number, place in enumerate(rng.permutation(_CHUNK)):
            if start <= chunk * _CHUNK + number < config.steps:
                yield examples[place * size : (place + 1) * size]


def _examples(
    corpora: Sequence[Corpus],
    tokenizer: PreTrainedTokenizerBase,
    config: PretrainConfig,
    rng: np.random.Generator,
) -> list[Feature]:
    first, second = [], []
    for _ in range(_CHUNK * config.batch_size):
        item = int(rng.integers(len(corpora[0])))
        a, b = rng.choice(len(corpora), size=2, replace=False)
        first.append(corpora[a][item])
        second.append(corpora[b][item] if rng.random() < config.paired_share else None)
    encoded = [
        tokenizer(
            one, two, truncation=True, max_length=2 * config.max_length, return_special_tokens_mask=True
        )
        for one, two in zip(first, second, strict=True)
    ]
    return [
        {
            "ids": np.asarray(e["input_ids"], dtype=np.int64),
            "maskable": ~np.asarray(e["special_tokens_mask"], dtype=bool),
        }
        for e in encoded
    ]


def _learning_rate(step: int, config: PretrainConfig) -> float:
    warm = min(1.0, (step + 1) / config.warmup_steps)
    return config.learning_rate * warm * (1 - step / config.steps)


def _run_identity(source: Source, languages: Sequence[str], config: PretrainConfig) -> str:
    texts = {language: source.fingerprint(language) for language in languages}
    return f"{stable_seed('pretrain run', json.dumps(asdict(config)), json.dumps(texts)):016x}"


def _resumed_tokenizer(
    source: Source, languages: Sequence[str], config: PretrainConfig, folder: Path
) -> PreTrainedTokenizerBase:
    if not (folder / "tokenizer").is_dir():
        # Renamed when it is whole, so that a run that was killed meanwhile leaves no half of it.
        partial = folder / "tokenizer.partial"
        train_tokenizer(source, languages, config).save_pretrained(partial)
        partial.rename(folder / "tokenizer")
    return PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer")


def _save_state(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, step: int) -> None:
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def _load_state(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])


def _card(rows: Sequence[LanguageScore], model: nn.Module, config: PretrainConfig, source: str) -> str:
    layout = layout_of(model, family_of("bert"))
    lines = [
        "# The embedded model `demo`",
        "",
        f"A BERT of {config.layers} layers, hidden size {config.hidden_size}, {config.heads} heads and "
        f"{layout.size:,} prunable weights, pretrained from random weights on the embedded text (`{source}`, "
        f"CLDR as carried by babel {babel.__version__}) of {len(rows)} languages: {config.steps:,} steps of "
        f"{config.batch_size} examples, {config.paired_share:.0%} of them the same item in two languages "
        "side by side. It knows dates, amounts and names, not prose: it is there to try the software out, and "
        "findings on it are findings about it.",
        "",
        "    python -m lsn_core pretrain --out DIR",
        "",
        f"makes it again; it was made on {platform.machine()} with {_THREADS} threads, torch {version('torch')} and "
        f"tokenizers {version('tokenizers')}, and other ones may round otherwise. Weights are stored as fp16 and "
        "used as fp32.",
        "",
        "Masked top-1 on the test split (15 % of pieces hidden, all replaced by the mask piece), beside "
        "always answering the piece that is most frequent in training.",
        "",
        "| language | hidden pieces | top-1 | most frequent piece |",
        "| --- | --- | --- | --- |",
        *(f"| {r.language} | {r.hidden} | {r.top1:.3f} | {r.most_frequent:.3f} |" for r in rows),
        "",
        f"Settings: `{json.dumps(asdict(config))}`",
        "",
    ]
    return "\n".join(lines)
