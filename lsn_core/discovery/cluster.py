"""Doing jobs on a Ray cluster: the same jobs, bits and files as on one machine.

This process gives out the jobs and is the only one that writes to the atlas, so that each ticket and cell is
written once whatever happens elsewhere. A worker (`worker.Worker`) is an actor on a node that has room for it;
when it dies, alone or with its node, its job begins again on another one, from the last round that came back.
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from lsn_core.discovery.config import Training
from lsn_core.discovery.crew import Team
from lsn_core.discovery.node import Report, differences, report
from lsn_core.discovery.placement import Need, Node, Place, need_of, places
from lsn_core.discovery.pool import KEEP_MEMORY, Event, Job, make_job
from lsn_core.discovery.runs import Setup
from lsn_core.discovery.training import Bench
from lsn_core.discovery.worker import Errand, Lender, Worker
from lsn_core.errors import Busy, LsnError
from lsn_core.masks.files import atomic_write_bytes

_ANSWER = 10.0
"""Seconds that the head has to answer."""
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
"""How a connection of HTTP/2, which Ray speaks, begins: the preface and empty settings (RFC 9113, section 3.4)."""
_SETTINGS = 4
"""The kind of frame that the other side begins with, in the fourth of its bytes."""
_NODE_ANSWER = 120.0
"""Seconds that a node has to start a process and say what it is."""
_LOOK = 2.0
"""Seconds between two looks at which nodes there are."""
_HEAR = 0.2
"""Seconds that news are waited for before others get their turn."""
_ALONE = 60.0
"""Seconds without any node that could work until a run is given up."""
_TRIES = 3
"""Workers that may die over a job, or while they start on a node, until a run is given up."""
_PATIENCE = 10.0
"""Seconds that all workers together have to stop by themselves."""
_A_BIT_OF_GPU = 0.01


@contextmanager
def connect(address: str, device: str, wanted: int | None) -> Iterator[ClusterCrew]:
    """Connect to the cluster whose head listens at HOST:PORT, or that this machine is in ('auto').

    `device` is 'cpu', 'cuda', or 'auto' for GPUs where there are any; `wanted` bounds the number of processes.
    Raises LsnError when there is no such cluster, or it cannot do what is asked.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise LsnError(f"The option --device is {device!r}; on a cluster it is cpu or cuda, or left out.")
    _check_address(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A worker without a share of a GPU sees none whatever this says; it spares a warning about later versions.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (Exception, SystemExit) as error:  # Ray raises many kinds, and gives up by leaving
        raise LsnError(
            f"The cluster at {address!r} cannot be joined ({_first_line(error)}); the command has to run on a "
            "machine of the cluster, with the cluster's versions of Ray and Python."
        ) from error
    try:
        on_gpu = (
            any("GPU" in node["Resources"] for node in _alive()) if device == "auto" else device == "cuda"
        )
        yield ClusterCrew(on_gpu, wanted)
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Ray itself waits minutes for a head that is not there, and then ends this process."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise LsnError(f"The option --cluster is {address!r}; give HOST:PORT of the cluster's head, or auto.")
    try:
        with socket.create_connection((host, int(port)), timeout=_ANSWER) as connection:
            if os.environ.get("RAY_USE_TLS") == "1":
                return
            connection.sendall(_GREETING)
            answer = b""
            while len(answer) < 4 and (more := connection.recv(4 - len(answer))):
                answer += more
    except OSError as error:
        raise LsnError(
            f"There is no cluster at {address!r} ({error.strerror or error}); start its head with 'ray start "
            "--head', and give the address that it tells."
        ) from error
    if len(answer) < 4 or answer[3] != _SETTINGS:
        raise LsnError(f"What answers at {address!r} is not the head of a Ray cluster; look at the port.")


def _alive() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]


class ClusterCrew:
    """The processes that a cluster has room for."""

    device = "cpu"

    def __init__(self, on_gpu: bool, wanted: int | None) -> None:
        self.on_gpu = on_gpu
        self._wanted = wanted
        self._known: dict[str, Node | None] = {}

    def hire(self, setup: Setup, bench: Bench, training: Training, jobs: int) -> Team:
        """As `crew.Crew.hire`. Raises LsnError when a node differs from this machine, or none has room."""
        need = need_of(bench.shape, training, "cuda" if self.on_gpu else "cpu")
        nodes = self.nodes(strict=True)
        found = self.places(need, setup.threads, max(1, jobs), nodes)
        if not found:
            raise LsnError(_no_room(nodes, need, setup.threads, self.on_gpu))
        size = sum(place.count for place in found)
        return Team(
            size,
            lambda maker, jobs, on_event: _Run(self, maker, setup, need, jobs, on_event).work(),
            f"cluster: {size} processes on {len(found)} of {len(nodes)} nodes, with "
            + ("GPUs" if self.on_gpu else "processors alone"),
        )

    def places(self, need: Need, threads: int, jobs: int, nodes: Sequence[Node]) -> tuple[Place, ...]:
        """Return where the processes for so many jobs go."""
        found = places(nodes, need, threads, self.on_gpu, self._wanted)
        if sum(place.count for place in found) > jobs:
            found = places(nodes, need, threads, self.on_gpu, jobs)
        return found

    def nodes(self, strict: bool = False) -> list[Node]:
        """Return the nodes that are there and can work.

        One that came later and is set up otherwise is left out; with `strict`, it is an LsnError.
        """
        alive = {node["NodeID"]: node for node in _alive()}
        new = {id: node for id, node in alive.items() if id not in self._known}
        answers = {id: self._ask(node) for id, node in new.items()}
        for id, node in new.items():
            try:
                theirs = _answer(node["NodeManagerAddress"], answers[id])
            except RayError:
                continue  # it went away; if it comes back, it is asked again
            except LsnError:
                if strict:
                    raise
                self._known[id] = None
                continue
            resources = node["Resources"]
            self._known[id] = Node(
                id,
                node["NodeManagerAddress"],
                resources["CPU"],
                int(resources.get("memory", 0)),
                int(resources.get("GPU", 0)) if self.on_gpu else 0,
                theirs.gpu_memory,
            )
        return [known for id in alive if (known := self._known.get(id)) is not None]

    def _ask(self, node: dict[str, Any]) -> Any:
        gpu = self.on_gpu and node["Resources"].get("GPU", 0) >= 1
        task = ray.remote(report).options(
            num_cpus=0,
            num_gpus=_A_BIT_OF_GPU if gpu else 0,
            max_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        )
        return task.remote(gpu)


def _answer(address: str, reference: Any) -> Report:
    """What a node says of itself; LsnError when it cannot, or its versions are others than here."""
    try:
        theirs = ray.get(reference, timeout=_NODE_ANSWER)
    except ray.exceptions.GetTimeoutError as error:
        raise LsnError(
            f"Node {address} of the cluster has not answered for {_NODE_ANSWER:.0f} s; all its processors or "
            "GPUs may be taken."
        ) from error
    except (RayTaskError, ImportError, RuntimeError) as error:
        raise LsnError(
            f"Node {address} of the cluster cannot do its part ({_last_line(error)}); install this software "
            "there as here."
        ) from error
    other = differences(report(gpu=False), theirs)
    if other:
        raise LsnError(
            f"Node {address} of the cluster has {other}, so its tickets could differ in their bits; install the "
            "same versions everywhere."
        )
    return theirs


def _no_room(nodes: Sequence[Node], need: Need, threads: int, on_gpu: bool) -> str:
    gib = 2**30
    if not nodes:
        return "The cluster has no node with a processor to give; start one with 'ray start --address=…'."
    if on_gpu and not any(node.gpus for node in nodes):
        return "No node of the cluster has a GPU; give --device cpu, or leave --device out."
    processors = "1 processor" if on_gpu or threads == 1 else f"{threads} processors"
    asked = f"{processors} and {need.host / gib:.1f} GiB of memory"
    if on_gpu:
        asked += f", and {need.device / gib:.1f} GiB of a GPU's"
    has = "; ".join(
        f"{node.address}: {node.processors:g} processors, {node.memory / gib:.1f} GiB"
        + (f", {node.gpus} GPUs of {node.gpu_memory / gib:.1f} GiB" if on_gpu else "")
        for node in nodes
    )
    return (
        f"No node of the cluster has room: a process needs up to {asked} ({has}); give a smaller --batch-size or "
        "more --accumulate, or larger nodes."
    )


@dataclass(eq=False)
class _Hand:
    """A worker, the job that it is at (`part` of it, as it was sent), and what it has been sent before."""

    node: Node
    actor: Any
    news: Any
    job: Job | None = None
    part: Job | None = None
    lock: ExitStack = field(default_factory=ExitStack)
    has: set[tuple[str, str]] = field(default_factory=set)
    heard: bool = False


class _Run:
    """One run over some jobs: who is at what, and what is still to do."""

    def __init__(
        self,
        crew: ClusterCrew,
        maker: Lender,
        setup: Setup,
        need: Need,
        jobs: Sequence[Job],
        on_event: Callable[[Event], None],
    ) -> None:
        self._crew, self._maker, self._need, self._on_event = crew, maker, need, on_event
        self._setup = replace(
            setup,
            device="cuda" if crew.on_gpu else "cpu",
            model=_everywhere(setup.model),
            data=_everywhere(setup.data),
        )
        self._waiting: deque[Job] = deque(jobs)
        self._coming = Counter(key for job in jobs for key in maker.gives(job))
        self._hands: list[_Hand] = []
        self._deaths: Counter[Job] = Counter()
        self._false_starts: Counter[str] = Counter()
        self._shipped: dict[tuple[str, str], Any] = {}
        self._look_at = 0.0
        self._alone_since: float | None = None

    def work(self) -> None:
        """Do every job that is not done yet.

        Raises LsnError with the first error of any worker, or when workers die time and again over a job, or
        no node is left.
        """
        for job in list(self._waiting):
            if not self._blocked(job) and self._maker.to_train(job) is None:
                self._waiting.remove(job)
                self._finish_here(job)
        try:
            while self._left():
                self._hire()
                for hand in self._hands:
                    # One that has not been heard waits for room, perhaps for long.
                    if hand.heard and hand.job is None:
                        self._give(hand)
                self._listen()
        finally:
            self._dismiss()

    def _left(self) -> int:
        return len(self._waiting) + sum(hand.job is not None for hand in self._hands)

    def _hire(self) -> None:
        """Start a worker wherever one more has room and there is work for it."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK
        found = self._crew.places(self._need, self._setup.threads, self._left(), self._crew.nodes())
        size = sum(place.count for place in found)
        for place in found:
            there = sum(hand.node.id == place.node.id for hand in self._hands)
            for _ in range(place.count - there):
                if len(self._hands) < size:
                    self._hands.append(_start(self._setup, place, self._need))
        if self._hands:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
        elif now - self._alone_since > _ALONE:
            raise LsnError(
                "No node of the cluster is left that could work; start some and run the same command again: it "
                "goes on where it was."
            )

    def _give(self, hand: _Hand) -> None:
        """Send the next job to a worker that has none, if there is one; what is there already is done here."""
        for job in list(self._waiting):
            if self._blocked(job):
                continue
            with ExitStack() as lock:
                try:
                    lock.enter_context(self._maker.claim(job))
                except Busy:
                    continue  # another run makes it now: it is looked at again
                part = self._maker.to_train(job)
                if part is not None:
                    hand.lock = lock.pop_all()
            self._waiting.remove(job)
            if part is None:
                self._finish_here(job)
                continue
            hand.job, hand.part = job, part
            self._send(hand, part)
            return

    def _blocked(self, job: Job) -> bool:
        """Whether a job reads a ticket that another one, which is not finished, makes."""
        return any(self._coming[key] for key in self._maker.reads(job))

    def _finish_here(self, job: Job) -> None:
        """Do a job that needs no training."""
        make_job(self._maker, job, self._on_event)
        self._coming.subtract(self._maker.gives(job))

    def _send(self, hand: _Hand, job: Job) -> None:
        atlas = self._maker.atlas
        files = {}
        for key in self._maker.reads(job):
            if not atlas.has(key):
                continue
            header = atlas.header(key)
            what = (str(header.path.relative_to(atlas.path)), header.content_hash)
            if what in hand.has:
                continue
            if what not in self._shipped:
                self._shipped[what] = ray.put(header.path.read_bytes())
            files[what[0]] = self._shipped[what]
            hand.has.add(what)
        rounds = self._maker.saved_rounds(job)
        if rounds is not None:
            files[str(rounds.relative_to(atlas.path))] = ray.put(rounds.read_bytes())
        errand = Errand(job, self._maker.identity, self._maker.texts(job), tuple(files))
        hand.actor.begin.remote(errand, *files.values())

    def _listen(self) -> None:
        """Hear what workers have to tell, and bury those that are dead."""
        told = {hand.news: hand for hand in self._hands}
        if not told:
            time.sleep(_HEAR)
            return
        ready, _ = ray.wait(list(told), num_returns=len(told), timeout=_HEAR)
        for reference in ready:
            hand = told[reference]
            try:
                events = ray.get(reference)
            except RayTaskError:
                raise  # an error of this software, with the worker's traceback
            except RayError as error:
                self._bury(hand, error)
                continue
            hand.heard = True
            hand.news = hand.actor.news.remote()
            for event in events:
                self._hear(hand, event)

    def _hear(self, hand: _Hand, event: Event) -> None:
        if event.kind == "error":
            raise LsnError(f"On node {hand.node.address}: {event.value}")
        assert hand.job is not None
        if event.kind == "files":
            with tempfile.TemporaryDirectory(prefix="lsn-received-") as folder:
                for name, data in event.value.items():
                    atomic_write_bytes(Path(folder) / name, data)
                self._maker.receive(hand.part, Path(folder))
        elif event.kind == "done":
            job, hand.job, hand.part = hand.job, None, None
            hand.lock.close()
            # What other tickets know of it is added, and what has come is looked at.
            self._maker.make(job, _nothing_to_do)
            self._coming.subtract(self._maker.gives(job))
            self._on_event(Event("made", job))
        else:
            job = hand.job if event.job == hand.part else event.job
            self._on_event(Event(event.kind, job, event.value))

    def _bury(self, hand: _Hand, error: RayError) -> None:
        """Give a dead worker's job back to be done; LsnError when that has happened too often."""
        self._hands.remove(hand)
        hand.lock.close()
        with suppress(RayError):
            ray.kill(hand.actor)  # one that cannot be reached may still live
        if hand.job is not None:
            self._deaths[hand.job] += 1
            if self._deaths[hand.job] == _TRIES:
                raise LsnError(
                    f"{_TRIES} workers died at work on {hand.job}, the last on node {hand.node.address} "
                    f"({_first_line(error)}), perhaps for want of memory; mend that and run the same command "
                    "again: it goes on where it was."
                )
            self._waiting.appendleft(hand.job)
        elif not hand.heard and hand.node.id in {node.id for node in self._crew.nodes()}:
            self._false_starts[hand.node.id] += 1
            if self._false_starts[hand.node.id] == _TRIES:
                raise LsnError(
                    f"Workers cannot start on node {hand.node.address} of the cluster ({_first_line(error)})."
                )

    def _dismiss(self) -> None:
        """Stop all workers: by themselves where they can still hear, so that they clean up."""
        with suppress(RayError):
            stopping = [hand.actor.stop.remote() for hand in self._hands if hand.heard]
            if stopping:
                ray.wait(stopping, num_returns=len(stopping), timeout=_PATIENCE)
        for hand in self._hands:
            hand.lock.close()
            with suppress(RayError):
                ray.kill(hand.actor)


def _start(setup: Setup, place: Place, need: Need) -> _Hand:
    actor = (
        ray.remote(Worker)
        .options(
            num_cpus=place.processors,
            num_gpus=place.gpu_share,
            memory=need.host,
            max_concurrency=3,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(place.node.id, soft=False),
            runtime_env={"env_vars": KEEP_MEMORY},
        )
        .remote(setup)
    )
    return _Hand(place.node, actor, actor.news.remote())


def _nothing_to_do(job: Job, done: int) -> None:
    raise LsnError(
        f"What a worker made of {job} is not here any more; run the same command again: it goes on where it was."
    )


def _everywhere(name: str) -> str:
    """A folder's name as it is found from anywhere; other names as they are."""
    return os.path.abspath(name) if os.path.isdir(name) else name


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _last_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[-1].rstrip(".")
