from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from lsn_core.errors import CorruptFile, LsnError
from lsn_core.masks.atlas import Atlas, find_atlases
from lsn_core.masks.ticket import BASE_KEY, TicketKey
from tests.synthetic import MODEL, make_atlas, make_ticket, odd_layout, provenance, small_layout

EN = TicketKey("mlm", "en", "imp", 0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a synthetic atlas of two languages and two seeds; copy it before changing it."""
    return make_atlas(tmp_path_factory.mktemp("atlases") / "made", languages=("en", "sw")).path


@pytest.fixture
def atlas(made: Path, tmp_path: Path) -> Atlas:
    shutil.copytree(made, tmp_path / "atlas")
    return Atlas.open(tmp_path / "atlas")


def ticket_file(atlas: Atlas, stem: str) -> Path:
    return atlas.path / "tickets" / f"{stem}.safetensors"


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 8
    path.write_bytes(data)


def some_ticket(atlas: Atlas, key: TicketKey, **recipe: object):
    magnitude = np.random.default_rng(9).random(atlas.layout.size)
    ticket = make_ticket(key, atlas.layout, magnitude)
    return dataclasses.replace(ticket, provenance=provenance(recipe)) if recipe else ticket


def test_an_atlas_tells_what_it_holds(atlas: Atlas) -> None:
    assert atlas.name == "atlas"
    assert atlas.model == MODEL
    assert atlas.layout == small_layout()
    assert atlas.has_bits
    assert [header.key.stem for header in atlas.headers()] == [
        "base",
        "mlm-en-imp-s0",
        "mlm-en-imp-s1",
        "mlm-en-random-s0",
        "mlm-sw-imp-s0",
        "mlm-sw-imp-s1",
        "mlm-sw-random-s0",
    ]
    assert atlas.problems() == []
    assert atlas.stamps() == {header.key.stem: header.content_hash for header in atlas.headers()}
    assert {header.codec for header in atlas.headers() if header.key.method == "imp"} == {"grouped"}
    for header in atlas.headers():
        assert atlas.has(header.key)
        assert atlas.header(header.key) is header
        assert atlas.ticket(header.key).content_hash == header.content_hash
    assert atlas.base().content_hash == atlas.stamps()["base"]
    assert atlas.verify() == []


def test_a_ticket_that_is_not_there(atlas: Atlas) -> None:
    key = TicketKey("mlm", "fr", "imp", 0)
    assert not atlas.has(key)
    for ask in (atlas.header, atlas.ticket):
        with pytest.raises(LsnError, match="atlas atlas has no ticket mlm-fr-imp-s0"):
            ask(key)


def test_create_and_open(tmp_path: Path) -> None:
    layout = small_layout()
    folder = tmp_path / "a" / "b"
    Atlas.create(folder, MODEL, layout)
    again = Atlas.open(folder)
    assert (again.model, again.layout) == (MODEL, layout)
    assert not again.has_bits
    assert again.headers() == []
    assert again.base() is None
    with pytest.raises(LsnError, match="is an atlas already"):
        Atlas.create(folder, MODEL, layout)
    assert Atlas.open_or_create(folder, MODEL, layout).path == folder
    assert Atlas.open_or_create(tmp_path / "new", MODEL, layout).layout == layout
    assert Atlas.open(tmp_path / "new").model == MODEL


def test_an_atlas_of_another_model_is_refused(atlas: Atlas) -> None:
    with pytest.raises(
        LsnError, match=r"is an atlas of another model \(synthetic, not mine with these weights\)"
    ):
        Atlas.open_or_create(atlas.path, {"name": "mine", "fingerprint": "00"}, atlas.layout)
    with pytest.raises(LsnError, match="over other matrices"):
        Atlas.open_or_create(atlas.path, MODEL, odd_layout())


def test_what_is_no_atlas_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LsnError, match="is not an atlas"):
        Atlas.open(tmp_path / "nowhere")
    with pytest.raises(LsnError, match="is not an atlas"):
        Atlas.open(tmp_path)
    (tmp_path / "atlas.json").mkdir()
    with pytest.raises(LsnError, match="not a plain file"):
        Atlas.open(tmp_path)
    (tmp_path / "file").write_text("text")
    for make in (Atlas.create, Atlas.open_or_create):
        with pytest.raises(LsnError, match="cannot be written to"):
            make(tmp_path / "file", MODEL, odd_layout())
    for model in ({}, {"name": "x"}, {"name": "x", "fingerprint": 3}, None):
        with pytest.raises(LsnError, match="name and fingerprint"):
            Atlas.create(tmp_path / "c", model, odd_layout())
    with pytest.raises(LsnError, match="JSON"):
        Atlas.create(tmp_path / "c", {**MODEL, "made by": object()}, odd_layout())
    assert not (tmp_path / "c" / "atlas.json").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"[]",
        b"3",
        b'{"format_version":1}',
        b'{"format_version":1,"model":{},"layout":[],"seal":""}',
        b'{"format_version":1,"model":NaN,"layout":[],"seal":""}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_damaged_description_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "atlas.json").write_bytes(data)
    with pytest.raises(CorruptFile, match=r"atlas\.json is damaged") as caught:
        Atlas.open(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_newer_or_huge_description_is_refused(tmp_path: Path) -> None:
    (tmp_path / "atlas.json").write_text('{"format_version":2}')
    with pytest.raises(LsnError, match="atlas format 2; this version reads 1"):
        Atlas.open(tmp_path)
    with open(tmp_path / "atlas.json", "wb") as stream:
        stream.truncate(10**10)  # no byte of it is on the disk
    with pytest.raises(LsnError, match="larger than"):
        Atlas.open(tmp_path)


def test_a_flipped_bit_anywhere_in_the_description_is_found(atlas: Atlas) -> None:
    file = atlas.path / "atlas.json"
    good = file.read_bytes()
    for place in range(0, len(good), 3):
        file.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(LsnError, match=r"atlas\.json"):
            Atlas.open(atlas.path)
    assert [problem.path for problem in atlas.verify()] == [file]


@pytest.mark.parametrize("stem", ["base", "mlm-en-imp-s1", "mlm-sw-random-s0"])
@pytest.mark.parametrize("place", [3, 100, -1])
def test_a_damaged_ticket_is_named_and_the_others_serve_on(atlas: Atlas, stem: str, place: int) -> None:
    stems = set(atlas.stamps())
    file = ticket_file(atlas, stem)
    flip(file, place)
    assert set(atlas.stamps()) == stems - {stem}
    (problem,) = atlas.problems()
    assert problem.path == file
    assert str(file) in problem.message
    assert "damaged" in problem.message
    assert "\n" not in problem.message
    assert not atlas.has(TicketKey.from_stem(stem))
    with pytest.raises(CorruptFile, match="damaged"):
        atlas.ticket(TicketKey.from_stem(stem))
    if stem == "base":
        assert atlas.base() is None
        with pytest.raises(LsnError, match="which is missing or damaged; put it back"):
            atlas.ticket(EN)
    else:
        assert atlas.ticket(EN).key == EN
    named = {problem.path.name for problem in atlas.verify()}
    assert file.name in named
    assert {"overlap.parquet", "scores.parquet"} <= named  # they hold counts of a ticket that is no more
    flip(file, place)
    assert set(atlas.stamps()) == stems
    assert atlas.verify() == []


def test_verify_finds_what_was_changed_behind_the_clock(atlas: Atlas) -> None:
    file = ticket_file(atlas, "mlm-en-imp-s0")
    status = file.stat()
    assert atlas.problems() == []
    flip(file, -9)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file in [problem.path for problem in atlas.verify()]
    assert [problem.path for problem in atlas.problems()] == [file]


def test_verify_reports_its_progress(atlas: Atlas) -> None:
    seen = []
    atlas.verify(lambda done, total, file: seen.append((done, total, file.name)))
    assert [done for done, _, _ in seen] == list(range(10))
    assert {total for _, total, _ in seen} == {10}
    assert seen[0][2] == "atlas.json"


def test_stray_files_in_the_tickets_folder(atlas: Atlas, tmp_path: Path) -> None:
    folder = atlas.path / "tickets"
    (folder / "notes.txt").write_text("mine")
    (folder / ".mlm-en-imp-s7.safetensors.00ff.tmp").write_text("half")
    assert atlas.problems() == []
    (folder / "folder.safetensors").mkdir()
    (folder / "mlm-xx-imp-s0.safetensors").write_text("text")
    (folder / "gone.safetensors").symlink_to(tmp_path / "nothing")
    shutil.copy(ticket_file(atlas, "mlm-en-imp-s0"), folder / "mlm-en-imp-s9.safetensors")
    problems = {problem.path.stem: problem.message for problem in atlas.problems()}
    assert set(problems) == {"folder", "mlm-xx-imp-s0", "gone", "mlm-en-imp-s9"}
    assert "not a plain file" in problems["folder"]
    assert "damaged" in problems["mlm-xx-imp-s0"]
    assert "no such file" in problems["gone"]
    assert "holds ticket mlm-en-imp-s0; give it back that name" in problems["mlm-en-imp-s9"]
    assert len(atlas.headers()) == 7
    assert {problem.path.stem for problem in atlas.verify()} == set(problems)


def test_tickets_of_another_model_or_layout_do_not_belong(atlas: Atlas, tmp_path: Path) -> None:
    for name, model, layout in [
        ("weights", {**MODEL, "fingerprint": "00"}, atlas.layout),
        ("shape", MODEL, odd_layout()),
    ]:
        other = Atlas.create(tmp_path / name, model, layout)
        ticket = make_ticket(TicketKey("mlm", name, "imp", 0), layout, np.arange(layout.size))
        ticket = dataclasses.replace(ticket, provenance={"model": dict(model), "recipe": {}})
        other.save(ticket)
        with pytest.raises(LsnError, match=r"of another model|other matrices"):
            atlas.save(ticket)
        shutil.copy(ticket_file(other, ticket.key.stem), atlas.path / "tickets")
    messages = sorted(problem.message for problem in atlas.problems())
    assert "a ticket over the matrices of another model" in messages[0]
    assert "is of another model, 'synthetic' with other weights" in messages[1]
    assert len(atlas.headers()) == 7
    nameless = dataclasses.replace(some_ticket(atlas, EN), provenance={})
    with pytest.raises(LsnError, match="does not say which model it is of"):
        atlas.save(nameless)


def test_tickets_of_another_recipe_are_refused(atlas: Atlas) -> None:
    fr = TicketKey("mlm", "fr", "imp", 0)
    with pytest.raises(LsnError, match=r"otherwise than mlm-en-imp-s0 \(steps 60, not 30\)"):
        atlas.save(some_ticket(atlas, fr, steps=60, criterion="magnitude"))
    assert not atlas.has(fr)
    atlas.save(some_ticket(atlas, dataclasses.replace(fr, task="ner"), steps=60))
    atlas.save(some_ticket(atlas, dataclasses.replace(fr, method="oneshot"), steps=60))
    path = atlas.save(some_ticket(atlas, fr))
    assert path == ticket_file(atlas, "mlm-fr-imp-s0")
    assert atlas.has(fr)
    assert Atlas.open(atlas.path).ticket(fr).content_hash == atlas.ticket(fr).content_hash


def test_a_base_ticket_that_others_hang_on_is_not_replaced(atlas: Atlas) -> None:
    base = atlas.base()
    atlas.save(base)
    with pytest.raises(LsnError, match="mlm-en-imp-s0 is stored against another base ticket"):
        atlas.save(dataclasses.replace(base, config_hash="other"))
    assert atlas.verify() == []


def test_a_lost_or_exchanged_base_ticket_is_named(atlas: Atlas, tmp_path: Path) -> None:
    ticket_file(atlas, "base").unlink()
    assert atlas.problems() == []
    with pytest.raises(LsnError, match="which is missing or damaged; put it back"):
        atlas.ticket(EN)
    assert atlas.ticket(TicketKey("mlm", "en", "random", 0)).philox_key is not None
    other = Atlas.create(tmp_path / "other", MODEL, atlas.layout)
    other.save(make_ticket(BASE_KEY, atlas.layout, np.arange(atlas.layout.size)))
    shutil.copy(ticket_file(other, "base"), atlas.path / "tickets")
    with pytest.raises(LsnError, match="; put the right one back"):
        atlas.ticket(EN)
    named = {problem.path.name for problem in atlas.verify()}
    assert {"mlm-en-imp-s0.safetensors", "mlm-sw-imp-s1.safetensors"} <= named
    assert "mlm-en-random-s0.safetensors" not in named


def test_a_changed_ticket_is_read_anew(atlas: Atlas) -> None:
    other = Atlas.open(atlas.path)
    before = atlas.header(EN).content_hash
    other.save(some_ticket(atlas, EN))
    assert atlas.header(EN).content_hash == other.header(EN).content_hash != before


def test_a_read_only_atlas_can_be_read(atlas: Atlas) -> None:
    entries = [atlas.path, *atlas.path.rglob("*")]
    shutil.rmtree(atlas.path / ".locks")
    before = {entry: entry.stat().st_mtime_ns for entry in entries if entry.exists()}
    again = Atlas.open(atlas.path)
    assert again.verify() == []
    assert again.read_table("overlap") is not None
    assert {entry: entry.stat().st_mtime_ns for entry in [atlas.path, *atlas.path.rglob("*")]} == before


def test_find_atlases(tmp_path: Path) -> None:
    assert find_atlases(tmp_path / "nowhere") == []
    for name in ("b", "a"):
        Atlas.create(tmp_path / name, MODEL, odd_layout())
    Atlas.create(tmp_path / "x" / "deeper", MODEL, odd_layout())
    (tmp_path / "empty").mkdir()
    assert find_atlases(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert find_atlases(tmp_path / "a") == [tmp_path / "a"]


def test_runs_have_a_folder(atlas: Atlas) -> None:
    folder = atlas.runs_dir("0a1b")
    assert folder == atlas.path / "runs" / "0a1b"
    assert folder.is_dir()
    assert atlas.runs_dir("0a1b") == folder
    for name in ("../up", "", "a/b", ".hidden", "a" * 300):
        for ask in (atlas.runs_dir, atlas.read_table):
            with pytest.raises(LsnError, match="cannot be used as a file name"):
                ask(name)


def hold(path: Path, held: multiprocessing.synchronize.Event, seconds: float) -> None:
    with Atlas.open(path).lock("mlm-en"):
        held.set()
        time.sleep(seconds)


def compute_once(path: Path, log: Path) -> None:
    """What discovery does with a ticket: look, lock, look again, compute."""
    atlas = Atlas.open(path)
    key = TicketKey("mlm", "fr", "imp", 0)
    with atlas.lock(key.stem):
        if not atlas.has(key):
            with open(log, "a") as stream:
                stream.write(f"{os.getpid()}\n")
            time.sleep(0.3)
            atlas.save(some_ticket(atlas, key))
    assert atlas.ticket(key).key == key


def test_one_process_computes_and_the_others_wait(atlas: Atlas, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    processes = [context.Process(target=compute_once, args=(atlas.path, log)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(log.read_text().splitlines()) == 1


def test_a_lock_is_refused_when_the_time_is_up_and_free_after_a_kill(atlas: Atlas) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=hold, args=(atlas.path, held, 60))
    process.start()
    assert held.wait(60)
    with pytest.raises(LsnError, match="another process holds"), atlas.lock("mlm-en", timeout=0.1):
        pytest.fail("the lock was free")
    with atlas.lock("mlm-sw", timeout=0.1):  # another lock is not held
        pass
    process.kill()
    process.join(60)
    with atlas.lock("mlm-en", timeout=10):
        pass
    with atlas.lock("mlm-en", timeout=0.1):  # and was let go of
        pass


def write_for_ever(path: Path, started: multiprocessing.synchronize.Event) -> None:
    atlas = Atlas.open(path)
    tickets = [
        make_ticket(EN, atlas.layout, np.random.default_rng(seed).random(atlas.layout.size))
        for seed in (1, 2)
    ]
    while True:
        for ticket in tickets:
            atlas.save(ticket)
            started.set()


def test_a_writer_killed_at_any_moment_leaves_a_whole_ticket(atlas: Atlas) -> None:
    context = multiprocessing.get_context("spawn")
    rng = np.random.default_rng(0)
    for _ in range(4):
        started = context.Event()
        process = context.Process(target=write_for_ever, args=(atlas.path, started))
        process.start()
        assert started.wait(60)
        time.sleep(rng.random() / 10)
        process.kill()
        process.join(60)
        again = Atlas.open(atlas.path)
        assert again.problems() == []
        assert again.ticket(EN).content_hash == again.stamps()[EN.stem]


def test_an_error_inside_the_lock_is_passed_on_and_lets_go(atlas: Atlas) -> None:
    with pytest.raises(OSError, match="disk"), atlas.lock("x"):
        raise OSError("the disk is on fire")
    with atlas.lock("x", timeout=0.1):
        pass


def test_the_description_is_readable_json(atlas: Atlas) -> None:
    data = json.loads((atlas.path / "atlas.json").read_text())
    assert data["model"] == MODEL
    assert data["layout"][0] == {
        "name": "encoder.layer.0.query.weight",
        "shape": [16, 16],
        "stack": "encoder",
        "layer": 0,
        "component": "query",
    }
