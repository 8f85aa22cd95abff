"""The paper's settings by name, what a run says of its cost, and how long it says it will take."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from lsn_core.cli import main, meter
from lsn_core.cli.meter import Meter
from lsn_core.discovery.config import Recipe, Training
from lsn_core.discovery.pool import Event
from lsn_core.discovery.presets import PRESETS, preset_named
from lsn_core.discovery.runs import TicketJob
from lsn_core.durations import duration
from lsn_core.errors import LsnError
from lsn_core.languages import PAPER_LANGUAGES
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.ticket import TicketKey

SMALL = ["--languages", "en", "sw", "--data", "cldr", "--jobs", "1"]
SMALL += ["--max-length", "64", "--train-lines", "64", "--score-lines", "40"]


def test_the_papers_settings() -> None:
    """Foroutan et al. (2022), appendix A, as REFERENCES.md lists them."""
    table = {
        name: (p.model, p.task, p.data, p.batch_size, p.learning_rate, p.steps, p.epochs, len(p.languages))
        for name, p in PRESETS.items()
    }
    mbert = "bert-base-multilingual-cased"
    assert table == {
        "paper-mlm": (mbert, "mlm", "hub:wikipedia", 16, 2e-5, 10_000, None, 11),
        "paper-ner": (mbert, "ner", "hub:wikiann", 32, 2e-5, None, 3, 11),
        "paper-nli": (mbert, "nli", "hub:xnli", 32, 5e-5, None, 3, 10),
        "paper-nli-mt5": ("google/mt5-base", "nli", "hub:xnli", 32, 2e-4, None, 3, 10),
    }
    for preset in PRESETS.values():
        assert (preset.rounds, preset.max_length, preset.precision) == (9, 128, "bf16")
        assert preset.train_lines >= preset.batch_size * (preset.steps or 1)
        assert set(PAPER_LANGUAGES) - set(preset.languages) <= {"fa"}
        assert ("fa" in preset.languages) or "fa" in preset.note
        assert (
            Recipe(preset.task, rounds=preset.rounds, training=Training(**preset.training)).levels[-1] == 0.9
        )


def test_an_unknown_preset_is_one_sentence(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(LsnError, match="paper-nli-mt5"):
        preset_named("paper-chess")
    assert main(["discover", "--preset", "paper-chess"]) == 2
    assert "paper-chess" in capsys.readouterr().err


def test_neither_model_nor_preset_is_one_sentence(capsys: pytest.CaptureFixture) -> None:
    assert main(["discover", "--languages", "en"]) == 2
    assert "--model is missing" in capsys.readouterr().err


def test_a_dry_run_says_what_it_would_cost_and_writes_nothing(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    command = ["discover", "--preset", "paper-mlm", "--model", str(tiny_folder), *SMALL, "--dry-run"]
    assert main([*command, "--seeds", "0", "1", "--atlas", str(tmp_path / "a")]) == 0
    told = capsys.readouterr().err
    assert "6,144 prunable weights" in told
    assert "4 tickets, 0 of them there already" in told
    # 2 languages, 2 seeds, the dense round and nine levels, of the preset's 10,000 steps of 16.
    assert "40 rounds to do" in told
    assert "10,000 steps of 16 items: 400,000 steps in all" in told
    assert "magnitude, scope global" in told
    assert not list(tmp_path.iterdir())


def test_epochs_take_the_place_of_a_presets_steps(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    command = ["discover", "--preset", "paper-mlm", "--model", str(tiny_folder), *SMALL, "--dry-run"]
    assert main([*command, "--epochs", "2", "--rounds", "4", "--atlas", str(tmp_path / "a")]) == 0
    assert "each of 8 steps of 16 items: 80 steps in all" in capsys.readouterr().err


def test_options_beside_a_preset_come_first_and_the_rest_is_its_own(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "a"
    command = ["discover", "--preset", "paper-mlm", "--model", str(tiny_folder), *SMALL]
    command += ["--steps", "2", "--rounds", "1", "--accumulate", "4", "--atlas", str(folder)]
    assert main(command) == 0
    told = capsys.readouterr().err
    assert "first round took" in told
    assert "for all 4" in told
    recipe = Atlas.open(folder).header(TicketKey("mlm", "sw", "imp", 0)).provenance["recipe"]
    assert recipe["rounds"] == 1
    assert recipe["data"] == "cldr"
    assert recipe["training"] == {
        **Training(steps=2, batch_size=16, learning_rate=2e-5).to_dict(),
        **{"max_length": 64, "train_lines": 64, "score_lines": 40, "accumulate": 4},
    }
    assert main([*command, "--dry-run"]) == 0
    assert "2 tickets, 2 of them there already; 0 rounds to do" in capsys.readouterr().err


def test_a_dry_run_refuses_what_the_run_would(
    tiny_folder: Path, other_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "a"
    command = ["discover", *SMALL, "--rounds", "1", "--atlas", str(folder)]
    assert main([*command, "--model", str(tiny_folder), "--steps", "1"]) == 0
    for model, steps, says in ((other_folder, "1", "another model"), (tiny_folder, "2", "steps")):
        capsys.readouterr()
        assert main([*command, "--model", str(model), "--steps", steps, "--dry-run"]) == 2
        assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.25, "0.25 s"), (12.4, "12 s"), (90, "2 min"), (7800, "2 h 10 min"), (280_000, "3 days 6 h")],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(("processes", "all_of_it"), [(1, "40 s"), (2, "20 s")])
def test_the_first_round_tells_how_long_all_will_take(
    processes: int, all_of_it: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Rounds of 5 steps, one a second: of three tickets of four rounds one is there already, eight are to do."""
    clock = iter(range(100))
    monkeypatch.setattr(meter, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    recipe = Recipe("mlm", rounds=3, training=Training(steps=5))
    jobs = [TicketJob(recipe, language, 0) for language in ("en", "fr", "sw")]
    with Meter(jobs, jobs[:1], 5, processes) as shown:
        shown.on_event(Event("cached", jobs[0]))
        for done in range(1, 21):
            shown.on_event(Event("step", jobs[1], done))
    lines = [line for line in capsys.readouterr().err.splitlines() if "first round" in line]
    assert lines == [f"first round took 5 s; about {all_of_it} for all 8 rounds"]
