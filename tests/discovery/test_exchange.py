"""The verbs `import` and `export`: what goes out comes back, and what goes out does what the mask says."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch.nn.utils import prune
from transformers import AutoModelForMaskedLM, AutoTokenizer

from lsn_core.cli import main
from lsn_core.discovery.training import Bench
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import TicketKey
from lsn_core.models.loading import load_model
from lsn_core.tasks.registry import task_named
from tests.foreign_files import named, save_npz, save_torch
from tests.synthetic import random_mask

EN = TicketKey("mlm", "en", "imp", 0)


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("exchange") / "atlas"
    command = [
        *("discover", "--model", str(tiny_folder), "--task", "mlm", "--languages", "en", "--rounds", "5"),
        *("--steps", "1", "--batch-size", "4", "--train-lines", "16", "--score-lines", "8"),
        *("--atlas", str(folder), "--jobs", "1"),
    ]
    assert main(command) == 0
    return folder


@pytest.fixture(scope="module")
def mask(atlas: Path) -> Mask:
    return Atlas.open(atlas).ticket(EN).mask(0.5)


def _export(atlas: Path, model: Path, kind: str, out: Path, *extra: str) -> int:
    return main(
        [
            *("export", "--atlas", str(atlas), "--task", "mlm", "--language", "en", "--sparsity", "0.5"),
            *("--format", kind, "--out", str(out), "--model", str(model), *extra),
        ]
    )


def _import(file: Path, atlas: Path, language: str = "en", *extra: str) -> int:
    return main(["import", str(file), "--atlas", str(atlas), "--task", "mlm", "--language", language, *extra])


@pytest.fixture
def logits_under_mask(tiny_folder: Path, mask: Mask) -> torch.Tensor:
    loaded = load_model(str(tiny_folder), AutoModelForMaskedLM)
    bench = Bench(loaded, task_named("mlm"))
    bench.rewind(mask)
    return _logits(bench.model)


def _logits(model: torch.nn.Module) -> torch.Tensor:
    ids = torch.arange(5, 45).reshape(2, 20)
    with torch.no_grad():
        return model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


@pytest.mark.parametrize(("kind", "name"), [("masks", "m.safetensors"), ("prune", "m.pt")])
def test_what_is_exported_comes_back(
    kind: str, name: str, atlas: Path, tiny_folder: Path, mask: Mask, tmp_path: Path
) -> None:
    assert _export(atlas, tiny_folder, kind, tmp_path / name) == 0
    fresh = tmp_path / "fresh"
    assert _import(tmp_path / name, fresh, "en", "--model", str(tiny_folder)) == 0
    ticket = Atlas.open(fresh).ticket(EN)
    assert ticket.levels == (0.5,)
    assert ticket.mask(0.5) == mask
    # The base ticket is there too, the one that a discovery makes.
    assert Atlas.open(fresh).header(TicketKey("", "", "base", 0)).content_hash == (
        Atlas.open(atlas).header(TicketKey("", "", "base", 0)).content_hash
    )
    assert main(["verify", str(fresh)]) == 0
    # And out of the imported ticket come the same masks again.
    assert _export(fresh, tiny_folder, "masks", tmp_path / "again.safetensors") == 0
    again = load_file(tmp_path / "again.safetensors")
    assert all(np.array_equal(again[name], mask[name]) for name in mask.layout.names)


def test_exported_masks_are_zeros_and_ones_by_parameter(
    atlas: Path, tiny_folder: Path, mask: Mask, tmp_path: Path
) -> None:
    assert _export(atlas, tiny_folder, "masks", tmp_path / "m.safetensors") == 0
    arrays = load_file(tmp_path / "m.safetensors")
    assert set(arrays) == set(mask.layout.names)
    for name, array in arrays.items():
        assert array.dtype == np.uint8
        assert np.array_equal(array, mask[name])


def test_an_exported_state_dict_loads_into_a_pruned_model(
    atlas: Path, tiny_folder: Path, mask: Mask, logits_under_mask: torch.Tensor, tmp_path: Path
) -> None:
    assert _export(atlas, tiny_folder, "prune", tmp_path / "m.pt") == 0
    state = torch.load(tmp_path / "m.pt", weights_only=True)
    model = AutoModelForMaskedLM.from_pretrained(tiny_folder, attn_implementation="eager")
    theta0 = {name: value.clone() for name, value in model.state_dict().items()}
    for parameter in model.parameters():  # so that everything has to come from the file
        torch.nn.init.normal_(parameter)
    for name in mask.layout.names:
        prune.identity(model.bert.get_submodule(name.removesuffix(".weight")), "weight")
    model.load_state_dict(state)
    assert torch.allclose(_logits(model), logits_under_mask, atol=1e-6)
    for name in mask.layout.names:
        assert torch.equal(state[f"bert.{name}_orig"], theta0[f"bert.{name}"])


def test_an_exported_checkpoint_has_exactly_the_masks_zeros(
    atlas: Path, tiny_folder: Path, mask: Mask, logits_under_mask: torch.Tensor, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "checkpoint"
    assert _export(atlas, tiny_folder, "checkpoint", out) == 0
    model = AutoModelForMaskedLM.from_pretrained(out, attn_implementation="eager")
    theta0 = AutoModelForMaskedLM.from_pretrained(tiny_folder).state_dict()
    for name, value in model.state_dict().items():
        short = name.removeprefix("bert.")
        kept = torch.from_numpy(mask[short]) if short in mask.layout.names else torch.ones(value.shape)
        assert torch.equal(value, theta0[name] * kept), name
        if short in mask.layout.names:
            assert np.array_equal(value.numpy() != 0, mask[short])
    assert torch.equal(_logits(model), logits_under_mask)
    text = "the same pieces"
    assert AutoTokenizer.from_pretrained(out)(text) == AutoTokenizer.from_pretrained(tiny_folder)(text)
    about = json.loads((out / "subnetwork.json").read_text())
    assert (about["ticket"], about["kept"]) == ("mlm-en-imp-s0", mask.kept)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["checkpoint"]


def test_the_base_masks_belong_to_no_task_and_no_language(atlas: Path, tmp_path: Path) -> None:
    out = tmp_path / "base.safetensors"
    command = ["export", "--atlas", str(atlas), "--method", "base", "--sparsity", "0.3", "--format", "masks"]
    assert main([*command, "--out", str(out)]) == 0
    base = Atlas.open(atlas).base()
    assert base is not None
    assert np.array_equal(load_file(out)[base.layout.names[2]], base.mask(0.3)[base.layout.names[2]])
    assert main([*command, "--task", "mlm", "--language", "en", "--out", str(tmp_path / "b")]) == 0


def test_imported_languages_are_compared_as_by_hand(
    tiny_folder: Path, mask: Mask, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    fresh, rng, layout = tmp_path / "fresh", np.random.default_rng(4), mask.layout
    masks = {}
    for extra, language in enumerate(("en", "fr", "sw")):
        kept = np.zeros(layout.size, dtype=bool)
        kept[rng.permutation(layout.size)[: layout.size // 2 + extra]] = True  # 50.00, 49.98 and 49.97 %
        arrays = {m.name: kept[layout.slice(i)].reshape(m.shape) for i, m in enumerate(layout.matrices)}
        masks[language] = kept
        arrays = {f"module.bert.{name}_mask": array for name, array in arrays.items()}
        save = save_torch if extra else save_npz
        file = save(tmp_path / f"{language}{'.pt' if extra else '.npz'}", arrays)
        assert _import(file, fresh, language, "--model", str(tiny_folder)) == 0
    capsys.readouterr()
    assert main(["overlap", "--atlas", str(fresh), "--task", "mlm", "--sparsity", "0.5"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 3
    for row in rows:
        a, b = masks[row["language_a"]], masks[row["language_b"]]
        assert int(row["intersection"]) == int((a & b).sum())
        assert float(row["jaccard"]) == pytest.approx((a & b).sum() / (a | b).sum())
        assert row["reference"]  # against the base masks of the model that the atlas was made of


def test_the_provenance_names_the_file_and_the_exact_count(
    tiny_folder: Path, mask: Mask, tmp_path: Path
) -> None:
    file = save_torch(tmp_path / "mask.pt", named(mask, "bert.", "_mask"))
    assert _import(file, tmp_path / "a", "en", "--model", str(tiny_folder), "--method", "oneshot") == 0
    header = Atlas.open(tmp_path / "a").header(TicketKey("mlm", "en", "oneshot", 0))
    source = header.provenance["imported"]
    assert source["file"] == "mask.pt"
    assert source["format"] == "torch dictionary of masks"
    assert len(source["sha256"]) == 64
    assert (source["kept"], source["weights"]) == (mask.kept, mask.layout.size)
    assert header.provenance["recipe"] == {"imported": "weights"}
    card = (tmp_path / "a" / "CARD.md").read_text()
    assert "1 tickets imported, not made here: en seed 0 from `mask.pt` at 50.0%" in card


def test_a_file_is_imported_once_and_never_over_another(
    tiny_folder: Path, mask: Mask, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    fresh = tmp_path / "fresh"
    first = save_npz(tmp_path / "first.npz", named(mask))
    other = save_npz(tmp_path / "other.npz", named(random_mask(mask.layout, 0.5, np.random.default_rng(1))))
    assert _import(first, fresh, "en", "--model", str(tiny_folder)) == 0
    ticket = fresh / "tickets" / "mlm-en-imp-s0.safetensors"
    before = (ticket.read_bytes(), ticket.stat().st_mtime_ns)
    assert _import(first, fresh) == 0
    assert "it was there already" in capsys.readouterr().err
    assert _import(other, fresh) == 2
    assert "holds another ticket mlm-en-imp-s0, imported from first.npz" in capsys.readouterr().err
    assert (ticket.read_bytes(), ticket.stat().st_mtime_ns) == before
    assert _import(other, fresh, "en", "--seed", "1") == 0


def test_imported_and_discovered_tickets_are_not_mixed(
    atlas: Path, mask: Mask, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    file = save_npz(tmp_path / "mask.npz", named(mask))
    assert _import(file, atlas, "fr") == 2
    assert "was made otherwise than mlm-en-imp-s0" in capsys.readouterr().err
    assert _import(file, atlas, "en") == 2
    assert "holds another ticket mlm-en-imp-s0, discovered" in capsys.readouterr().err
    assert list(Atlas.open(atlas).stamps()) == ["base", "mlm-en-imp-s0"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["{file}", "--atlas", "{tmp}/none"], "give --model"),
        (["{tmp}/nothing.pt", "--atlas", "{atlas}"], "nothing.pt"),
        (["{tmp}/bad.npz", "--atlas", "{atlas}"], "lacks 11 of 12"),
        (["{tmp}/bad.npz", "--atlas", "{tmp}/none", "--model", "{model}"], "lacks 11 of 12"),
        (["{file}", "--atlas", "{atlas}", "--model", "{other}"], "another model"),
        (["{file}", "--atlas", "{tmp}/none", "--model", "{tmp}/nowhere"], "no model folder"),
        (["{file}", "--atlas", "{atlas}", "--method", "base"], "base"),
        (["{file}", "--atlas", "{atlas}", "--task", "chess"], "chess"),
        (["{file}", "--atlas", "{atlas}", "--seed", "-1"], "-1"),
        (["{file}", "--atlas", "{atlas}", "--language", "../en"], "../en"),
    ],
)
def test_bad_input_to_import_is_one_sentence_and_leaves_nothing(
    options: list[str],
    says: str,
    atlas: Path,
    tiny_folder: Path,
    other_folder: Path,
    mask: Mask,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    file = save_npz(tmp_path / "mask.npz", named(mask))
    save_npz(tmp_path / "bad.npz", dict(list(named(mask).items())[:1]))
    places = {"file": file, "tmp": tmp_path, "atlas": atlas, "model": tiny_folder, "other": other_folder}
    before = Atlas.open(atlas).stamps()
    command = ["import", "--task", "mlm", "--language", "de", *(part.format(**places) for part in options)]
    capsys.readouterr()
    assert main(command) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert not (tmp_path / "none").exists()
    assert Atlas.open(atlas).stamps() == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--language", "fr"], "no ticket mlm-fr-imp-s0"),
        (["--sparsity", "0.55"], "0.55"),
        (["--sparsity", "7"], "--sparsity"),
        (["--method", "random"], "no ticket mlm-en-random-s0"),
        (["--format", "onnx"], "onnx"),
        (["--out", "{tmp}/there"], "is not overwritten"),
        (["--out", "{tmp}/there/below"], "cannot be written"),
        (["--out", "{tmp}"], "is not overwritten"),
        (["--out", "/"], "not the name of"),
        (["--format", "checkpoint", "--out", "{tmp}/there"], "is not overwritten"),
        (["--format", "checkpoint", "--model", "{other}"], "not the one that atlas"),
        (["--format", "prune", "--model", "{tmp}/nowhere"], "no model folder"),
        (["--format", "prune"], "is a local folder; say with --model where"),
        (["--atlas", "{tmp}/nowhere"], "nowhere"),
    ],
)
def test_bad_input_to_export_is_one_sentence_and_changes_nothing(
    options: list[str],
    says: str,
    atlas: Path,
    other_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    (tmp_path / "there").write_text("mine")
    places = {"tmp": tmp_path, "atlas": atlas, "other": other_folder}
    command = [
        *("export", "--atlas", str(atlas), "--task", "mlm", "--language", "en", "--sparsity", "0.5"),
        *("--format", "masks", "--out", str(tmp_path / "out"), *(part.format(**places) for part in options)),
    ]
    assert main(command) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path / "there").read_text() == "mine"


@pytest.mark.parametrize("left_out", ["--task", "--language"])
def test_export_needs_task_and_language(
    left_out: str, atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    options = {
        "--task": "mlm",
        "--language": "en",
        "--sparsity": "0.5",
        "--format": "masks",
        "--out": str(tmp_path / "m"),
    }
    del options[left_out]
    assert main(["export", "--atlas", str(atlas), *(part for pair in options.items() for part in pair)]) == 2
    assert f"The option {left_out} is needed" in capsys.readouterr().err


def test_a_write_that_fails_leaves_nothing(
    atlas: Path,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the disk is full\nat line 3")

    monkeypatch.setattr(torch, "save", fail)
    assert _export(atlas, tiny_folder, "prune", tmp_path / "m.pt") == 2
    assert "m.pt cannot be written: the disk is full" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
