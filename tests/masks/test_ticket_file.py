from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from lsn_core.errors import CorruptFile, LsnError
from lsn_core.masks import container
from lsn_core.masks.layout import Layout, Matrix
from lsn_core.masks.ticket import BASE_KEY, Ticket, TicketKey
from lsn_core.masks.ticket_file import References, read_header, read_ticket, write_ticket
from tests.memory import at_most
from tests.synthetic import (
    LEVELS,
    make_ticket,
    odd_layout,
    provenance,
    random_twin,
    small_layout,
    survival_of,
)

EN = TicketKey("mlm", "en", "imp", 0)
LAYOUT = small_layout()
MAGNITUDE = np.random.default_rng(0).random(LAYOUT.size)
BASE = Ticket(BASE_KEY, LAYOUT, LEVELS, survival_of(MAGNITUDE), (), provenance(), "base")
NEAR = make_ticket(EN, LAYOUT, MAGNITUDE * (1 + 0.01 * np.random.default_rng(1).random(LAYOUT.size)))
FAR = make_ticket(EN, LAYOUT, np.random.default_rng(2).random(LAYOUT.size))


def assert_same(first: Ticket, second: Ticket) -> None:
    assert first.content_hash == second.content_hash
    for name in ("key", "layout", "levels", "scores", "provenance", "config_hash", "philox_key"):
        assert getattr(first, name) == getattr(second, name)
    np.testing.assert_array_equal(first.survival, second.survival)


def test_several_tickets_share_what_is_prepared_of_their_base(tmp_path: Path) -> None:
    """Tickets of the same and of other levels, against two base tickets in turn."""
    second = dataclasses.replace(BASE, survival=survival_of(MAGNITUDE[::-1]))
    few = make_ticket(EN, LAYOUT, MAGNITUDE * 1.001, levels=(0.3, 0.55))
    other = dataclasses.replace(NEAR, survival=survival_of(MAGNITUDE[::-1]))
    shared = References()
    for turn, (ticket, base) in enumerate([(NEAR, BASE), (few, BASE), (NEAR, BASE), (other, second)] * 2):
        write_ticket(tmp_path / "shared", ticket, base, shared)
        write_ticket(tmp_path / "alone", ticket, base)
        assert (tmp_path / "shared").read_bytes() == (tmp_path / "alone").read_bytes()
        assert read_header(tmp_path / "alone").codec == "grouped", turn
        assert_same(read_ticket(tmp_path / "shared", base, references=shared), ticket)
    assert shared.of(BASE, LEVELS) is shared.of(BASE, LEVELS)
    assert shared.of(BASE, LEVELS) is not shared.of(second, LEVELS)


@pytest.mark.parametrize(
    ("ticket", "base", "code"),
    [
        (BASE, None, "plain"),
        (NEAR, None, "plain"),
        (NEAR, BASE, "grouped"),
        (FAR, BASE, "plain"),
        (random_twin(NEAR), None, "philox"),
        (random_twin(NEAR), BASE, "philox"),
    ],
)
def test_round_trip_in_the_smallest_code(
    tmp_path: Path, ticket: Ticket, base: Ticket | None, code: str
) -> None:
    path = tmp_path / "deep" / "er" / "t.safetensors"
    write_ticket(path, ticket, base)
    header = read_header(path, check_parts=True)
    assert header.codec == code
    assert header.base_hash == (BASE.content_hash if code == "grouped" else None)
    assert header.content_hash == ticket.content_hash
    np.testing.assert_array_equal(header.kept, ticket.kept)
    for name in ("key", "layout", "levels", "scores", "provenance", "config_hash", "philox_key"):
        assert getattr(header, name) == getattr(ticket, name)
    assert_same(read_ticket(path, base), ticket)
    assert_same(read_ticket(path, base, ticket.layout), ticket)
    assert [file.name for file in path.parent.iterdir()] == ["t.safetensors"]


@pytest.mark.parametrize("levels", [(0.5,), (0.25, 0.45, 0.85), tuple(k / 40 for k in range(1, 40))])
def test_a_base_ticket_of_other_levels_still_serves(tmp_path: Path, levels: tuple[float, ...]) -> None:
    ticket = make_ticket(
        EN, LAYOUT, MAGNITUDE * (1 + 0.001 * np.random.default_rng(1).random(LAYOUT.size)), levels
    )
    write_ticket(tmp_path / "t", ticket, BASE)
    assert_same(read_ticket(tmp_path / "t", BASE), ticket)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.001, 0.2, 1.0]), st.sampled_from([1, 9, 15, 16, 255]))
def test_any_survival_round_trips(tmp_path: Path, seed: int, changed: float, count: int) -> None:
    rng = np.random.default_rng(seed)
    layout, levels = odd_layout(), tuple((k + 1) / (count + 1) for k in range(count))
    base = Ticket(BASE_KEY, layout, levels, rng.integers(0, count + 1, layout.size, dtype=np.uint8))
    survival = base.survival.copy()
    touched = rng.random(layout.size) < changed
    survival[touched] = rng.integers(0, count + 1, int(touched.sum()))
    ticket = Ticket(EN, layout, levels, survival)
    for reference in (None, base):
        write_ticket(tmp_path / "t", ticket, reference)
        assert_same(read_ticket(tmp_path / "t", reference), ticket)


def test_masks_near_the_base_take_little_room(tmp_path: Path) -> None:
    layout = small_layout(layers=4, hidden=128)
    rng = np.random.default_rng(0)
    magnitude = np.abs(rng.normal(size=layout.size))
    base = Ticket(BASE_KEY, layout, LEVELS, survival_of(magnitude))
    ticket = make_ticket(EN, layout, np.abs(magnitude + 0.001 * rng.normal(size=layout.size)))
    changed = np.mean(base.survival != ticket.survival)
    assert 0.002 < changed < 0.01
    write_ticket(tmp_path / "base", base, None)
    write_ticket(tmp_path / "near", ticket, base)
    write_ticket(tmp_path / "random", random_twin(ticket), base)
    sizes = {name: (tmp_path / name).stat().st_size for name in ("base", "near", "random")}
    assert sizes["base"] < layout.size * 3.5 / 8  # ten equally likely values need 3.32 bits
    assert sizes["near"] < layout.size * 0.1 / 8 + 8000  # the header of this layout takes about 6 kB
    assert sizes["random"] < 8000
    plain_bits = len(LEVELS) * layout.size / 8
    assert sizes["near"] < plain_bits / 40


def test_uniform_masks_take_next_to_no_room(tmp_path: Path) -> None:
    layout = small_layout(layers=4, hidden=128)
    for value in (0, 9):
        ticket = Ticket(EN, layout, LEVELS, np.full(layout.size, value, np.uint8))
        write_ticket(tmp_path / "t", ticket, None)
        assert (tmp_path / "t").stat().st_size < 10_000
        assert_same(read_ticket(tmp_path / "t"), ticket)


def test_any_safetensors_library_reads_the_file(tmp_path: Path) -> None:
    write_ticket(tmp_path / "t.safetensors", NEAR, BASE)
    with safe_open(tmp_path / "t.safetensors", framework="np") as file:
        about = json.loads(file.metadata()["lsn"])
        assert about["key"] == {"task": "mlm", "language": "en", "method": "imp", "seed": 0}
        assert about["content_hash"] == NEAR.content_hash
        data = file.get_tensor("changes")
    by_base = np.argsort(BASE.survival, kind="stable")
    differences = (NEAR.survival - BASE.survival)[by_base]
    assert (
        np.frombuffer(zlib.decompress(data.tobytes()), np.uint8).tolist()
        == differences[differences > 0].tolist()
    )
    write_ticket(tmp_path / "r.safetensors", random_twin(NEAR), None)
    with safe_open(tmp_path / "r.safetensors", framework="np") as file:
        assert list(file.keys()) == []


def test_writing_the_same_ticket_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    write_ticket(tmp_path / "a", NEAR, BASE)
    write_ticket(tmp_path / "b", dataclasses.replace(NEAR), BASE)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("ticket", [NEAR, random_twin(NEAR)], ids=["grouped", "philox"])
def test_a_flipped_bit_anywhere_is_found(tmp_path: Path, ticket: Ticket) -> None:
    path = tmp_path / "t.safetensors"
    write_ticket(path, ticket, BASE)
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in range(len(good)) if len(good) < 2000 else sorted({*range(0, 400), *range(0, len(good), 7)}):
        damaged = bytearray(good)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(LsnError) as caught:
            read_header(path, check_parts=True)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    path.write_bytes(good)
    read_header(path, check_parts=True)


def test_a_flipped_bit_is_damage_to_every_reader(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_ticket(path, NEAR, BASE)
    damaged = bytearray(path.read_bytes())
    damaged[-5] ^= 4
    path.write_bytes(damaged)
    read_header(path)  # looks at the header alone
    for read in (lambda: read_header(path, check_parts=True), lambda: read_ticket(path, BASE)):
        with pytest.raises(CorruptFile, match="packed masks are not those that were written"):
            read()


def test_truncated_and_lengthened_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_ticket(path, NEAR, BASE)
    good = path.read_bytes()
    lengths = [0, 1, 7, 8, 9, 100, len(good) // 2, len(good) - 1]
    for damaged in [good[:length] for length in lengths] + [good + b"\0", good + good]:
        path.write_bytes(damaged)
        with pytest.raises(CorruptFile, match="damaged"):
            read_header(path)
        with pytest.raises(CorruptFile, match="damaged"):
            read_ticket(path, BASE)


def shell(header: bytes, payload: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + payload


@pytest.mark.parametrize(
    "data",
    [
        b"hello, I am a text file and not a ticket\n" * 10,
        bytes(10_000),
        b"\xff" * 10_000,
        b"PK\x03\x04" + bytes(500),
        shell(b"{}", length=2**63),
        shell(b"{}", length=2**64 - 1),
        shell(b"{}"),
        shell(b"[]"),
        shell(b"null"),
        shell(b"{"),
        shell(b"[" * 100_000),
        shell(b'{"a":' * 100_000),
        shell(b'{"__metadata__":{"lsn":3}}'),
        shell(b'{"__metadata__":{"lsn":"{}"}}'),
        shell(b'{"__metadata__":{"lsn":"[1,2]"}}'),
        shell(b'{"__metadata__":{"lsn":"NaN"}}'),
        shell(
            b'{"__metadata__":{"lsn":"{}"},"t":{"dtype":"U8","shape":[10000000000],"data_offsets":[0,10000000000]}}'
        ),
        shell(
            b'{"__metadata__":{"lsn":"{}"},"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)
        ),
        shell(b'{"__metadata__":{"lsn":"{}"},"t":{"dtype":"U8","shape":[-1],"data_offsets":[0,-1]}}'),
        shell(b'{"__metadata__":{"lsn":"{}"},"t":{"dtype":"U8","shape":[' + b"9" * 5000 + b"]}}"),
        shell('{"__metadata__":{"lsn":"é"}}'.encode()),
    ],
)
def test_other_files_are_refused_in_a_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "t.safetensors"
    path.write_bytes(data)
    with at_most(20_000_000), pytest.raises(CorruptFile, match="damaged") as caught:
        read_ticket(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def forge(
    path: Path, change: Callable[[dict[str, Any]], object], parts: dict[str, bytes] | None = None
) -> None:
    """Rewrite a ticket as someone would who knows the format: seal and hashes of parts right."""
    with open(path, "rb") as stream:
        read = container.read_shell(stream, path)
        data = container.read_parts(stream, read) if parts is None else parts
    header = json.loads(read.metadata)
    del header["seal"]
    for name in header["parts"]:
        if name in data:
            header["parts"][name][1] = hashlib.sha256(data[name]).hexdigest()
    change(header)
    header["seal"] = hashlib.sha256(f"seal\n{container.canonical_json(header)}".encode()).hexdigest()
    path.write_bytes(container.build(container.canonical_json(header), data))


def set_in(*keys_and_value: Any) -> Callable[[dict[str, Any]], None]:
    *keys, last, value = keys_and_value

    def change(header: dict[str, Any]) -> None:
        for key in keys:
            header = header[key]
        header[last] = value

    return change


def test_forging_without_a_change_is_accepted(tmp_path: Path) -> None:
    # Otherwise the tests below would show nothing.
    write_ticket(tmp_path / "t", NEAR, BASE)
    forge(tmp_path / "t", lambda header: None)
    assert_same(read_ticket(tmp_path / "t", BASE), NEAR)


@pytest.mark.parametrize(
    "change",
    [
        set_in("extra", 1),
        lambda header: header.pop("scores"),
        set_in("key", "language", "de"),
        set_in("key", "seed", "0"),
        set_in("key", {}),
        set_in("key", None),
        set_in("layout", []),
        set_in("layout", 0, "shape", [1, 1]),
        set_in("layout", 0, "shape", [2**40, 2**40]),
        set_in("layout", 0, "shape", "16"),
        set_in("layout", 0, "shape", [-16, -16]),
        set_in("layout", 0, "name", None),
        set_in("layout", 0, "component", []),
        set_in("layout", 0, "layer", 1e300),
        set_in("layout", {"0": 1}),
        set_in("levels", []),
        set_in("levels", [0.5]),
        set_in("levels", "levels"),
        set_in("levels", [[0.5]]),
        set_in("levels", 0, 0.11),
        set_in("scores", 0, "value", 0.99),
        set_in("scores", 0, "value", "high"),
        set_in("scores", {}),
        set_in("scores", [[]]),
        set_in("config_hash", 7),
        set_in("config_hash", "other"),
        set_in("content_hash", "0" * 64),
        set_in("content_hash", None),
        set_in("provenance", []),
        set_in("provenance", None),
        set_in("kept", []),
        set_in("kept", 0, 0, 1),
        set_in("kept", 0, 0, 10**30),
        set_in("kept", 0, []),
        set_in("codec", None),
        set_in("codec", {"name": "lzma"}),
        set_in("codec", {"name": []}),
        set_in("codec", {"name": "plain"}),
        set_in("codec", {"name": "philox", "key": 1}),
        set_in("codec", "base", 5),
        set_in("parts", {}),
        set_in("parts", "gaps", 0, 10**15),
        set_in("parts", "gaps", 0, -1),
        set_in("parts", "gaps", 0, 1),
        set_in("parts", "gaps", [1, 2, 3]),
        set_in("parts", "changes", 0, 0),
    ],
)
def test_forged_headers_are_refused_in_a_sentence(
    tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    path = tmp_path / "t"
    write_ticket(path, NEAR, BASE)
    forge(path, change)
    with at_most(20_000_000), pytest.raises(LsnError) as caught:
        read_ticket(path, BASE)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        set_in("codec", "key", 3),
        set_in("codec", "key", -3),
        set_in("codec", "key", 2**200),
        set_in("codec", "key", "3"),
        set_in("codec", "key", None),
        set_in("kept", 0, 0, 0),
        set_in("kept", 0, 0, -5),
        set_in("kept", 0, 0, 10**9),
    ],
)
def test_forged_random_tickets_are_refused(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = tmp_path / "t"
    write_ticket(path, random_twin(NEAR), None)
    forge(path, change)
    with pytest.raises(CorruptFile, match="damaged"):
        read_ticket(path)


def test_bombs_are_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "t"
    bomb = zlib.compress(bytes(300_000_000), 9)
    small = Layout((Matrix("m", (1000, 1000), "encoder", 0, "query"),))
    write_ticket(path, Ticket(EN, small, LEVELS, np.zeros(small.size, np.uint8)), None)
    forge(path, lambda header: None, {"survival": bomb})  # honest about 500 kB, holds 300 MB
    with at_most(20_000_000), pytest.raises(CorruptFile, match="not the 500000 bytes"):
        read_ticket(path)
    forge(path, set_in("parts", "survival", 0, 300_000_000))  # says so
    with at_most(20_000_000), pytest.raises(CorruptFile, match="1000000 weights"):
        read_ticket(path)
    write_ticket(path, NEAR, BASE)
    forge(path, set_in("parts", "gaps", 0, 300_000_000), {"gaps": zlib.compress(bytes(9)), "changes": b""})
    with at_most(20_000_000), pytest.raises(CorruptFile, match="more differences than"):
        read_ticket(path, BASE)


def test_more_packed_data_than_the_weights_need_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_ticket(path, NEAR, None)
    with open(path, "rb") as stream:
        about = container.read_shell(stream, path).metadata
    header = container._header(about, {"survival": 10**10})
    with open(path, "wb") as stream:
        stream.write(struct.pack("<Q", len(header)) + header)
        stream.truncate(8 + len(header) + 10**10)  # no byte of it is on the disk
    with at_most(20_000_000), pytest.raises(CorruptFile, match="more packed data than its weights can need"):
        read_ticket(path)


def test_a_layout_other_than_the_expected_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_ticket(path, random_twin(NEAR), None)
    forge(path, set_in("layout", 0, "shape", [40_000, 50_000]))  # 2 GB to draw, for a file of some kB
    with at_most(5_000_000), pytest.raises(LsnError, match="matrices of another model"):
        read_ticket(path, None, LAYOUT)


def test_a_newer_format_is_named_as_such(tmp_path: Path) -> None:
    write_ticket(tmp_path / "t", NEAR, None)
    forge(tmp_path / "t", set_in("format_version", 2))
    with pytest.raises(LsnError, match="ticket format 2, and this version reads 1"):
        read_header(tmp_path / "t")


def test_the_base_ticket_must_be_there_and_the_same(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_ticket(path, NEAR, BASE)
    with pytest.raises(LsnError, match=f"base ticket {BASE.content_hash[:12]}, which is missing"):
        read_ticket(path)
    other = dataclasses.replace(BASE, config_hash="another")
    with pytest.raises(LsnError, match=f"but the base ticket here is {other.content_hash[:12]}"):
        read_ticket(path, other)
    with pytest.raises(LsnError, match="over different matrices"):
        write_ticket(path, make_ticket(EN, odd_layout(), np.arange(494)), BASE)


def test_masks_that_the_key_does_not_draw_are_not_written(tmp_path: Path) -> None:
    lying = dataclasses.replace(NEAR, philox_key=1)
    with pytest.raises(LsnError, match="not those that its random key draws"):
        write_ticket(tmp_path / "t", lying, None)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, message in [
        ("folder", "not a plain file"),
        ("pipe", "not a plain file"),
        ("missing", "no such file"),
        ("loop", "cannot be read"),
        ("missing/t", "no such file"),
    ]:
        with pytest.raises(LsnError, match=message):
            read_ticket(tmp_path / name)


def test_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t"
    write_ticket(path, NEAR, None)

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)  # the tests may run as a user who can read everything
    with pytest.raises(LsnError, match="cannot be read: permission denied"):
        read_ticket(path)


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t"
    write_ticket(path, NEAR, None)
    good = path.read_bytes()

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(LsnError, match=r"t cannot be written: no space left"):
        write_ticket(path, FAR, None)
    assert path.read_bytes() == good
    assert [file.name for file in tmp_path.iterdir()] == ["t"]


def test_the_bytes_are_on_the_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def record(*args: Any, name: str = name, real: Callable = real) -> None:
            done.append(name)
            real(*args)

        monkeypatch.setattr(os, name, record)
    write_ticket(tmp_path / "t", NEAR, None)
    assert done == ["fsync", "replace", "fsync"]  # the file, its name, the folder that holds the name


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "t", tmp_path / "file" / "t"):
        with pytest.raises(LsnError, match="cannot be written"):
            write_ticket(path, NEAR, None)


def test_what_a_killed_writer_left_is_cleared_later(tmp_path: Path) -> None:
    old, young = tmp_path / ".t.0011.tmp", tmp_path / ".t.2233.tmp"
    for leftover in (old, young):
        leftover.write_bytes(b"half")
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))
    write_ticket(tmp_path / "t", NEAR, None)
    assert {file.name for file in tmp_path.iterdir()} == {"t", ".t.2233.tmp"}
