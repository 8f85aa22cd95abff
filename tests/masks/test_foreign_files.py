"""Masks of others: recognised under every name and in every format, and every fault told in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from lsn_core.errors import LsnError
from lsn_core.masks.foreign.inspection import CHECKS, inspect_foreign
from lsn_core.masks.foreign.matching import match
from lsn_core.masks.layout import Layout, Matrix
from lsn_core.masks.mask import Mask
from tests.foreign_files import named, save_npz, save_safetensors, save_torch
from tests.masks.test_imports import loaded_by
from tests.synthetic import random_mask, small_layout

BERT = {"name": "m", "fingerprint": "f", "family": "bert", "heads": 4}


def t5_layout() -> Layout:
    """Two blocks a stack, named and shaped as in mT5 (gated feed-forward, cross attention in the decoder)."""
    hidden, inner, feed = 8, 12, 20
    attention = {"q": "query", "k": "key", "v": "value", "o": "attention output"}
    cross = {"q": "cross query", "k": "cross key", "v": "cross value", "o": "cross output"}
    dense = {"wi_0": "feed-forward gate", "wi_1": "feed-forward in", "wo": "feed-forward out"}
    matrices = []
    for stack in ("encoder", "decoder"):
        parts = [("SelfAttention", attention), ("DenseReluDense", dense)]
        if stack == "decoder":
            parts.insert(1, ("EncDecAttention", cross))
        for block in range(2):
            for number, (part, components) in enumerate(parts):
                for short, component in components.items():
                    shape = (hidden, inner) if short == "o" else (inner, hidden)
                    if part == "DenseReluDense":
                        shape = (hidden, feed) if short == "wo" else (feed, hidden)
                    name = f"{stack}.block.{block}.layer.{number}.{part}.{short}.weight"
                    matrices.append(Matrix(name, shape, stack, block, component))
    return Layout(tuple(matrices))


@pytest.fixture
def layout() -> Layout:
    return small_layout(2, 16)


@pytest.fixture
def mask(layout: Layout) -> Mask:
    return random_mask(layout, 0.5, np.random.default_rng(3))


@pytest.mark.parametrize("before", ["", "bert.", "module.bert.", "module.", "model.", "module.module."])
@pytest.mark.parametrize("after", ["", "_mask"])
def test_prefixes_and_endings_do_not_matter(before: str, after: str, layout: Layout) -> None:
    matching = match([f"{before}{name}{after}" for name in layout.names], layout)
    assert list(matching.found) == list(layout.names)
    assert matching.unknown == matching.left_out == ()


@pytest.mark.parametrize("before", ["", "module."])
def test_masks_of_an_encoder_decoder_model(before: str, tmp_path: Path) -> None:
    layout = t5_layout()
    mask = random_mask(layout, 0.7, np.random.default_rng(1))
    report = inspect_foreign(save_torch(tmp_path / "mask.pt", named(mask, before, "_mask")), layout)
    assert report.checked_mask() == mask
    assert report.facts["format"] == "torch dictionary of masks"


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.uint8, torch.int64, torch.bool],
)
def test_every_type_of_torch(dtype: torch.dtype, mask: Mask, tmp_path: Path) -> None:
    path = save_torch(tmp_path / "mask.pt", named(mask, "bert.", "_mask"), dtype)
    assert inspect_foreign(path, mask.layout, BERT).checked_mask() == mask


def test_views_of_one_storage_and_transposed_tensors(mask: Mask, tmp_path: Path) -> None:
    """torch.save keeps the storage whole and a tensor's place in it; both have to be followed."""
    flat = torch.cat([torch.from_numpy(array).float().ravel() for array in mask.arrays().values()])
    parts = flat.split([matrix.size for matrix in mask.layout.matrices])
    views = {m.name: part.view(m.shape) for m, part in zip(mask.layout.matrices, parts, strict=True)}
    torch.save(views, tmp_path / "views.pt")
    assert inspect_foreign(tmp_path / "views.pt", mask.layout).checked_mask() == mask
    turned = {name: torch.from_numpy(array.T.copy()).t() for name, array in mask.arrays().items()}
    assert not next(iter(turned.values())).is_contiguous()
    torch.save(turned, tmp_path / "turned.pth")
    assert inspect_foreign(tmp_path / "turned.pth", mask.layout).checked_mask() == mask


@pytest.mark.parametrize(
    ("save", "name"), [(save_npz, "m.npz"), (save_safetensors, "m.safetensors"), (save_torch, "m.bin")]
)
def test_every_format(save: Callable, name: str, mask: Mask, tmp_path: Path) -> None:
    report = inspect_foreign(save(tmp_path / name, named(mask)), mask.layout, BERT)
    assert report.checked_mask() == mask
    assert [check.name for check in report.checks] == list(CHECKS)
    assert all(check.passed and not check.mend for check in report.checks)
    assert report.facts["file"] == name
    assert report.facts["bytes"] == (tmp_path / name).stat().st_size


def test_the_level_is_rounded_so_that_near_sparsities_meet(tmp_path: Path) -> None:
    layout = small_layout(3, 64)
    levels = set()
    for extra in (-5, 5):
        survival = np.zeros(layout.size, dtype=bool)
        survival[: round(layout.size * 0.55) + extra] = True
        mask = Mask.from_arrays(
            {m.name: survival[layout.slice(i)].reshape(m.shape) for i, m in enumerate(layout.matrices)},
            layout,
        )
        report = inspect_foreign(save_npz(tmp_path / f"{extra}.npz", named(mask)), layout)
        assert report.checked_mask().kept == round(layout.size * 0.55) + extra
        levels.add(report.level)
    assert levels == {0.45}


def test_a_head_mask_removes_rows_and_columns(layout: Layout, tmp_path: Path) -> None:
    heads = np.array([[1, 0, 1, 1], [0, 0, 1, 1]])
    np.save(tmp_path / "heads.npy", heads)
    mask = inspect_foreign(tmp_path / "heads.npy", layout, BERT).checked_mask()
    for matrix in layout.matrices:
        for row in range(matrix.shape[0]):
            for column in range(matrix.shape[1]):
                expected = True
                if matrix.component in ("query", "key", "value"):
                    expected = bool(heads[matrix.layer, row // 4])
                elif matrix.component == "attention output":
                    expected = bool(heads[matrix.layer, column // 4])
                assert mask[matrix.name][row, column] == expected


@pytest.mark.parametrize(
    ("heads", "says"),
    [
        (np.ones((4, 2)), "shape (4, 2)"),
        (np.ones((2, 3)), "shape (2, 3)"),
        (np.ones((2, 2)), "each of 4 heads"),
        (np.ones(2), "shape (2,)"),
        (np.full((2, 4), 0.5), "0.5"),
        (np.ones((2, 4)), "remove 0 of"),
        (np.array([["a", "b", "c", "d"]] * 2), "not numbers"),
    ],
)
def test_head_masks_that_do_not_fit(heads: np.ndarray, says: str, layout: Layout, tmp_path: Path) -> None:
    np.save(tmp_path / "heads.npy", heads)
    with pytest.raises(LsnError) as error:
        inspect_foreign(tmp_path / "heads.npy", layout, BERT).checked_mask()
    assert says in str(error.value)


def test_a_head_mask_of_a_model_with_a_decoder_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "heads.npy", np.eye(4))
    report = inspect_foreign(tmp_path / "heads.npy", t5_layout())
    assert report.failed is not None
    assert "decoder" in report.failed.found


def test_a_pooler_that_the_model_lacks_is_left_out_and_told(mask: Mask, tmp_path: Path) -> None:
    arrays = {**named(mask, "bert.", "_mask"), "bert.pooler.dense.weight_mask": np.ones((16, 16))}
    report = inspect_foreign(save_torch(tmp_path / "mask.pt", arrays), mask.layout, BERT)
    assert report.checked_mask() == mask
    assert report.facts["left_out"] == ["bert.pooler.dense.weight_mask"]


def test_a_pooler_that_the_model_has_is_taken_and_needed(tmp_path: Path) -> None:
    layout = small_layout(2, 16, pooler=True)
    mask = random_mask(layout, 0.5, np.random.default_rng(3))
    path = save_torch(tmp_path / "mask.pt", named(mask, "bert.", "_mask"))
    assert inspect_foreign(path, layout, BERT).checked_mask() == mask
    rest = {name: array for name, array in named(mask).items() if "pooler" not in name}
    report = inspect_foreign(save_npz(tmp_path / "rest.npz", rest), layout, BERT)
    assert report.failed is not None
    assert "lacks 1 of 13" in report.failed.found


def _first(mask: Mask) -> str:
    return mask.layout.names[0]


def _rename(arrays: dict, old: str, new: str) -> dict:
    return {new if name == old else name: array for name, array in arrays.items()}


@pytest.mark.parametrize(
    ("change", "check", "says"),
    [
        (lambda a, f: _rename(a, f, "cls.weight"), "no unknown matrix", "1 array is of no prunable matrix"),
        (lambda a, f: {n: x for n, x in a.items() if ".0." not in n}, "no missing matrix", "lacks 6 of 12"),
        (lambda a, f: {**a, f: a[f][:, :-1]}, "shapes", "(16, 15) for (16, 16)"),
        (lambda a, f: {**a, f: a[f].ravel()}, "shapes", "(256,) for (16, 16)"),
        (lambda a, f: {**a, f: a[f] * 0.5}, "values", "such as 0.5"),
        (lambda a, f: {**a, f: np.where(a[f], np.nan, 0)}, "values", "such as nan"),
        (lambda a, f: {**a, f: a[f] * -1}, "values", "such as -1"),
        (lambda a, f: {**a, f"module.{f}": a[f]}, "names", "1 matrix is in it twice"),
        (lambda a, f: {f"roberta.{n}": x for n, x in a.items()}, "model", "'roberta'"),
        (lambda a, f: {n: np.ones_like(x) for n, x in a.items()}, "sparsity", "remove 0 of"),
        (lambda a, f: {n: np.zeros_like(x) for n, x in a.items()}, "sparsity", "remove 4096 of 4096"),
        (
            lambda a, f: {f"{n}x{i}": x for n, x in a.items() for i in range(3)},
            "no unknown matrix",
            "36 arrays",
        ),
        (lambda a, f: {}, "contents", "no array"),
        (lambda a, f: {**a, "with\nnewline": a[f]}, "contents", "'with\\nnewline'"),
        (lambda a, f: {**a, "../../up": a[f]}, "contents", "'../../up'"),
    ],
)
def test_every_fault_is_named(change: Callable, check: str, says: str, mask: Mask, tmp_path: Path) -> None:
    arrays = change({name: array.astype(float) for name, array in mask.arrays().items()}, _first(mask))
    save_file({name: np.ascontiguousarray(x) for name, x in arrays.items()}, tmp_path / "m.safetensors")
    report = inspect_foreign(tmp_path / "m.safetensors", mask.layout, BERT)
    assert report.mask is None
    assert report.failed is not None
    assert (report.failed.name, says in report.failed.found) == (check, True), report.failed
    with pytest.raises(LsnError) as error:
        report.checked_mask()
    assert "\n" not in str(error.value)
    assert report.failed.mend in str(error.value)


@pytest.mark.parametrize("name", ["nothing.pt", "folder.pt", "mask.txt", "mask"])
def test_no_file_of_masks(name: str, layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "mask.txt").write_text("1 0 1")
    (tmp_path / "mask").write_text("1 0 1")
    failed = inspect_foreign(tmp_path / name, layout).failed
    assert failed is not None
    assert failed.name in ("file", "format")


def test_reading_needs_no_torch_in_either_process() -> None:
    modules = loaded_by("import lsn_core.masks.foreign.child, lsn_core.masks.foreign.exchange")
    assert modules.isdisjoint({"torch", "transformers", "streamlit", "pandas", "scipy"})
