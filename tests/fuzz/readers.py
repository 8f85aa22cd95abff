"""Every reader of the software with the inputs it is put to: the table that the fuzzing goes through."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import shutil
import struct
import warnings
import zipfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lsn_core.analysis import provenance
from lsn_core.analysis.card import NOTE_FILE, write_card
from lsn_core.analysis.card_cells import core_lines, transfer_lines
from lsn_core.analysis.core_scores import core_scores, scored_cores
from lsn_core.analysis.counts import catalogue, load_counts
from lsn_core.analysis.findings import (
    ACROSS,
    CORE,
    DISTANCE,
    NEUTRALITY,
    OTHERS,
    OWN,
    RELATIVES,
    SAME_TASK,
    TRANSFER,
    Finding,
    read_findings,
    sentences,
    sources,
    write_findings,
)
from lsn_core.analysis.keepers import keepers_row, read_keepers, refresh_keepers
from lsn_core.analysis.overlap import overlap_table
from lsn_core.analysis.tables import scores_table
from lsn_core.analysis.transfer import transfer_matrix
from lsn_core.cli import inspect as inspect_verb
from lsn_core.data.opening import open_source
from lsn_core.durations import duration
from lsn_core.errors import LsnError
from lsn_core.jobs.board import Board, command_line, job_id
from lsn_core.jobs.snapshot import DONE, Snapshot, TicketState, write_snapshot
from lsn_core.masks import cells, container, tables
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.foreign import reading
from lsn_core.masks.foreign.received import inspect_received, suggestion
from lsn_core.masks.stored import StoredMask, store
from lsn_core.masks.ticket import BASE_KEY, Score, Ticket, TicketKey
from lsn_core.masks.ticket_file import read_header, read_ticket, write_ticket
from lsn_core.ui.address import Address
from lsn_core.ui.catalogue import Catalogue
from tests.fuzz.engine import (
    MEMORY_ROOM,
    Escaped,
    Reader,
    Target,
    check_sentence,
    mutate,
    mutate_json,
    odd_value,
)
from tests.fuzz.fork_server import ForkServer
from tests.synthetic import make_atlas, random_mask, small_layout
from tests.synthetic_atlas import write_transfer

LAYOUT = small_layout(1, 8)
LEVELS = (0.3, 0.5, 0.8)
LANGUAGES = ("en", "de", "sw")


def _atlas(folder: Path) -> Atlas:
    return make_atlas(folder / "atlas", LANGUAGES, seeds=(0,), levels=LEVELS, layout=LAYOUT)


def _inspect_verb() -> Callable[[Path], int]:
    """The verb `inspect`, its parser made once."""
    parser = argparse.ArgumentParser()
    inspect_verb.add_verbs(parser.add_subparsers())

    def run(folder: Path) -> int:
        arguments = parser.parse_args(["inspect", str(folder)])
        return arguments.run(arguments)

    return run


_INSPECT = _inspect_verb()


# ---------------------------------------------------------------- tickets and atlases


def _tickets(folder: Path) -> Target:
    """The file of a ticket, in all of its codes, with what looks at an atlas that holds it."""
    atlas = _atlas(folder)
    keys = (BASE_KEY, *(TicketKey("mlm", "en", method, 0) for method in ("imp", "random")))
    files = {key.stem: atlas.path / "tickets" / f"{key.stem}.safetensors" for key in keys}
    base = atlas.base()
    place = files["mlm-en-imp-s0"]

    def read(data: bytes) -> None:
        place.write_bytes(data)
        told = Atlas.open(atlas.path)
        for problem in told.problems():
            check_sentence(problem.message)
        _look_at(told)
        read_header(place, check_parts=True)
        with suppress(LsnError):
            read_ticket(place)  # as someone does who has the file alone
        read_ticket(place, base, atlas.layout)

    return Target([file.read_bytes() for file in files.values()], read, _forged_ticket)


def _forged_ticket(data: bytes, rng: random.Random) -> bytes:
    """The ticket with its JSON or a coded part changed, and hashes and seal as they have to be."""
    stream = io.BytesIO(data)
    shell = container.read_shell(stream, Path("ticket"))
    parts = container.read_parts(stream, shell)
    header = json.loads(shell.metadata)
    del header["seal"]
    if parts and rng.random() < 0.4:
        name = rng.choice(sorted(parts))
        parts[name] = mutate(parts[name], rng, list(parts.values()))
        header["parts"][name][1] = hashlib.sha256(parts[name]).hexdigest()
    else:
        header = mutate_json(header, rng)
    with suppress(TypeError, ValueError):
        header["seal"] = hashlib.sha256(f"seal\n{container.canonical_json(header)}".encode()).hexdigest()
    return container.build(json.dumps(header, sort_keys=True, separators=(",", ":")), parts)


def _provenances(folder: Path) -> Target:
    """What a sound ticket says of its making: anything at all."""
    from lsn_core.discovery.runs import recipe_of

    atlas = _atlas(folder)
    key = TicketKey("mlm", "en", "imp", 0)
    ticket = atlas.ticket(key)
    place = atlas.path / "tickets" / f"{key.stem}.safetensors"

    def read(data: bytes) -> None:
        about = container.parse_json(data)
        if not isinstance(about, dict):
            return
        about["model"] = ticket.provenance["model"]
        made = Ticket(
            key, ticket.layout, ticket.levels, ticket.survival, ticket.scores, about, ticket.config_hash
        )
        write_ticket(place, made, atlas.base())
        told = Atlas.open(atlas.path)
        header = told.header(key)
        write_card(told)
        _look_at(told)
        recipe_of(header)

    training = {"steps": 60, "batch_size": 16, "learning_rate": 5e-4, "max_length": 64, "train_lines": 64}
    about = {
        "recipe": {"task": "mlm", "method": "imp", "rounds": 3, "scope": "global", "training": training},
        "data": {"name": "cldr", "fingerprint": "0" * 64},
        "imported": {"file": "mask.pt", "sha256": "1" * 64, "kept": 5},
        "versions": {"torch": "2.0"},
        "created": "2024-05-01T12:00:00Z",
        "device": "cpu",
        "seconds": 1.5,
    }
    return Target([json.dumps(about).encode()], read, _forged_json)


def _forged_json(data: bytes, rng: random.Random) -> bytes:
    return json.dumps(mutate_json(json.loads(data), rng)).encode()


def _descriptions(folder: Path) -> Target:
    """``atlas.json``."""
    atlas = _atlas(folder)
    place = atlas.path / "atlas.json"

    def read(data: bytes) -> None:
        place.write_bytes(data)
        told = Atlas.open(atlas.path)
        for problem in told.verify():
            check_sentence(problem.message)
        _look_at(told)

    def forge(data: bytes, rng: random.Random) -> bytes:
        about = json.loads(data)
        about.pop("seal", None)
        about = mutate_json(about, rng)
        if not isinstance(about, dict):
            return json.dumps(about).encode()
        with suppress(TypeError, ValueError):
            about["seal"] = hashlib.sha256(f"atlas\n{container.canonical_json(about)}".encode()).hexdigest()
        return json.dumps(about, sort_keys=True, separators=(",", ":")).encode()

    return Target([place.read_bytes()], read, forge)


def _look_at(atlas: Atlas) -> None:
    """What pages and verbs ask of an atlas; LsnError where something is not to be had."""
    there = catalogue(atlas)
    Catalogue.of(there)
    provenance.origin(atlas, list(there), 0.5)
    assert atlas.model_everywhere is None or isinstance(atlas.model_everywhere, str)
    scores_table(atlas)
    with redirect_stdout(io.StringIO()) as said, redirect_stderr(io.StringIO()):
        code = _INSPECT(atlas.path)
    assert code == 0
    assert said.getvalue().startswith("atlas ")
    with suppress(LsnError):
        overlap_table(load_counts(atlas, 0.5, "mlm"), "component")


# ---------------------------------------------------------------- tables and cells


def _tables(name: str, folder: Path) -> Target:
    """A table as parquet, sealed or not, in an atlas with its tickets and in one that ships tables alone."""
    atlas = _atlas(folder)
    write_transfer(atlas, LANGUAGES, seeds=(0,))
    _write_core(atlas)
    write_findings(atlas, _some_findings(), sources(atlas))
    refresh_keepers(atlas)
    shutil.copytree(atlas.path, folder / "bare")
    shutil.rmtree(folder / "bare" / "tickets")
    places = [where / f"{name}.parquet" for where in (atlas.path, folder / "bare")]
    found = atlas.read_table(name)
    assert found is not None
    frame, stamps = found
    look = {
        "transfer": _look_at_transfer,
        "core": _look_at_cores,
        "findings": _look_at_findings,
        "keepers": _look_at_keepers,
    }.get(name, _look_at)

    def read(data: bytes) -> None:
        told = ""
        for place in places:
            place.write_bytes(data)
            opened = Atlas.open(place.parent)
            try:
                look(opened)
            except LsnError as error:
                told = str(error)
        for problem in Atlas.open(folder / "bare").verify():
            check_sentence(problem.message)
        tables.read(places[0])
        if told:
            raise LsnError(told)

    def forge(_: bytes, rng: random.Random) -> bytes:
        scratch = folder / "scratch.parquet"
        for _again in range(20):
            with suppress(LsnError, ValueError, TypeError, OverflowError, pa.ArrowException):
                tables.write(scratch, _odd_frame(frame, rng), stamps)
                return scratch.read_bytes()
        return b""

    return Target([places[0].read_bytes()], read, forge)


def _odd_frame(frame: pd.DataFrame, rng: random.Random) -> pd.DataFrame:
    """The table with a column, a value or its rows changed."""
    frame = frame.copy()
    column = rng.choice(list(frame.columns))
    action = rng.randrange(8)
    if action == 0:
        return frame.drop(columns=column)
    if action == 1:
        return frame.rename(columns={column: rng.choice(("", "x", str(frame.columns[0])))})
    if action == 2:
        return frame.iloc[rng.randrange(len(frame)) :: rng.choice((1, 2, -1))]
    if action == 3:
        return frame.iloc[:0]
    if action == 4:
        frame[column] = [odd_value(rng)] * len(frame)
        return frame
    if action == 5:
        return frame[list(reversed(frame.columns))]
    values = frame[column].astype(object).tolist()
    kind = type(values[0])
    for _ in range(rng.choice((1, 3, len(values)))):
        row = rng.randrange(len(values))
        if kind is np.ndarray:
            values[row] = rng.choice(
                (None, np.array([], int), np.array([-1] * len(values[row])), values[row] * 10**6)
            )
        elif kind is str:
            values[row] = rng.choice(
                ("", "zz", "../x", "a b", "mlm-zz-imp-s9", "base", "x" * 3000, None, "%")
            )
        else:
            values[row] = kind(rng.choice((0, -1, 1, 2**31, 2**62)))
            if kind is float and rng.random() < 0.4:
                values[row] = rng.choice((float("nan"), float("inf"), -1.0, 1e300, None))
    frame[column] = values
    return frame


def _some_findings() -> pd.DataFrame:
    """One answer to every question, as if it had been worked out."""
    answers = [
        *((NEUTRALITY, subject) for subject in ("total", "encoder.0", "encoder.1", "query", "key")),
        *(
            (RELATIVES, "neutrality"),
            (DISTANCE, "genealogy"),
            (TRANSFER, "jaccard"),
            (CORE, "random, 2 of en de sw"),
        ),
    ]
    rows = [Finding("mlm", 0.5, question, about, 0.4, 0.3, 0.5, 0.01, 3, 0.02) for question, about in answers]
    between = (OWN, OTHERS, SAME_TASK, f"{OWN} − {OTHERS}", f"{OWN} − {SAME_TASK}")
    rows += [Finding("mlm and ner", 0.5, ACROSS, about, 0.4, 0.3, 0.5, 0.01, 3, 0.02) for about in between]
    return pd.DataFrame([asdict(row) for row in rows])


def _write_core(atlas: Atlas) -> None:
    """A score of a core, as if it had been trained."""
    stems = " ".join(f"mlm-{code}-imp-s0" for code in LANGUAGES)
    rows = [
        {
            **{
                "task": "mlm",
                "members": " ".join(LANGUAGES),
                "at_least": 2,
                "control": control,
                "target": code,
            },
            **{
                "seed": 0,
                "sparsity": 0.5,
                "kept": 100,
                "metric": "top-1",
                "value": 0.5,
                "count": 9,
                "split": "test",
            },
            **{"tickets": stems, "settings": "0" * 12, "cell": f"{place:032x}"},
        }
        for place, code in enumerate(LANGUAGES)
        for control in ("", "random", "base")
    ]
    frame = pd.DataFrame(rows, columns=list(cells.CORE.columns)).astype(dict(cells.CORE.dtypes))
    stamps = atlas.stamps()
    atlas.write_table("core", frame, {stem: stamps[stem] for stem in stems.split()})


def _look_at_transfer(atlas: Atlas) -> None:
    rows = cells.read_rows(atlas, cells.TRANSFER)
    found = transfer_matrix(rows, "mask", "mlm", 0.5)
    found.loss(), found.donors(), found.difference("random"), found.seed_noise()
    list(transfer_lines(rows, "mlm"))


def _look_at_cores(atlas: Atlas) -> None:
    rows = cells.read_rows(atlas, cells.CORE)
    for which in scored_cores(rows, "mlm"):
        core_scores(rows, which).networks.difference("core", "random")
    list(core_lines(rows, "mlm"))


def _look_at_findings(atlas: Atlas) -> None:
    found = read_findings(atlas)
    if found is not None:
        list(sentences(found))


def _look_at_keepers(atlas: Atlas) -> None:
    table = read_keepers(atlas)
    counts = load_counts(atlas, 0.5, "mlm")
    found = keepers_row(table, counts.select(TicketKey("mlm", code, "imp", 0) for code in LANGUAGES))
    if found is not None:
        told, sizes = found
        assert (told.counts.sum(axis=0) == LAYOUT.sizes).all()
        assert sizes is not None
        whole = sizes.over("total")
        assert whole is not None
        assert whole.weights.sum() == LAYOUT.size
    refresh_keepers(atlas)


def _stored(folder: Path) -> Target:
    """A file of packed bits."""
    place = folder / "stored"
    made = store(folder / "sample", random_mask(LAYOUT, 0.5, np.random.default_rng(0)))

    def read(data: bytes) -> None:
        place.write_bytes(data)
        opened = StoredMask.open(place)
        mask = opened.load()
        assert mask.layout == opened.layout
        assert 0 <= mask.kept <= mask.layout.size

    def forge(data: bytes, rng: random.Random) -> bytes:
        stream = io.BytesIO(data)
        shell = container.read_shell(stream, place, "packed mask")
        parts = container.read_parts(stream, shell)
        header = json.loads(shell.metadata)
        del header["seal"]
        header = mutate_json(header, rng)
        with suppress(TypeError, ValueError):
            text = f"packed mask\n{container.canonical_json(header)}"
            header["seal"] = hashlib.sha256(text.encode()).hexdigest()
        return container.build(json.dumps(header, sort_keys=True, separators=(",", ":")), parts)

    return Target([made.path.read_bytes()], read, forge)


def _cells(folder: Path) -> Target:
    """The files of single measurements."""
    atlas = _atlas(folder)
    stamps = atlas.stamps()
    row = {
        **{
            "kind": "mask",
            "task": "mlm",
            "source_task": "mlm",
            "source": "en",
            "control": "",
            "target": "de",
        },
        **{"seed": 0, "sparsity": 0.5, "metric": "top-1", "value": 0.5, "count": 9, "split": "test"},
    }
    about = {**row, "format": 1, "settings": {"training": {"steps": 3}, "model": "m"}, "data": {"en": "0"}}
    cell = cells.Cell(about, {"mlm-en-imp-s0": stamps["mlm-en-imp-s0"]}, (row, {**row, "metric": "loss"}))
    cells.save_cell(atlas, cells.TRANSFER, cell)
    home = atlas.path / "transfer"
    sample = (home / f"{cell.name}.json").read_bytes()

    def read(data: bytes) -> None:
        shutil.rmtree(home)
        home.mkdir()
        about = container.parse_json(data)
        name = cell.name
        # As someone does who knows the format: a changed cell under the name that it has to have.
        with suppress(TypeError, ValueError, KeyError):
            name = cells.cell_name(about["about"], about["tickets"])
        (home / f"{name}.json").write_bytes(data)
        opened = Atlas.open(atlas.path)
        cells.has_cell(opened, cells.TRANSFER, name)
        found = cells.rebuild(opened, cells.TRANSFER)
        cells.check_settings(found, cells.TRANSFER, cell)
        with suppress(LsnError):
            _look_at_transfer(opened)
        for problem in found.problems:
            check_sentence(problem.message)
        (atlas.path / "transfer.parquet").unlink(missing_ok=True)
        if found.problems:
            raise LsnError(found.problems[0].message)

    def forge(data: bytes, rng: random.Random) -> bytes:
        content = json.loads(data)
        content.pop("seal", None)
        content = mutate_json(content, rng)
        if not isinstance(content, dict):
            return json.dumps(content).encode()
        with suppress(TypeError, ValueError):
            content["seal"] = hashlib.sha256(
                f"cell\n{container.canonical_json(content)}".encode()
            ).hexdigest()
        return json.dumps(content).encode()

    return Target([sample], read, forge)


def _notes(folder: Path) -> Target:
    """The text that a person puts beside an atlas."""
    atlas = _atlas(folder)
    sample = "# Made on a small machine\n\nNothing else: “näïve” text, 100 % 中文.\n".encode()

    def read(data: bytes) -> None:
        (atlas.path / NOTE_FILE).write_bytes(data)
        write_card(atlas)

    return Target([sample], read)


# ---------------------------------------------------------------- runs


def _rounds(folder: Path) -> Target:
    """The rounds of a ticket that is not finished."""
    from lsn_core.discovery.lottery import Progress
    from lsn_core.discovery.state import load_progress, save_progress, saved_scores

    rng = np.random.default_rng(0)
    masks = tuple(random_mask(LAYOUT, density, rng) for density in (0.9, 0.8))
    scores = tuple(Score(level, "top-1", 0.5, 9, "test") for level in (0.0, 0.1))
    save_progress(folder, "run", Progress(2, masks, scores, 3.5))
    place = folder / "rounds.safetensors"

    def read(data: bytes) -> None:
        place.write_bytes(data)
        saved_scores(folder)
        load_progress(folder, "run", LAYOUT)

    def forge(data: bytes, rng: random.Random) -> bytes:
        """The file with its JSON changed and its digest right."""
        (length,) = struct.unpack("<Q", data[:8])
        outer = json.loads(data[8 : 8 + length])
        header = json.loads(outer["__metadata__"]["lsn"])
        del header["digest"]
        header = mutate_json(header, rng)
        words = data[8 + length :]
        with suppress(TypeError, ValueError):
            digest = hashlib.sha256(container.canonical_json(header).encode() + words).hexdigest()
            header = {**header, "digest": digest}
        outer["__metadata__"]["lsn"] = json.dumps(header)
        text = json.dumps(outer).encode()
        return struct.pack("<Q", len(text)) + text + words

    return Target([place.read_bytes()], read, forge)


def _jobs(folder: Path) -> Target:
    """The records of a run: one of its files at a time."""
    argv = ["discover", "--model", "demo", "--atlas", "masks/mine"]
    name = job_id(argv)
    home = folder / "masks" / ".jobs" / name
    home.mkdir(parents=True)
    ticket = TicketState("mlm", "en", "imp", 0, DONE, False, 8, 2, ((0.0, 0.5), (0.1, 0.4)))
    files = {
        "job.json": json.dumps({"command": argv, "atlas": "mine", "begun": 1.7e9}).encode(),
        "process.json": json.dumps({"pid": 2**22 + 5, "birth": "boot 5", "log_from": 0}).encode(),
        "stop.json": json.dumps({"asked": 1.7e9}).encode(),
        "log.txt": b"lsn_core: it was stopped.\n",
    }
    snapshot = Snapshot(2**22 + 5, "failed", 1.7e9, 1.7e9, 1, 4, "score", None, "It was full.", (ticket,))
    write_snapshot(home / "state.json", snapshot)
    files["state.json"] = (home / "state.json").read_bytes()

    def read(data: bytes) -> None:
        which, _, content = data.partition(b"\n")
        for file, sound in files.items():
            (home / file).write_bytes(content if file.encode() == which else sound)
        board = Board(folder / "masks")
        told = board.damaged()
        for job in board.jobs():
            command_line(job.command).encode()
            duration(max(0.0, 1.7e9 - job.begun))
            if job.snapshot is not None:
                duration(abs(job.snapshot.changed - job.snapshot.begun))
                assert 0 <= job.snapshot.share <= 1
                assert job.snapshot.rounds_done <= 10**30
            board.log(job.id).encode()
        if told:
            board.job(told[0])

    def forge(data: bytes, rng: random.Random) -> bytes:
        which, _, content = data.partition(b"\n")
        return which + b"\n" + (mutate(content, rng) if which == b"log.txt" else _forged_json(content, rng))

    samples = [which.encode() + b"\n" + content for which, content in files.items()]
    return Target(samples, read, forge)


# ---------------------------------------------------------------- text and labels

_TEXTS = {
    ("text", "txt"): "One line.\nAnother line, with “quotes”.\n第三行。\n",
    (
        "text",
        "conllu",
    ): "# text = Zum Haus.\n1-2\tZum\t_\t_\n1\tzu\tzu\tADP\n2\tdem\tder\tDET\n3\tHaus\tHaus\tNOUN\n3.1\te\te\tX\n\n",
    ("text", "jsonl"): '{"text": "One line."}\n{"text": "Another.", "id": 7}\n',
    ("pos", "txt"): "The\tDET\nhouse\tNOUN\n\nIt PRON\n",
    ("pos", "conllu"): "# text = The house\n1\tThe\tthe\tDET\n2\thouse\thouse\tNOUN\n\n1\tIt\tit\tPRON\n\n",
    (
        "pos",
        "jsonl",
    ): '{"words": ["The", "house"], "tags": ["DET", "NOUN"]}\n{"tokens": ["It"], "upos": ["PRON"]}\n',
    (
        "ner",
        "txt",
    ): "-DOCSTART- -X- O O\n\nAnn NNP B-NP I-PER\nslept VBD B-VP O\n\nin O\nNew\tB-LOC\nYork\tL-LOC\n",
    (
        "ner",
        "jsonl",
    ): '{"tokens": ["Ann", "slept"], "ner_tags": ["B-PER", "O"]}\n{"words": ["a"], "tags": ["U-X"]}\n',
    ("nli", "tsv"): "premise\thypothesis\tgold_label\nIt rains.\tIt is wet.\tentailment\nA.\tB.\t2\n",
    ("nli", "jsonl"): '{"premise": "It rains.", "hypothesis": "Wet.", "label": 0}\n'
    '{"premise": "A", "hypothesis": "B", "label": "neutral"}\n',
}


def _texts(folder: Path) -> Target:
    """Local files of every kind and form: CoNLL-U, columns, JSON lines, tab-separated pairs, plain lines."""
    samples = [f"{kind} {ending}\n{text}".encode() for (kind, ending), text in _TEXTS.items()]
    root = folder / "text"

    def read(data: bytes) -> None:
        about, _, content = data.partition(b"\n")
        kind, _, ending = about.decode("latin-1").partition(" ")
        if (kind, ending) not in _TEXTS:
            kind, ending, content = "text", "txt", data
        shutil.rmtree(root, ignore_errors=True)
        (root / "en").mkdir(parents=True)
        for split in ("train", "dev", "test"):
            (root / "en" / f"{split}.{ending}").write_bytes(content)
        source = open_source(str(root))
        assert source.languages(kind) == ("en",)
        corpus = source.corpus("en", "train", kind)
        source.fingerprint("en", kind)
        if kind != "text":
            assert source.labels(kind)
        for number in range(len(corpus)):
            # A tokenizer takes text as UTF-8.
            item = corpus[number]
            for text in (item,) if isinstance(item, str) else (*vars(item).values(),):
                "".join(text).encode()

    def forge(data: bytes, rng: random.Random) -> bytes:
        about, _, content = data.partition(b"\n")
        lines = content.split(b"\n")
        place = rng.randrange(len(lines))
        if lines[place].startswith(b"{"):
            lines[place] = json.dumps(mutate_json(json.loads(lines[place]), rng)).encode()
        else:
            columns = lines[place].split(b"\t")
            column = rng.randrange(len(columns))
            columns[column] = mutate(columns[column], rng, lines)
            lines[place] = b"\t".join(columns)
        return about + b"\n" + b"\n".join(lines)

    return Target(samples, read, forge)


_PARQUETS: dict[str, dict[str, list[Any]]] = {
    "text": {
        "id": ["1", "2"],
        "text": ["A line that is long enough to be read as a passage of text, as it is here." * 2] * 2,
    },
    "ner": {"tokens": [["Ann", "slept"], ["a"]], "ner_tags": [[1, 0], [0]]},
    "nli": {"premise": ["a", "b"], "hypothesis": ["c", "d"], "label": [0, -1]},
}


def _parquets(folder: Path) -> Target:
    """Data sets in the hub's layout."""
    root = folder / "data"

    def written(table: pa.Table) -> bytes:
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        return buffer.getvalue()

    def read(data: bytes) -> None:
        shutil.rmtree(root, ignore_errors=True)
        (root / "en").mkdir(parents=True)
        for split in ("train", "validation", "test"):
            (root / "en" / f"{split}.parquet").write_bytes(data)
        source = open_source(str(root))
        refusals = []
        for kind in _PARQUETS:
            try:
                corpus = source.corpus("en", "train", kind)
                source.fingerprint("en", kind)
                for number in range(len(corpus)):
                    corpus[number]
            except LsnError as error:
                refusals.append(str(error))
                check_sentence(refusals[-1])
        if len(refusals) == len(_PARQUETS):
            raise LsnError(refusals[0])

    def forge(data: bytes, rng: random.Random) -> bytes:
        content = {name: list(values) for name, values in rng.choice(list(_PARQUETS.values())).items()}
        for _ in range(20):
            changed = mutate_json(content, rng)
            with suppress(Exception):  # much that comes of it is no table
                return written(pa.table(changed))
        return data

    return Target([written(pa.table(columns)) for columns in _PARQUETS.values()], read, forge)


# ---------------------------------------------------------------- masks in the files of others


def _sample(ending: str, folder: Path) -> bytes:
    """Sound masks in a file with this ending."""
    from tests.foreign_files import save_npz, save_safetensors, save_torch

    whole = folder / f"sample{ending}"
    if ending == ".npy":
        np.save(whole, np.array([[1.0, 0.0, 1.0, 1.0]]))
        return whole.read_bytes()
    arrays = random_mask(LAYOUT, 0.5, np.random.default_rng(0)).arrays()
    save = {".pt": save_torch, ".npz": save_npz, ".safetensors": save_safetensors}[ending]
    return save(whole, arrays).read_bytes()


def _foreign(ending: str, folder: Path) -> Target:
    """Masks of others as the Upload page and ``import`` take them, read in forks (`fork_server`)."""
    server = ForkServer()
    rest = server.rest(folder)
    samples = [_sample(ending, folder)]
    own = reading._run_child

    def run_child(path: Path, kind: str, limit: int, out: Path, _: Path) -> dict:
        arguments = [kind, str(path.resolve()), str(limit), "5", str(out)]
        code, answer, said = server.ask(arguments, folder / "answer")
        if server.peak > rest + MEMORY_ROOM:
            raise Escaped(f"its reading took {(server.peak - rest) // 2**20} MiB")
        if code != 0:
            # The process of its own would have told it as `its reading failed`, which is no clear sentence.
            raise AssertionError(f"its reading ended with {code}: {said[-300:]}")
        return json.loads(answer)

    def read(data: bytes) -> None:
        reading._run_child = run_child
        try:
            report = inspect_received(data, f"mask_en{ending}", LAYOUT, {"family": "bert"})
        finally:
            reading._run_child = own
        if report.failed is not None:
            raise LsnError(f"{report.failed.found}; {report.failed.mend}")
        report.checked_mask()

    forge = {".npz": _forged_zip, ".pt": _forged_zip, ".safetensors": _forged_safetensors}.get(ending)
    return Target(samples, read, forge)


_ODD_NAMES = (
    "../x.npy",
    "/etc/x.npy",
    "a\0.npy",
    "x" * 300 + ".npy",
    "c:/x.npy",
    ".npy",
    "é.npy",
    "a/b/c/data.pkl",
    "",
)


def _forged_zip(data: bytes, rng: random.Random) -> bytes:
    """The archive packed anew with a member changed: its bytes, its name, or how often it is there."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    place = rng.randrange(len(members))
    name, content = members[place]
    action = rng.randrange(7)
    method = zipfile.ZIP_STORED
    if action < 3:
        pickled = [n for n, (member, _) in enumerate(members) if member.endswith(("data.pkl", ".npy"))]
        place = rng.choice(pickled)
        name, content = members[place]
        members[place] = (name, mutate(content, rng, [held for _, held in members]))
    elif action == 3:
        members[place] = (rng.choice(_ODD_NAMES), content)
    elif action == 4:
        members.append(
            (
                rng.choice((name, "more.npy", "archive/data.pkl")),
                rng.choice((content, b"", rng.randbytes(99))),
            )
        )
    elif action == 5:
        method = zipfile.ZIP_DEFLATED
        members[place] = (name, content + bytes(rng.choice((10, 10**6, 40 * 2**20))))
    else:
        del members[place]
    packed = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(packed, "w", method) as archive:
        for member, held in members:
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type = member, method
            archive.writestr(info, held)
    return packed.getvalue()


def _forged_safetensors(data: bytes, rng: random.Random) -> bytes:
    (length,) = struct.unpack("<Q", data[:8])
    text = json.dumps(mutate_json(json.loads(data[8 : 8 + length]), rng)).encode()
    size = len(text) if rng.random() < 0.9 else rng.choice((0, 2**31, 2**63, 2**64 - 1))
    return struct.pack("<Q", size) + text + data[8 + length :]


def _apart(folder: Path) -> Target:
    """As ``_foreign``, in a process each, just as it is in use."""
    sample = _sample(".pt", folder)

    def read(data: bytes) -> None:
        report = inspect_received(data, "mask_en.pt", LAYOUT)
        if report.failed is not None:
            assert "reading failed" not in report.failed.found, report.failed.found
            raise LsnError(f"{report.failed.found}; {report.failed.mend}")

    return Target([sample], read, _forged_zip)


def _names(folder: Path) -> Target:
    """What a sender calls a file."""
    from lsn_core.ui.uploads import safe_name

    samples = [
        b"mlm-sw-imp-s1.safetensors",
        b"Swahili mask, seed 3.npz",
        b"C:\\en\\mask_zh.pt",
        b"../../x.npz",
    ]

    def read(data: bytes) -> None:
        name = data.decode("utf-8", errors="surrogateescape")
        suggestion(name, ("mlm", "ner"), ("en", "sw", "pt-BR"))
        shown = safe_name(name)
        assert 0 < len(shown) <= 60
        assert not set("/\\<>\0\n") & set(shown)

    return Target(samples, read)


# ---------------------------------------------------------------- addresses


def _addresses(folder: Path) -> Target:
    """The parameters of an address, as every page's controls take them."""
    sample = {
        **{"v": "1", "measure": "neutrality", "languages": "en.sw", "sparsity": "50", "by": "layer"},
        **{"codes": "en.none", "name": "mine", "steps": "30"},
    }

    def read(data: bytes) -> None:
        tokens = container.parse_json(data)
        if not isinstance(tokens, dict):
            return
        arrived = {str(name): str(value) for name, value in tokens.items()}
        session: dict[str, Any] = {}
        for page in ("overlap", "overlap", "tree"):  # a first visit, a reload, another page
            address = Address(session, arrived, page)
            assert address.choose(
                "measure", {"jaccard": 1, "neutrality": 2}, "neutrality", "the measure"
            ) in (1, 2)
            options = {code: code for code in LANGUAGES}
            assert set(address.choose_many("languages", options, "the languages")) <= set(LANGUAGES)
            address.enter()
            assert set(address.some("codes", options, ("en",), "the languages")) <= set(LANGUAGES)
            assert len(address.text("name", "mine", "the name")) <= 80
            assert 1 <= address.number("steps", 30, 1, 99, "steps") <= 99
            for note in address.notes:
                check_sentence(note)
            address.settle()

    return Target([json.dumps(sample).encode()], read, _forged_json)


def _pages(folder: Path) -> Target:
    """Whole pages under mutated addresses, as Streamlit runs them."""
    from streamlit.testing.v1 import AppTest

    import lsn_core
    from lsn_core.analysis.publish import publish

    root = Path(lsn_core.__file__).parents[1]
    atlas = make_atlas(folder / "atlases" / "demo", LANGUAGES, levels=LEVELS, layout=LAYOUT)
    write_transfer(atlas, LANGUAGES)
    publish(atlas)
    own = {
        "overlap": {"by": "layer", "pair": "en.sw", "order": "likeness"},
        "tree": {"linkage": "average", "scope": "total", "cut": "0.5"},
        "transfer": {"kind": "mask", "pair": "en.sw"},
        "core": {"k": "2", "seed": "0"},
        "anatomy": {"left": "mlm-en-imp-s0@50", "right": "base@50", "matrix": "0"},
        "upload": {},
        "discover": {"model": "demo", "codes": "en.sw", "steps": "30", "name": "mine"},
        "report": {},
        "methods": {},
    }
    shared = {
        "v": "1",
        "atlas": "demo",
        "task": "mlm",
        "method": "imp",
        "sparsity": "50",
        "languages": "en.sw.de",
        "measure": "neutrality",
        "seeds": "0.1",
    }
    samples = [json.dumps({"page": page, **shared, **tokens}).encode() for page, tokens in own.items()]

    def read(data: bytes) -> None:
        tokens = container.parse_json(data)
        if not isinstance(tokens, dict):
            return
        page = tokens.pop("page", None)
        page = page if page in own else "overlap"
        app = AppTest.from_file(str(root / "app.py"), default_timeout=60)
        for name, value in tokens.items():
            with suppress(ValueError, TypeError):
                app.query_params[str(name)] = str(value)
        app.switch_page(f"pages/{page}.py")
        with patch.dict(os.environ, {"LSN_MASKS": str(folder / "atlases")}):
            app.run()
        assert not app.exception, [element.value for element in app.exception]

    return Target(samples, read, _forged_json)


READERS: tuple[Reader, ...] = (
    Reader("ticket", 120, _tickets),
    Reader("provenance of a ticket", 20, _provenances),
    Reader("atlas.json", 70, _descriptions),
    *(
        Reader(f"table {name}", 25, partial(_tables, name))
        for name in ("overlap", "scores", "transfer", "core", "findings", "keepers")
    ),
    Reader("packed mask", 30, _stored),
    Reader("cell", 60, _cells),
    Reader("note", 10, _notes),
    Reader("saved rounds", 60, _rounds),
    Reader("records of a run", 100, _jobs),
    Reader("text and labels", 130, _texts),
    Reader("parquet data", 40, _parquets),
    Reader("masks .safetensors", 60, partial(_foreign, ".safetensors")),
    Reader("masks .npz", 60, partial(_foreign, ".npz")),
    Reader("masks .npy", 30, partial(_foreign, ".npy")),
    Reader("masks .pt", 60, partial(_foreign, ".pt")),
    Reader("masks .pt, a process each", 6, _apart),
    Reader("name of an upload", 30, _names),
    Reader("address", 40, _addresses),
    Reader("page by address", 9, _pages),
)
