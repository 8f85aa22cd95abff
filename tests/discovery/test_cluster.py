"""Runs on a Ray cluster: two nodes started here, one of which is killed, and what is refused with a sentence."""

from __future__ import annotations

import http.server
import os
import socket
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from ray.exceptions import RayError

from lsn_core.cli import main
from lsn_core.discovery import cluster as clusters
from lsn_core.discovery.node import Report, differences, report
from lsn_core.discovery.placement import Need, Node
from lsn_core.discovery.pool import Event
from lsn_core.discovery.runs import Setup, Workshop
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import TRANSFER, gather
from lsn_core.masks.ticket import Ticket

ROUNDS, STEPS = 3, 20
SYSTEM = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_failure_threshold": 5,
    "memory_monitor_refresh_ms": 0,
}
"""A dead node is noticed within seconds, and no worker is killed for what other processes of this machine take."""


def _discover(atlas: Path, *extra: str) -> int:
    options = f"--languages en fr --rounds {ROUNDS} --steps {STEPS} --batch-size 8 --train-lines 64"
    return main(
        [
            "discover",
            "--model",
            "demo",
            *options.split(),
            "--score-lines",
            "40",
            "--atlas",
            str(atlas),
            *extra,
        ]
    )


def _transfer(atlas: Path, *extra: str) -> int:
    return main(["transfer", "--atlas", str(atlas), "--task", "mlm", "--sparsity", "0.3", *extra])


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """What a single process makes."""
    folder = tmp_path_factory.mktemp("alone") / "atlas"
    assert _discover(folder, "--method", "imp", "random", "--jobs", "1") == 0
    assert _transfer(folder, "--jobs", "1") == 0
    return Atlas.open(folder)


@dataclass
class _Cluster:
    address: str
    second: Any
    temporary: Path

    def workers_folders(self) -> set[Path]:
        """What workers have among the temporary files of their nodes."""
        return set(self.temporary.glob("lsn-worker-*"))

    def kill_the_second(self) -> None:
        """As when its machine loses power: every process of the node at once."""
        raylet = psutil.Process(self.second.all_processes["raylet"][0].process.pid)
        for process in [raylet, *raylet.children(recursive=True)]:
            process.kill()


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Cluster]:
    temporary = tmp_path_factory.mktemp("nodes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_TMPDIR", tempfile.gettempdir())  # the names of Ray's sockets must be short
        patch.setenv("TMPDIR", str(temporary))
        from ray.cluster_utils import Cluster

        small: dict[str, Any] = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 80 * 2**20}
        cluster = Cluster(
            initialize_head=True,
            head_node_args={**small, "include_dashboard": False, "_system_config": SYSTEM},
        )
        try:
            yield _Cluster(cluster.address, cluster.add_node(**small), temporary)
        finally:
            cluster.shutdown()


@contextmanager
def _hearing(patch: pytest.MonkeyPatch, then: Callable[[Any, Event], None]) -> Iterator[None]:
    """Do something after each piece of news that the run hears from a worker."""
    hear = clusters._Run._hear

    def hear_and_then(run: Any, hand: Any, event: Event) -> None:
        hear(run, hand, event)
        then(hand, event)

    patch.setattr(clusters._Run, "_hear", hear_and_then)
    yield


@pytest.mark.slow
def test_with_a_node_killed_in_the_middle_the_result_is_that_of_one_process(
    two_nodes: _Cluster, alone: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes: set[str] = set()
    died: list[Any] = []
    saved: Counter[Any] = Counter()
    bury, save = clusters._Run._bury, Atlas.save

    def after(hand: Any, event: Event) -> None:
        nodes.add(hand.node.id)
        round_came = event.kind == "files" and any(name.startswith("runs/") for name in event.value)
        if round_came and hand.node.id == two_nodes.second.node_id and not died:
            two_nodes.kill_the_second()

    def noting(run: Any, hand: Any, error: RayError) -> None:
        died.append(hand.job)
        bury(run, hand, error)

    def counting(atlas: Atlas, ticket: Ticket) -> Path:
        saved[ticket.key] += 1
        return save(atlas, ticket)

    monkeypatch.setattr(clusters._Run, "_bury", noting)
    monkeypatch.setattr(Atlas, "save", counting)
    folder = tmp_path / "atlas"
    with _hearing(monkeypatch, after):
        assert _discover(folder, "--method", "imp", "random", "--cluster", two_nodes.address) == 0
    assert len(nodes) == 2
    assert died
    assert died[0] is not None, "the node died with no job in work"
    atlas = Atlas.open(folder)
    assert saved == dict.fromkeys((header.key for header in atlas.headers()), 1), "written more than once"
    assert atlas.stamps() == alone.stamps()
    assert not list((folder / "runs").iterdir())

    assert _transfer(folder, "--cluster", two_nodes.address) == 0
    assert gather(atlas, TRANSFER).frame.equals(gather(alone, TRANSFER).frame)
    assert Atlas.open(folder).verify() == []


@pytest.mark.slow
def test_a_stopped_run_keeps_its_rounds_and_goes_on_without_the_cluster(
    two_nodes: _Cluster,
    alone: Atlas,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    def interrupt(hand: Any, event: Event) -> None:
        if event.kind == "files":
            raise KeyboardInterrupt

    folder, before = tmp_path / "atlas", two_nodes.workers_folders()
    with monkeypatch.context() as patch, _hearing(patch, interrupt):
        assert _discover(folder, "--jobs", "1", "--cluster", two_nodes.address) == 130
    assert two_nodes.workers_folders() == before, "a stopped worker leaves files behind"
    assert "the same command goes on from there" in capsys.readouterr().err
    assert len(list(folder.glob("runs/*/rounds.safetensors"))) == 1
    first: dict[str, int] = {}
    make = Workshop.make

    def noting(workshop: Workshop, job: Any, on_progress: Any) -> bool:
        def note(job: Any, done: int) -> None:
            first.setdefault(job.language, done)
            on_progress(job, done)

        return make(workshop, job, note)

    monkeypatch.setattr(Workshop, "make", noting)
    assert _discover(folder, "--jobs", "1") == 0
    assert first["en"] > STEPS, "a round that was kept was run again"
    found = Atlas.open(folder).stamps()
    assert found == {stem: stamp for stem, stamp in alone.stamps().items() if "random" not in stem}


@pytest.mark.slow
def test_an_error_of_a_worker_is_one_sentence_that_names_its_node(
    two_nodes: _Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(Workshop, "texts", lambda workshop, job: {job.language: "another"})
    assert _discover(tmp_path / "atlas", "--cluster", two_nodes.address, "--jobs", "1") == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("lsn_core: On node ")
    assert "The text of 'en' in 'cldr' is another one there" in last


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *values: object) -> None:
        pass


@pytest.fixture
def no_head() -> Iterator[dict[str, str]]:
    """Addresses at which there is no cluster."""
    with ExitStack() as stack:
        web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Silent)
        stack.callback(web.server_close)
        threading.Thread(target=web.serve_forever, daemon=True).start()
        stack.callback(web.shutdown)
        free = socket.create_server(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        yield {"web": f"127.0.0.1:{web.server_port}", "free": f"127.0.0.1:{port}"}


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("{free}", "There is no cluster at '{free}' (Connection refused)"),
        ("{web}", "What answers at '{web}' is not the head of a Ray cluster"),
        ("no-such-host.invalid:6379", "There is no cluster at 'no-such-host.invalid:6379'"),
        ("nonsense", "give HOST:PORT"),
        ("localhost:port", "give HOST:PORT"),
        ("ray://127.0.0.1:10001", "give HOST:PORT"),
    ],
)
def test_a_wrong_address_is_one_sentence_and_leaves_nothing(
    address: str, says: str, no_head: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert _discover(tmp_path / "atlas", "--cluster", address.format(**no_head)) == 2
    told = capsys.readouterr().err.strip()
    assert told.startswith("lsn_core: ")
    assert len(told.splitlines()) == 1
    assert says.format(**no_head) in told
    assert not (tmp_path / "atlas").exists()


@pytest.mark.parametrize("device", ["cuda:1", "mps"])
def test_a_device_of_one_machine_is_none_of_a_cluster(
    device: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert _discover(tmp_path / "atlas", "--cluster", "localhost:6379", "--device", device) == 2
    assert f"--device is {device!r}; on a cluster" in capsys.readouterr().err


def test_without_ray_the_option_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "lsn_core.discovery.cluster", raising=False)
    assert _discover(tmp_path / "atlas", "--cluster", "localhost:6379") == 2
    told = capsys.readouterr().err.strip()
    assert told.startswith("lsn_core: The option --cluster needs Ray")
    assert "requirements-cluster.txt" in told
    assert len(told.splitlines()) == 1


def test_versions_that_differ_are_told() -> None:
    mine = report(gpu=False)
    assert differences(mine, mine) == ""
    theirs = Report({**mine.versions, "torch": "1.0"})
    assert differences(mine, theirs) == f"torch 1.0 rather than {mine.versions['torch']}"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Report({**report(gpu=False).versions, "torch": "1.0"}), "has torch 1.0 rather than"),
        (ModuleNotFoundError("No module named 'lsn_core'"), "No module named 'lsn_core'"),
    ],
)
def test_a_node_that_is_set_up_otherwise_is_named(
    answer: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(reference: Any, timeout: float) -> Report:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("ray.get", get)
    with pytest.raises(LsnError, match=r"Node 10\.0\.0\.7 of the cluster") as error:
        clusters._answer("10.0.0.7", None)
    assert says in str(error.value)


def _run(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """A run over one job without a cluster, and a worker that is at it."""
    monkeypatch.setattr("ray.kill", lambda actor: None)
    node = Node("n", "10.0.0.7", 1, 2**34)
    crew = SimpleNamespace(on_gpu=False, nodes=lambda: [node])
    run = clusters._Run(crew, None, Setup("a", "demo", "mlm"), Need(0, 1), [], lambda event: None)  # type: ignore[arg-type]
    return run, clusters._Hand(node, None, None)


def test_a_job_over_which_workers_die_time_and_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    run, hand = _run(monkeypatch)
    for _ in range(2):
        run._hands.append(at_work := replace(hand, job="the job"))
        run._bury(at_work, RayError("it was killed"))
        assert run._waiting.popleft() == "the job"
    run._hands.append(at_work := replace(hand, job="the job"))
    with pytest.raises(LsnError, match=r"3 workers died at work on the job.*10\.0\.0\.7 \(it was killed\)"):
        run._bury(at_work, RayError("it was killed"))


def test_a_node_on_which_no_worker_can_start_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    run, hand = _run(monkeypatch)
    for _ in range(2):
        run._hands.append(new := replace(hand))
        run._bury(new, RayError("no disk"))
    run._hands.append(new := replace(hand))
    with pytest.raises(LsnError, match=r"cannot start on node 10\.0\.0\.7 of the cluster \(no disk\)"):
        run._bury(new, RayError("no disk"))


def test_a_run_without_any_node_left_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = _run(monkeypatch)
    run._waiting.append("the job")
    run._crew.nodes = list
    run._crew.places = lambda *about: ()
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    for now[0] in (10.0, 40.0, 69.0):
        run._hire()
    now[0] = 72.0
    with pytest.raises(LsnError, match="No node of the cluster is left"):
        run._hire()


def test_a_cluster_without_room_says_what_it_lacks() -> None:
    need = Need(9 * 2**30, 4 * 2**30)
    bare, small = Node("a", "a", 4, 2**30), Node("b", "b", 4, 2**36, 2, 8 * 2**30)
    assert "no node with a processor" in clusters._no_room([], need, 1, False)
    assert "No node of the cluster has a GPU" in clusters._no_room([bare], need, 1, True)
    assert "4.0 GiB of memory (a: 4 processors, 1.0 GiB)" in clusters._no_room([bare], need, 1, False)
    assert "9.0 GiB of a GPU's" in clusters._no_room([small], need, 1, True)
    assert "2 GPUs of 8.0 GiB" in clusters._no_room([small], need, 1, True)


def test_a_folder_is_named_so_that_every_process_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").mkdir()
    monkeypatch.chdir(tmp_path)
    assert clusters._everywhere("text") == os.path.join(tmp_path, "text")
    assert clusters._everywhere("cldr") == "cldr"
