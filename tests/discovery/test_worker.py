"""A cluster's worker, without a cluster: what it is sent, what it hands on, and what it refuses."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lsn_core.discovery.config import Recipe, Training
from lsn_core.discovery.pool import Event, Job
from lsn_core.discovery.runs import Setup, TicketJob, Workshop
from lsn_core.discovery.transfer import TransferSetup, TransferWorkshop, plan_transfer
from lsn_core.discovery.worker import Errand, Lender, Worker
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import TRANSFER, rebuild

TRAINING = Training(steps=3, batch_size=8, learning_rate=1e-2, train_lines=64, score_lines=40)


def _job(method: str = "imp", language: str = "en") -> TicketJob:
    return TicketJob(Recipe("mlm", method, rounds=3, training=TRAINING), language, 0)


def _ignore(job: object, done: int) -> None:
    pass


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Workshop:
    """What one process makes by itself."""
    workshop = Workshop(Setup(str(tmp_path_factory.mktemp("alone") / "a"), str(tiny_folder), "mlm"), ())
    for job in (_job("random"), _job("imp", "fr")):
        workshop.make(job, _ignore)
    return workshop


@pytest.fixture
def home(tiny_folder: Path, tmp_path: Path) -> Workshop:
    """The process that gives out jobs, with nothing but the base ticket."""
    workshop = Workshop(Setup(str(tmp_path / "home"), str(tiny_folder), "mlm"), ())
    workshop.base()
    return workshop


@dataclass
class _Post:
    """Between a lender and its worker, in place of the cluster."""

    lender: Lender
    worker: Worker

    def send(self, job: Job) -> None:
        atlas = self.lender.atlas
        files = {
            str(atlas.header(key).path.relative_to(atlas.path)): atlas.header(key).path.read_bytes()
            for key in self.lender.reads(job)
        }
        rounds = self.lender.saved_rounds(job)
        if rounds is not None:
            files[str(rounds.relative_to(atlas.path))] = rounds.read_bytes()
        errand = Errand(job, self.lender.identity, self.lender.texts(job), tuple(files))
        self.worker.begin(errand, *files.values())

    def hear(self, until: str, folder: Path) -> Iterator[Event]:
        """News up to one of a kind; what comes with them is received."""
        limit = time.monotonic() + 120
        while time.monotonic() < limit:
            for event in self.worker.news():
                if event.kind == "files":
                    place = folder / str(time.monotonic_ns())
                    for name, data in event.value.items():
                        (place / name).parent.mkdir(parents=True, exist_ok=True)
                        (place / name).write_bytes(data)
                    self.lender.receive(event.job, place)
                yield event
                if event.kind == until:
                    return
        raise AssertionError(f"no news of kind {until!r}")


@pytest.fixture
def worker(tiny_folder: Path) -> Iterator[Worker]:
    found = Worker(Setup("nowhere", str(tiny_folder), "mlm"))
    yield found
    found.stop()


def test_tickets_made_by_a_worker_are_those_of_one_process(
    home: Workshop, worker: Worker, alone: Workshop, tmp_path: Path
) -> None:
    post = _Post(home, worker)
    for job in (_job("imp", "fr"), _job("imp"), _job("random")):
        assert home.to_train(job) == job
        post.send(job)
        events = list(post.hear("done", tmp_path / "in"))
        steps = [event.value for event in events if event.kind == "step"]
        assert steps == sorted(set(steps))
        assert steps[-1] == job.steps
        assert home.to_train(job) is None
    assert home.atlas.stamps() == alone.atlas.stamps()
    assert home.atlas.verify() == []
    assert not list((home.atlas.path / "runs").iterdir())


def test_another_worker_goes_on_from_the_last_round_that_came_back(
    home: Workshop, worker: Worker, alone: Workshop, tiny_folder: Path, tmp_path: Path
) -> None:
    post = _Post(home, worker)
    post.send(_job())
    for _ in post.hear("files", tmp_path / "in"):
        pass
    worker.stop()  # as good as dead: nothing of it is heard any more
    assert home.scores(_job().key)
    assert not home.atlas.has(_job().key)
    second = Worker(Setup("nowhere", str(tiny_folder), "mlm"))
    again = _Post(home, second)
    again.send(_job())
    steps = [event.value for event in again.hear("done", tmp_path / "in") if event.kind == "step"]
    second.stop()
    assert min(steps) > TRAINING.steps, "a finished round was run again"
    key = _job().key
    assert home.atlas.header(key).content_hash == alone.atlas.header(key).content_hash


def test_a_stopped_worker_leaves_no_files(tiny_folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    worker = Worker(Setup("nowhere", str(tiny_folder), "mlm"))
    limit = time.monotonic() + 60
    while not list(tmp_path.glob("lsn-worker-*/atlas.json")) and time.monotonic() < limit:
        time.sleep(0.05)
    assert os.listdir(tmp_path)
    worker.stop()
    assert not os.listdir(tmp_path)


def test_another_model_or_text_is_refused_before_any_training(
    home: Workshop, worker: Worker, tiny_folder: Path
) -> None:
    texts = home.texts(_job())
    worker.begin(Errand(_job(), home.identity, dict.fromkeys(texts, "another"), ()))
    (event,) = _until_told(worker)
    assert event.kind == "error"
    assert "text of 'en' in 'cldr' is another one there" in event.value
    other = Worker(Setup("nowhere", str(tiny_folder), "mlm"))
    other.begin(Errand(_job(), "another", texts, ()))
    (event,) = _until_told(other)
    assert "is another one there" in event.value


def test_what_is_missing_where_the_worker_is_is_news() -> None:
    (event,) = _until_told(Worker(Setup("nowhere", "/nothing/here", "mlm")))
    assert (event.kind, event.job) == ("error", None)
    assert "There is no model folder '/nothing/here'" in event.value


def test_an_error_of_the_software_is_raised_and_not_told_as_bad_input(home: Workshop, worker: Worker) -> None:
    worker.begin(Errand("no job", home.identity, {}, ()))  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        _until_told(worker)


def test_a_ticket_of_another_text_is_not_received(home: Workshop, tiny_folder: Path, tmp_path: Path) -> None:
    for split in ("train", "dev", "test"):
        (tmp_path / f"en.{split}.txt").write_text("June 5\nJune 6\nJune 7\n")
    foreign = Workshop(Setup(str(tmp_path / "foreign"), str(tiny_folder), "mlm", str(tmp_path)), ())
    foreign.make(_job(), _ignore)
    with pytest.raises(LsnError, match="another model or text"):
        home.receive(_job(), foreign.atlas.path)
    assert not home.atlas.has(_job().key)


def test_cells_measured_by_a_worker_are_those_of_one_process(
    alone: Workshop, tiny_folder: Path, tmp_path: Path
) -> None:
    """Zero-shot: some targets of a network are known from its ticket, and are not measured again."""
    folders = [tmp_path / "one", tmp_path / "two"]
    tables = []
    for folder in folders:
        atlas = Atlas.open_or_create(folder, alone.atlas.model, alone.atlas.layout)
        for header in alone.atlas.headers():
            atlas.save(alone.atlas.ticket(header.key))
    jobs = plan_transfer(atlas, "zero-shot", "mlm", 0.3, {})
    setup = TransferSetup(str(folders[0]), str(tiny_folder), "mlm")
    one = TransferWorkshop(setup, jobs)
    for job in jobs:
        one.make(job, _ignore)
    tables.append(rebuild(one.atlas, TRANSFER).frame)

    two = TransferWorkshop(TransferSetup(str(folders[1]), str(tiny_folder), "mlm"), jobs)
    worker = Worker(setup)
    post = _Post(two, worker)
    for job in jobs:
        part = two.to_train(job)
        assert part is not None
        assert set(part.targets) < set(job.targets) or job.control == "base" or job.learns == "fr"
        post.send(part)
        for _ in post.hear("done", tmp_path / "in"):
            pass
        assert two.to_train(job) is None
        two.make(job, _fail)
    worker.stop()
    tables.append(rebuild(two.atlas, TRANSFER).frame)
    assert tables[0].equals(tables[1])
    assert len(tables[0]) == 2 * sum(len(job.targets) for job in jobs)  # top-1 and loss


def _fail(job: object, done: int) -> None:
    raise AssertionError("a training step was run")


def _until_told(worker: Worker) -> list[Event]:
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        events = worker.news()
        if events:
            return events
    raise AssertionError("no news")
