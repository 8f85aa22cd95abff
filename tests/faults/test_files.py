"""Files of an atlas that are cut short, changed, exchanged or unreadable, and disks, clocks and others in the way.

Whatever becomes of a file: it is named, and the numbers that are shown are those of the intact ones, or none.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lsn_core.analysis.counts import Counts, load_counts
from lsn_core.analysis.tables import refresh, scores_table
from lsn_core.errors import LsnError
from lsn_core.jobs.board import Board, job_id
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import TRANSFER, Cell, gather, has_cell, read_rows, rebuild, save_cell
from lsn_core.masks.files import atomic_write_bytes
from lsn_core.masks.ticket import BASE_KEY, Ticket, TicketKey
from tests.synthetic import MODEL, make_atlas, make_ticket, small_layout
from tests.synthetic_atlas import write_transfer

LANGUAGES = ("en", "de", "sw")
LEVELS = (0.3, 0.5)
LAYOUT = small_layout(1, 8)
EN = TicketKey("mlm", "en", "imp", 0)

Harm = Callable[[Path, Path], None]


def _cut(file: Path, other: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _empty(file: Path, other: Path) -> None:
    file.write_bytes(b"")


def _flip(file: Path, other: Path) -> None:
    data = bytearray(file.read_bytes())
    data[2 * len(data) // 3] ^= 4
    file.write_bytes(data)


def _exchange(file: Path, other: Path) -> None:
    shutil.copy(other, file)


def _unreadable(file: Path, other: Path) -> None:
    """What nobody can read, be it root: a folder in its place."""
    file.unlink()
    file.mkdir()


def _dangling(file: Path, other: Path) -> None:
    file.unlink()
    file.symlink_to(file.with_name("nowhere"))


HARMS = (_cut, _empty, _flip, _exchange, _unreadable, _dangling)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An atlas with tickets, tables and cells."""
    atlas = make_atlas(tmp_path_factory.mktemp("whole") / "atlas", LANGUAGES, levels=LEVELS, layout=LAYOUT)
    write_transfer(atlas, LANGUAGES)
    for code in LANGUAGES:
        save_cell(atlas, TRANSFER, _cell(atlas, code))
    assert atlas.verify() == []
    return atlas.path


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "atlas")


def _cell(atlas: Atlas, code: str) -> Cell:
    row = {
        **{
            "kind": "task",
            "task": "mlm",
            "source_task": "pos",
            "source": code,
            "control": "",
            "target": code,
        },
        **{"seed": 0, "sparsity": 0.5, "metric": "top-1", "value": 0.5, "count": 9, "split": "test"},
    }
    stem = f"mlm-{code}-imp-s0"
    return Cell({**row, "settings": {"steps": 3}}, {stem: atlas.stamps()[stem]}, (row,))


def _agrees(some: Counts, everything: Counts) -> None:
    """The counts of some tickets are those that they had among all; with the base ticket, or without it."""
    among = everything.select(some.tickets)
    np.testing.assert_array_equal(some.pair, among.pair)
    if some.in_reference is not None:
        np.testing.assert_array_equal(some.in_reference, among.in_reference)


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("stem", ["base", "mlm-en-imp-s0", "mlm-de-imp-s1", "mlm-en-random-s0"])
def test_a_ticket(harm: Harm, stem: str, whole: Path, folder: Path) -> None:
    file = folder / "tickets" / f"{stem}.safetensors"
    harm(file, folder / "tickets" / "mlm-sw-imp-s0.safetensors")
    atlas, before = Atlas.open(folder), Atlas.open(whole)
    assert [problem.path for problem in atlas.problems()] == [file]
    assert file in {problem.path for problem in atlas.verify()}
    assert atlas.stamps() == {name: stamp for name, stamp in before.stamps().items() if name != stem}
    for method in ("imp", "random"):
        everything = load_counts(before, 0.5, "mlm", method)
        _agrees(load_counts(atlas, 0.5, "mlm", method), everything)
        # Without the tables the masks are counted, which are there or are not.
        for name in ("overlap", "scores"):
            (folder / f"{name}.parquet").unlink(missing_ok=True)
        if stem == "base" and method == "imp":
            with pytest.raises(LsnError, match="base ticket"):
                load_counts(atlas, 0.5, "mlm", method)
        else:
            _agrees(load_counts(atlas, 0.5, "mlm", method), everything)


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", ["overlap", "scores", "transfer"])
def test_a_table(harm: Harm, name: str, whole: Path, folder: Path) -> None:
    file = folder / f"{name}.parquet"
    harm(file, folder / ("scores.parquet" if name == "overlap" else "overlap.parquet"))
    atlas, before = Atlas.open(folder), Atlas.open(whole)
    _agrees(load_counts(atlas, 0.5), load_counts(before, 0.5))
    pd.testing.assert_frame_equal(scores_table(atlas), scores_table(before))
    with suppress(LsnError):
        rows = read_rows(atlas, TRANSFER)
        if len(rows):  # a link that leads nowhere is as good as no table
            pd.testing.assert_frame_equal(rows, read_rows(before, TRANSFER))
    found = gather(atlas, TRANSFER)
    assert set(found.frame["cell"]) >= {_cell(atlas, code).name for code in LANGUAGES}
    # One that was exchanged is sound, but not this one; the rest `verify` names by itself.
    named = {problem.path for problem in (*atlas.verify(), *found.problems)}
    assert file in named or harm is _exchange
    if harm is not _unreadable and name != "transfer":  # a folder is for a person to remove
        refresh(atlas)
        assert file not in {problem.path for problem in atlas.verify()}


@pytest.mark.parametrize("harm", HARMS)
def test_a_cell(harm: Harm, folder: Path) -> None:
    atlas = Atlas.open(folder)
    first, second, third = (_cell(atlas, code) for code in LANGUAGES)
    place = folder / "transfer"
    harm(place / f"{first.name}.json", place / f"{second.name}.json")
    found = gather(atlas, TRANSFER)
    assert [problem.path.stem for problem in found.problems] == [first.name]
    assert first.name not in set(found.frame["cell"])
    assert {second.name, third.name} <= set(found.frame["cell"])
    assert not has_cell(atlas, TRANSFER, first.name)
    assert has_cell(atlas, TRANSFER, second.name)


@pytest.mark.parametrize("harm", HARMS)
def test_the_description(harm: Harm, folder: Path, tmp_path: Path) -> None:
    other = Atlas.create(tmp_path / "other", {**MODEL, "fingerprint": "00"}, LAYOUT)
    harm(folder / "atlas.json", other.path / "atlas.json")
    if harm is _exchange:  # a sound description, of another model: no ticket here is of that
        assert Atlas.open(folder).headers() == []
        return
    with pytest.raises(LsnError, match=r"atlas\.json"):
        Atlas.open(folder)


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", ["job.json", "process.json", "state.json", "stop.json", "log.txt"])
def test_the_record_of_a_run(harm: Harm, name: str, tmp_path: Path) -> None:
    board = Board(tmp_path / "masks")
    ids = []
    for atlas in ("one", "two"):
        argv = ["discover", "--atlas", f"masks/{atlas}"]
        home = tmp_path / "masks" / ".jobs" / job_id(argv)
        ids.append(home.name)
        words = ", ".join(f'"{word}"' for word in argv)
        sound = {
            "job.json": f'{{"command": [{words}], "atlas": "{atlas}", "begun": 5.5}}',
            "process.json": '{"pid": 4194309, "birth": "never", "log_from": 0}',
            "state.json": '{"format_version": 1, "pid": 0, "state": "stopped", "begun": 1, "changed": 2, "tickets": []}',
            "stop.json": '{"asked": 6.5}',
            "log.txt": "lsn_core: something was wrong.\n",
        }
        home.mkdir(parents=True)
        for file, content in sound.items():
            (home / file).write_text(content)
    assert {job.id for job in board.jobs()} == set(ids)
    first, second = (tmp_path / "masks" / ".jobs" / each / name for each in ids)
    harm(first, second)
    jobs = {job.id: job for job in board.jobs()}
    gone = {ids[0]} if name == "job.json" and harm is _dangling else set()  # nothing tells that it was one
    assert set(ids) - gone == jobs.keys() | set(board.damaged())
    assert ids[1] in jobs
    if name == "job.json" and harm is not _dangling:
        assert board.damaged() == [ids[0]]
    for job in jobs.values():
        assert job_id(job.command) == job.id
        assert not job.alive
        with suppress(LsnError):
            board.log(job.id)
    for each in board.damaged():
        board.forget(each)
    assert board.damaged() == []


# ---------------------------------------------------------------- full disks


def _save_tickets(path: Path, told: Path, count: int) -> None:
    """Save tickets until the disk is full; each is written down elsewhere once it is said to be there."""
    atlas = Atlas.open(path)
    rng = np.random.default_rng(0)
    with open(told, "w") as stream:
        for number in range(count):
            key = TicketKey("mlm", "en", "imp", number)
            try:
                atlas.save(make_ticket(key, LAYOUT, rng.random(LAYOUT.size), LEVELS))
            except LsnError as error:
                print(f"refused: {error}", file=stream)
                return
            print(key.stem, file=stream, flush=True)
        print("never refused", file=stream)


def _check_what_was_told(path: Path, told: Path) -> int:
    *stems, last = told.read_text().splitlines()
    assert last.startswith("refused: ")
    assert "cannot be written" in last
    atlas = Atlas.open(path)
    assert set(stems) | {"base"} >= set(atlas.stamps()) >= set(stems)
    assert atlas.problems() == []
    assert atlas.verify() == []
    assert [file.name for file in (path / "tickets").iterdir() if file.name.startswith(".")] == []
    return len(stems)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 128 KiB, where making one is allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_small_disk_that_fills_up(small_disk: Path, tmp_path: Path) -> None:
    Atlas.create(small_disk / "atlas", MODEL, LAYOUT)
    _save_tickets(small_disk / "atlas", tmp_path / "told", 1000)
    kept = _check_what_was_told(small_disk / "atlas", tmp_path / "told")
    assert kept > 3
    atlas = Atlas.open(small_disk / "atlas")
    with pytest.raises(LsnError, match=r"cannot be written: no space left"):
        atomic_write_bytes(small_disk / "more", bytes(2**18))
    for key in sorted(header.key for header in atlas.headers())[3:]:
        (atlas.path / "tickets" / f"{key.stem}.safetensors").unlink()
    refresh(atlas)
    assert atlas.verify() == []


def _within(limit: int, path: Path, told: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    _save_tickets(path, told, 3)


def test_no_file_may_be_so_large(tmp_path: Path) -> None:
    """The system writes as many bytes as are allowed, and no more: half a file, as on a disk that fills up."""
    Atlas.create(tmp_path / "atlas", MODEL, LAYOUT)
    child = multiprocessing.get_context("spawn").Process(
        target=_within, args=(1000, tmp_path / "atlas", tmp_path / "told")
    )
    child.start()
    child.join(120)
    assert child.exitcode == 0
    assert _check_what_was_told(tmp_path / "atlas", tmp_path / "told") == 0


# ---------------------------------------------------------------- clocks


def test_a_clock_that_was_set_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files from the future, and a day that comes again: what is newer is not asked of the clock."""
    ahead = time.time() + 86_400
    for file in folder.rglob("*"):
        os.utime(file, (ahead, ahead))
    atlas = Atlas.open(folder)
    before = atlas.header(EN).content_hash
    assert atlas.verify() == []
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    changed = make_ticket(EN, LAYOUT, np.random.default_rng(5).random(LAYOUT.size), LEVELS)
    atlas.save(changed)
    os.utime(folder / "tickets" / f"{EN.stem}.safetensors", (1000.0, 1000.0))
    assert atlas.header(EN).content_hash == changed.content_hash != before
    # The tables are newer by the clock, and older in truth: their stamps tell.
    own = load_counts(atlas, 0.5).select([EN]).pair[0, 0]
    np.testing.assert_array_equal(own, changed.kept[LEVELS.index(0.5)])
    assert refresh(atlas)
    assert {problem.path.stem for problem in atlas.verify()} == {"transfer"}  # is of the ticket before


def test_a_writer_of_tomorrow_is_not_taken_for_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = tmp_path / ".t.00ff.tmp"
    busy.write_bytes(b"half")
    monkeypatch.setattr(time, "time", lambda: os.stat(busy).st_mtime - 86_400)
    atomic_write_bytes(tmp_path / "t", b"whole")
    assert busy.exists()
    assert (tmp_path / "t").read_bytes() == b"whole"


# ---------------------------------------------------------------- others at work


def _keep_saving(path: Path, seed: int, rounds: int) -> None:
    """Save one of two tickets under each of two keys again and again, and bring the tables in line."""
    atlas = Atlas.open(path)
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        key = TicketKey("mlm", str(rng.choice(["en", "de"])), "imp", 0)
        atlas.save(_one_of_two(key, int(rng.integers(2))))
        refresh(atlas)


def _one_of_two(key: TicketKey, which: int) -> Ticket:
    rng = np.random.default_rng([which, len(key.language), ord(key.language[0])])
    return make_ticket(key, LAYOUT, rng.random(LAYOUT.size), LEVELS)


def test_two_writers_and_a_reader_at_once(tmp_path: Path) -> None:
    """A reader finds, at every moment, counts of tickets that were there; what is left in the end is in line."""
    atlas = Atlas.create(tmp_path / "atlas", MODEL, LAYOUT)
    keys = [TicketKey("mlm", code, "imp", 0) for code in ("de", "en")]
    atlas.save(make_ticket(BASE_KEY, LAYOUT, np.arange(LAYOUT.size, dtype=float), LEVELS))
    for key in keys:
        atlas.save(_one_of_two(key, 0))
    refresh(atlas)
    masks = [[_one_of_two(key, which).mask(0.5) for which in (0, 1)] for key in keys]
    possible = {tuple((first & second).counts.tolist()) for first in masks[0] for second in masks[1]}
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_keep_saving, args=(atlas.path, seed, 25)) for seed in (1, 2)]
    for writer in writers:
        writer.start()
    reads = 0
    while any(writer.is_alive() for writer in writers):
        again = Atlas.open(atlas.path)
        assert again.problems() == []
        assert tuple(load_counts(again, 0.5).pair[0, 1].tolist()) in possible
        found = again.read_table("overlap")
        assert found is not None
        reads += 1
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert reads > 3
    refresh(atlas)
    assert Atlas.open(atlas.path).verify() == []


def _write_cells(path: Path, codes: tuple[str, ...]) -> None:
    atlas = Atlas.open(path)
    for code in codes:
        save_cell(atlas, TRANSFER, _cell(atlas, code))
        rebuild(atlas, TRANSFER)


def test_two_that_measure_the_same_cells(tmp_path: Path) -> None:
    atlas = make_atlas(tmp_path / "atlas", LANGUAGES, levels=LEVELS, layout=LAYOUT)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_cells, args=(atlas.path, LANGUAGES)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0]
    rows = read_rows(atlas, TRANSFER)
    assert sorted(rows["cell"]) == sorted(_cell(atlas, code).name for code in LANGUAGES)
    assert atlas.verify() == []
