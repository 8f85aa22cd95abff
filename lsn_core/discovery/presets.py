"""The settings of published experiments by name, so that one option repeats them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from lsn_core.errors import LsnError
from lsn_core.languages import PAPER_LANGUAGES

_TRAINING = ("batch_size", "learning_rate", "max_length", "precision", "train_lines", "score_lines")


@dataclass(frozen=True)
class Preset:
    """One experiment: what `discover` is asked to do where the person does not say otherwise.

    A round is `steps` training steps, or `epochs` passes over the largest language's training items; one
    of the two is None. `note` is what the person should know about it, a sentence.
    """

    model: str
    task: str
    data: str
    learning_rate: float
    batch_size: int
    train_lines: int
    score_lines: int
    note: str
    steps: int | None = None
    epochs: float | None = None
    languages: tuple[str, ...] = PAPER_LANGUAGES
    rounds: int = 9
    max_length: int = 128
    precision: str = "bf16"

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise LsnError("A preset has either steps or epochs; give one of them.")

    @property
    def training(self) -> dict[str, Any]:
        """The fields of `config.Training` that it sets, all but the steps."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name in _TRAINING}


_WITHOUT_PERSIAN = tuple(code for code in PAPER_LANGUAGES if code != "fa")
_LONGEST = "a round is as many steps in every language: three passes over the largest one's items"

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "paper-mlm": Preset(
            model="bert-base-multilingual-cased",
            task="mlm",
            data="hub:wikipedia",
            learning_rate=2e-5,
            batch_size=16,
            steps=10_000,
            train_lines=160_000,  # so many are read in 10,000 steps: none comes twice
            score_lines=5_000,
            note="a round is 10,000 steps in every language",
        ),
        "paper-ner": Preset(
            model="bert-base-multilingual-cased",
            task="ner",
            data="hub:wikiann",
            learning_rate=2e-5,
            batch_size=32,
            epochs=3,
            train_lines=20_000,
            score_lines=10_000,
            note=_LONGEST,
        ),
        "paper-nli": Preset(
            model="bert-base-multilingual-cased",
            task="nli",
            data="hub:xnli",
            learning_rate=5e-5,
            batch_size=32,
            epochs=3,
            train_lines=393_000,
            score_lines=5_010,
            note="XNLI has no Persian (fa), so there are ten languages; " + _LONGEST,
            languages=_WITHOUT_PERSIAN,
        ),
        "paper-nli-mt5": Preset(
            model="google/mt5-base",
            task="nli",
            data="hub:xnli",
            learning_rate=2e-4,
            batch_size=32,
            epochs=3,
            train_lines=393_000,
            score_lines=5_010,
            note="XNLI has no Persian (fa), so there are ten languages; " + _LONGEST,
            languages=_WITHOUT_PERSIAN,
        ),
    }
)
"""Foroutan et al. (2022), section 4 and appendix A. AdamW without weight decay and a learning rate that
falls linearly to zero are what every `Training` does."""


def preset_named(name: str) -> Preset:
    """Return the preset called `name`, or raise LsnError with the names there are."""
    try:
        return PRESETS[name]
    except KeyError:
        raise LsnError(f"There is no preset {name!r}; choose one of: {', '.join(PRESETS)}.") from None
