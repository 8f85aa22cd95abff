from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.forks import Forks
from tests.tiny_models import save_tiny_model

_LINES = (
    "The house stands near the river.",
    "A boat comes in the evening.",
    "Nobody knows the way home.",
    "It rains in the mountains.",
)


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    process = Forks(tmp_path_factory.mktemp("forks"))
    yield process
    process.close()


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options of the smallest run that there is: a tiny model, four lines of text, one step."""
    folder = tmp_path_factory.mktemp("tiny")
    model = save_tiny_model(folder / "model")
    for language in ("en", "fr"):
        for split in ("train", "dev", "test"):
            file = folder / "text" / f"{language}.{split}.txt"
            file.parent.mkdir(exist_ok=True)
            file.write_text("\n".join(f"{line} {language}" for line in _LINES))
    sizes = "--steps 1 --batch-size 2 --train-lines 4 --score-lines 4 --max-length 16 --threads 1 --jobs 1"
    return ["--model", str(model), "--data", str(folder / "text"), *sizes.split()]
