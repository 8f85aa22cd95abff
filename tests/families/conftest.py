"""One tiny model of every family, and a folder of labelled data: what the suite runs on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lsn_core.data.source import NLI_LABELS, SPLITS
from tests.tiny_models import FAMILIES, TEXT_FAMILIES, save_tiny_model

EVERY_FAMILY = (*FAMILIES, *TEXT_FAMILIES)


@pytest.fixture(params=EVERY_FAMILY)
def name(request: pytest.FixtureRequest) -> str:
    """The family under test."""
    return request.param


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Where the tiny model of a family lies, made when first asked for."""
    root = tmp_path_factory.mktemp("families")

    def folder(family: str) -> Path:
        path = root / family
        return path if path.is_dir() else save_tiny_model(path, family)

    return folder


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a task: `pos`, `ner` and `nli`, each with two languages."""
    root = tmp_path_factory.mktemp("data")
    for n, language in enumerate(("en", "sw")):
        for split in SPLITS:
            words = [("Ann", "PROPN", "B-PER"), ("saw", "VERB", "O"), (f"{n}{len(split)}", "NUM", "O")]
            conllu = "\n".join(f"{i}\t{word}\t_\t{tag}" for i, (word, tag, _) in enumerate(words, 1))
            pairs = [
                json.dumps({"premise": f"Ann saw {label}.", "hypothesis": f"She saw {n}.", "label": label})
                for label in NLI_LABELS
            ]
            _write(root / "pos" / language / f"{split}.conllu", f"{conllu}\n\n" * 10)
            _write(
                root / "ner" / language / f"{split}.txt",
                "".join(f"{word} {tag}\n" for word, _, tag in words) + "\n",
                10,
            )
            _write(root / "nli" / language / f"{split}.jsonl", "\n".join(pairs * 4) + "\n")
    return root


def _write(path: Path, text: str, times: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text * times)
