"""What the card says of transfer and retrieval is what the tables say."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsn_core.analysis.card import CARD_FILE, write_card
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import CORE, RETRIEVAL, TRANSFER, Cell, CellTable, rebuild, save_cell
from tests.synthetic_atlas import make_atlas

LANGUAGES = ("en", "fr", "sw")
SCORES = {("en", "en"): 0.6, ("fr", "fr"): 0.5, ("sw", "sw"): 0.4} | {
    ("en", "fr"): 0.48, ("en", "sw"): 0.39, ("fr", "en"): 0.55, ("fr", "sw"): 0.36, ("sw", "en"): 0.5,
}  # fmt: skip
BASE = {"en": 0.55, "fr": 0.51, "sw": 0.4}
RANDOM = {"en": 0.3, "fr": 0.3, "sw": 0.3}


def _add(atlas: Atlas, table: CellTable, **row: object) -> None:
    about = {**row, "settings": {}}
    stamps = atlas.stamps()
    save_cell(atlas, table, Cell(about, {stem: stamps[stem] for stem in ("base",)}, (row,)))


def _transfer(atlas: Atlas, kind: str = "mask", **row: object) -> None:
    common = {"kind": kind, "task": "mlm", "source_task": "mlm", "source": "", "control": "", "seed": 0}
    rest = {"sparsity": 0.5, "metric": "top-1", "count": 9, "split": "test"}
    _add(atlas, TRANSFER, **(common | rest | row))


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    return make_atlas(tmp_path / "a", languages=LANGUAGES, seeds=(0,))


def _card(atlas: Atlas) -> list[str]:
    for table in (TRANSFER, CORE, RETRIEVAL):
        rebuild(atlas, table)
    write_card(atlas)
    return (atlas.path / CARD_FILE).read_text(encoding="utf-8").splitlines()


def test_mask_transfer_is_summed_up_and_its_failures_are_named(atlas: Atlas) -> None:
    for (source, target), value in SCORES.items():
        _transfer(atlas, source=source, target=target, value=value)
    for control, values in (("base", BASE), ("random", RANDOM)):
        for target, value in values.items():
            _transfer(atlas, control=control, target=target, value=value)
    card = _card(atlas)
    assert "### Transfer of masks at 50%" in card
    assert "| language | imp | random | base |" in card
    assert "| fr | 0.500 | 0.300 | 0.510 |" in card
    assert any(line.endswith("Seed 0 only.") for line in card)
    assert not any("brackets" in line for line in card)
    assert "- `imp` scores above `random` in 3 of 3 languages (mean difference +0.200)." in card
    assert (
        "- `imp` scores above `base` in 1 of 3 languages (mean difference +0.013); it does not in "
        "fr (-0.010), sw (+0.000)." in card
    )
    # Off the diagonal minus the target's diagonal: -0.02, -0.01, -0.05, -0.04, -0.1.
    assert any("scores -0.044 on average (lowest -0.100, highest -0.010; 5 of 6 pairs" in x for x in card)
    assert any(x.endswith("their sub-network: en (-0.015), fr (-0.045), sw (-0.100).") for x in card)


def test_zero_shot_keeps_own_and_other_languages_apart(atlas: Atlas) -> None:
    for (source, target), value in SCORES.items():
        _transfer(atlas, "zero-shot", source=source, target=target, value=value)
        _transfer(atlas, "zero-shot", source=source, target=target, control="dense", value=value + 0.1)
    card = "\n".join(_card(atlas))
    assert "when its sub-network learned from it: 0.500;" in card
    assert "without learning from that: 0.456 (seed 0, 5 of 6 pairs measured)" in card
    assert "-0.100 against `dense` (above it in 0%)" in card
    assert "Transfer of masks" not in card


def _core(atlas: Atlas, control: str, target: str, seed: int, value: float) -> None:
    of_no_core = control in ("own", "dense")
    place = {"members": "" if of_no_core else "en fr sw", "at_least": 0 if of_no_core else 2}
    rest = {"sparsity": 0.5, "kept": 120, "metric": "top-1", "count": 9, "split": "test"}
    row = {"task": "mlm", "control": control, "target": target, "seed": seed, "value": value}
    _add(atlas, CORE, **(place | rest | row))


def test_a_core_is_held_against_its_controls_and_seeds_that_disagree_show_nothing(atlas: Atlas) -> None:
    for seed in (0, 1):
        for target, value in (("en", 0.5), ("fr", 0.4), ("sw", 0.3)):
            _core(atlas, "", target, seed, value + 0.01 * seed)
            _core(atlas, "random", target, seed, value - 0.2)
            _core(atlas, "base", target, seed, value + 0.005)
    card = _card(atlas)
    assert "### Score of the core of at least 2 of 3 languages at 50%" in card
    assert any(
        line.endswith("Mean over seeds 0, 1, with the lowest and highest in brackets.") for line in card
    )
    assert "| language | core | random | base |" in card
    assert "| fr | 0.405 (0.400–0.410) | 0.200 (0.200–0.200) | 0.405 (0.405–0.405) |" in card
    assert (
        "- The core against `random`: +0.205 (+0.200 with seed 0, +0.210 with seed 1; above it in 3 of 3 "
        "languages)." in card
    )
    (base,) = [line for line in card if line.startswith("- The core against `base`")]
    assert "-0.005 with seed 0, +0.005 with seed 1" in base
    assert "no evidence for a difference" in base
    assert not any("own sub-network:" in line for line in card)


def test_one_seed_of_a_core_shows_nothing(atlas: Atlas) -> None:
    for target in LANGUAGES:
        _core(atlas, "", target, 0, 0.5)
        _core(atlas, "dense", target, 0, 0.4)
    (line,) = [line for line in _card(atlas) if line.startswith("- The core against the unpruned model")]
    assert line.endswith("; with one seed, how much of that is noise is unknown.")


def test_retrieval_is_a_mean_over_pairs_by_layer(atlas: Atlas) -> None:
    for layer, (dense, imp) in enumerate(((0.5, 0.5), (0.8, 0.6))):
        for source, target, shift in (("en", "fr", 0.1), ("fr", "en", -0.1)):
            place = {"layer": layer, "source": source, "target": target, "count": 40, "seed": 0}
            _add(atlas, RETRIEVAL, method="dense", task="", sparsity=0.0, accuracy=dense + shift, **place)
            _add(atlas, RETRIEVAL, method="imp", task="mlm", sparsity=0.5, accuracy=imp + shift, **place)
    card = _card(atlas)
    assert "## Retrieval with masks of `mlm` at 50%" in card
    assert "| layer | dense | imp |" in card
    assert "| 1 | 0.800 | 0.600 |" in card
    assert "- Best layer: `dense` layer 1 (0.800), `imp` layer 1 (0.600)." in card


def test_without_tables_nothing_is_said(atlas: Atlas) -> None:
    write_card(atlas)
    card = (atlas.path / CARD_FILE).read_text(encoding="utf-8")
    assert "ransfer" not in card
    assert "Retrieval" not in card


def test_random_tickets_are_said_to_match_when_they_do(atlas: Atlas) -> None:
    assert any(
        "All keep as many weights in every matrix as the `imp` ticket" in line for line in _card(atlas)
    )
    (atlas.path / "tickets" / "mlm-fr-imp-s0.safetensors").unlink()
    assert any("2 of 3 keep as many weights" in line for line in _card(atlas))
