"""Files made to harm: each is told in one sentence, nothing in it runs, and no memory is taken for its claims."""

from __future__ import annotations

import builtins
import pickle
import random
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lsn_core.errors import LsnError
from lsn_core.masks.foreign.inspection import inspect_foreign
from tests.foreign_files import (
    Call,
    Tensor,
    named,
    pickled,
    save_npz,
    save_safetensors,
    save_torch,
    system_call,
    torch_zip,
)
from tests.synthetic import random_mask, small_layout

LAYOUT = small_layout(1, 8)
FIRST = LAYOUT.names[0]
MEGABYTE = 2**20


def _mask_file(path: Path) -> Path:
    return save_torch(path, named(random_mask(LAYOUT, 0.5, np.random.default_rng(0)), "bert.", "_mask"))


def _refused(path: Path, *says: str) -> None:
    report = inspect_foreign(path, LAYOUT)
    assert report.mask is None
    assert report.failed is not None
    assert report.failed.name == "contents"
    with pytest.raises(LsnError) as error:
        report.checked_mask()
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in says), message
    assert not any(word in message for word in ("Traceback", "reading failed")), message


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda marker: system_call(marker), "posix.system"),
        (lambda marker: {FIRST: system_call(marker)}, "posix.system"),
        (lambda marker: OrderedDict([(FIRST, Call(exec, f"open({str(marker)!r}, 'w')"))]), "exec"),
        (lambda marker: {"x": Call(builtins.getattr, "text", "upper")}, "getattr"),
        (lambda marker: {"x": Call(torch.load, str(marker))}, "torch"),
        (lambda marker: {"x": torch.nn.Linear}, "torch.nn.modules.linear.Linear"),
        (lambda marker: {"x": np.float64}, "numpy.float64"),
        (lambda marker: {"x": Call(OrderedDict.fromkeys, [1])}, "getattr"),
    ],
)
def test_a_pickle_that_asks_for_a_call_runs_nothing(make: Callable, says: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = torch_zip(tmp_path / "evil.pt", pickle.dumps(make(marker), protocol=2), {"0": bytes(4)})
    _refused(path, "it asks for", says)
    assert not marker.exists()


def test_the_call_would_run_elsewhere(tmp_path: Path) -> None:
    """Otherwise the test above could not fail."""
    pickle.loads(pickle.dumps(system_call(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


def test_a_bare_pickle_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(system_call(tmp_path / "ran")))
    _refused(tmp_path / "bare.pt", "bare pickle", "torch.save it again")
    assert not (tmp_path / "ran").exists()


def test_a_file_of_old_torch_is_told_how_to_mend(tmp_path: Path) -> None:
    arrays = named(random_mask(LAYOUT, 0.5, np.random.default_rng(0)))
    path = save_torch(tmp_path / "old.pt", arrays, _use_new_zipfile_serialization=False)
    _refused(path, "before 1.6", "torch.save it again")


@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.6, 0.95, 0.999])
@pytest.mark.parametrize("ending", [".pt", ".npz", ".safetensors", ".npy"])
def test_a_file_that_is_cut_short(part: float, ending: str, tmp_path: Path) -> None:
    whole = tmp_path / f"whole{ending}"
    arrays = named(random_mask(LAYOUT, 0.5, np.random.default_rng(0)))
    if ending == ".npy":
        np.save(whole, np.ones((1, 4)))
    elif ending == ".npz":
        save_npz(whole, arrays)
    elif ending == ".pt":
        save_torch(whole, arrays)
    else:
        save_safetensors(whole, arrays)
    data = whole.read_bytes()
    cut = tmp_path / f"cut{ending}"
    cut.write_bytes(data[: int(part * len(data))])
    _refused(cut)


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (Tensor((8, 8), (8, 1), 10**10), "claims 40000000000 bytes"),
        (Tensor((10**5, 10**5), (10**5, 1), 64), "claims 10000000000 values"),
        (Tensor((10**5, 10**5), (0, 0), 64), "claims 10000000000 values"),
        (Tensor((8, 8), (8, 1), 64, offset=1), "claims 64 values"),
        (Tensor((8, 8), (10**15, 1), 64), "claims 64 values"),
        (Tensor((8, 8), (8, 1), 64, offset=-64), "not described"),
        (Tensor((8, 8), (-8, 1), 64), "not described"),
        (Tensor((8, 8), (8,), 64), "not described"),
        (Tensor((8, "8"), (8, 1), 64), "not described"),
        (Tensor((8.0, 8), (8, 1), 64), "not described"),
        (Tensor([8, 8], (8, 1), 64), "not described"),  # type: ignore[arg-type]
        (Tensor((1,) * 70, (0,) * 70, 64), "not described"),
        (Tensor((8, 8), (8, 1), 64, key="../../../etc/passwd"), "holds none"),
        (Tensor((8, 8), (8, 1), 64, key="7"), "holds none"),
        (Tensor((8, 8), (8, 1), -1), "damaged"),
        (Tensor((8, 8), (8, 1), 64, kind="DoubleStorage"), "claims 512 bytes"),
        (Tensor((8, 8), (8, 1), 64, kind="ComplexFloatStorage"), "ComplexFloatStorage"),
        (5, "a int, not a tensor"),
    ],
)
def test_lying_sizes(tensor: object, says: str, tmp_path: Path) -> None:
    path = torch_zip(
        tmp_path / "lie.pt",
        pickled({f"{FIRST}_mask": tensor, "x": Tensor((1,), (1,), 64)}),
        {"0": bytes(256)},
    )
    _refused(path, says)


def test_the_same_file_with_true_sizes_is_read(tmp_path: Path) -> None:
    """Otherwise the test above could not fail."""
    path = torch_zip(tmp_path / "true.pt", pickled({FIRST: Tensor((8, 8), (8, 1), 64)}), {"0": bytes(256)})
    report = inspect_foreign(path, LAYOUT)
    assert report.failed is not None
    assert report.failed.name == "no missing matrix"


def test_a_thousand_views_of_one_storage_are_not_unpacked(tmp_path: Path) -> None:
    tensors = {f"{FIRST}.{number}_mask": Tensor((2**18,), (1,), 2**18) for number in range(5000)}
    path = torch_zip(tmp_path / "views.pt", pickled(tensors), {"0": bytes(2**20)})
    report = inspect_foreign(path, LAYOUT)
    assert report.failed is not None
    assert "5000 arrays are of no prunable matrix" in report.failed.found


def test_too_many_arrays(tmp_path: Path) -> None:
    tensors = {f"x{number}": Tensor((1,), (1,), 1) for number in range(20_001)}
    _refused(torch_zip(tmp_path / "many.pt", pickled(tensors), {"0": bytes(4)}), "20001 arrays")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x80\x05\x96" + struct.pack("<Q", 2**45) + b".", "MiB"),  # a byte array of 32 TiB
        (b"\x80\x02]r" + struct.pack("<I", 2**32 - 1) + b".", "MiB"),  # a place far up in the memo
        (b"\x80\x02" + b"(" * 10**6 + b".", "damaged"),
        (b"\x80\x02]" + b"0" * 100 + b".", "damaged"),
        (b"\x80\x02}.", "without a tensor"),
        (b"\x80\x02].", "a list, not a dictionary"),
        (b"\x80\x02U\x01aQ.", "damaged"),  # a persistent id that is a text
        (b"not a pickle", "damaged"),
        (b"", "damaged"),
    ],
)
def test_pickles_that_are_broken_or_greedy(data: bytes, says: str, tmp_path: Path) -> None:
    _refused(torch_zip(tmp_path / "broken.pt", data, {"0": bytes(4)}), says)


def test_a_pickle_cannot_change_what_was_built(tmp_path: Path) -> None:
    """BUILD sets attributes on whatever is on the stack: on none of our records it can."""
    state = pickle.BUILD
    sound = pickled({FIRST: Tensor((8, 8), (8, 1), 64)})
    rebuild = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}U\x01aU\x01bs" + state + b"."
    kind = b"\x80\x02ctorch\nFloatStorage\n}U\x01aU\x01bs" + state + b"."
    called = b"\x80\x02ctorch\nFloatStorage\n)R."
    ordered = b"\x80\x02ccollections\nOrderedDict\n}U\x01aU\x01bs" + state + b"."
    for data in (rebuild, kind, called, ordered):
        _refused(torch_zip(tmp_path / "built.pt", data, {"0": bytes(256)}), "damaged")
    assert sound.startswith(b"\x80\x02")


def test_compressed_parts_of_a_torch_file(tmp_path: Path) -> None:
    data = pickled({FIRST: Tensor((2**24,), (1,), 2**24)})
    path = torch_zip(tmp_path / "bomb.pt", data, {"0": bytes(2**26)}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < MEGABYTE
    _refused(path, "compressed")


def test_an_npz_that_unpacks_to_far_more_than_the_model_has(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, **{FIRST: np.zeros(256 * MEGABYTE, dtype=np.uint8)})
    assert path.stat().st_size < MEGABYTE
    _refused(path, "would unpack to")


def test_an_npz_whose_array_claims_more_than_it_has(tmp_path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000, 100000), }"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.ljust(117) + b"\n" + bytes(256)
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive:
        archive.writestr(f"{FIRST}.npy", array)
    _refused(tmp_path / "lie.npz", "claims 40000000000 bytes where the file holds 256")
    (tmp_path / "lie.npy").write_bytes(array)
    _refused(tmp_path / "lie.npy", "claims 40000000000 bytes where the file holds 256")


def test_an_npz_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    evil = np.array([system_call(marker)], dtype=object)
    np.savez(tmp_path / "evil.npz", **{FIRST: evil})
    np.save(tmp_path / "evil.npy", evil)
    for name in ("evil.npz", "evil.npy"):
        _refused(tmp_path / name, "not numbers")
    assert not marker.exists()


@pytest.mark.parametrize(
    "name", ["../../escape", "/etc/escape", "..\\..\\escape", "archive/../../escape", "C:/escape"]
)
@pytest.mark.parametrize("ending", [".pt", ".npz"])
def test_names_that_are_paths(name: str, ending: str, tmp_path: Path) -> None:
    path = _mask_file(tmp_path / f"mask{ending}")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    _refused(path, "which is a path")
    assert not list(tmp_path.parent.glob("**/escape"))


def test_an_archive_that_holds_a_name_twice(tmp_path: Path) -> None:
    path = _mask_file(tmp_path / "mask.pt")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("mask/data.pkl", b"x")
    _refused(path, "one name twice")


def test_an_archive_of_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        archive.writestr("letter.txt", "hello")
    _refused(tmp_path / "other.pt", "not one of torch.save")


def test_a_safetensors_file_whose_header_lies(tmp_path: Path) -> None:
    header = b'{"x":{"dtype":"F32","shape":[100000,100000],"data_offsets":[0,40000000000]}}'
    (tmp_path / "lie.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(64))
    _refused(tmp_path / "lie.safetensors", "safetensors")
    (tmp_path / "huge.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}")
    _refused(tmp_path / "huge.safetensors", "safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".pt", ".npz"])
def test_changed_bytes_never_end_in_more_than_a_sentence(ending: str, tmp_path: Path) -> None:
    arrays = named(random_mask(LAYOUT, 0.5, np.random.default_rng(0)))
    path = (save_torch if ending == ".pt" else save_npz)(tmp_path / f"mask{ending}", arrays)
    sound, rng = path.read_bytes(), random.Random(7)
    for _ in range(60):
        data = bytearray(sound)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        report = inspect_foreign(path, LAYOUT)
        assert report.mask is not None or (
            report.failed is not None and "failed (" not in report.failed.found
        )
