"""The Discover page without a browser: what may be asked for, what it costs, and every state of a run."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lsn_core.discovery.plan import usable_cores
from lsn_core.durations import duration
from lsn_core.jobs import board as boards
from lsn_core.jobs.board import Board, job_id
from lsn_core.jobs.process import Process, birth_of
from lsn_core.jobs.snapshot import DONE, WAITING, WORKING, Snapshot, TicketState, write_snapshot
from lsn_core.masks.atlas import Atlas
from lsn_core.tasks.registry import TASKS
from lsn_core.ui import permissions
from lsn_core.ui.views import discover_form, discover_view
from tests.pages.conftest import APP, Visit, charts, said

COMMAND = ["discover", "--model", "demo", "--atlas", "masks/mine"]
NOBODY = Process(2**22 + 1, "never")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visit: Visit) -> Path:
    """A folder for atlases with the shipped one of the demo model in it; `visit` shows it."""
    folder = tmp_path / "masks"
    folder.mkdir()
    (folder / "demo").symlink_to(APP.parent / "masks" / "demo")
    monkeypatch.setenv("LSN_MASKS", str(folder))
    for variable in ("LSN_READ_ONLY", "LSN_ALLOW_DISCOVER", "LSN_MAX_JOBS", "LSN_MODELS", "LSN_DATA"):
        monkeypatch.delenv(variable, raising=False)
    return folder


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """The commands that are started; in place of each a process that only waits."""
    commands: list[list[str]] = []
    processes = []

    def start(command: list[str], *_: object) -> Process:
        commands.append(list(command))
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        processes.append(child)
        return Process(child.pid, birth_of(child.pid) or "")

    monkeypatch.setattr(boards.process, "start", start)
    yield commands
    for child in processes:
        child.kill()
        child.wait()


def keep(
    root: Path, snapshot: Snapshot | None, process: Process = NOBODY, log: str = "", **files: Any
) -> str:
    """A run's folder by hand, with the snapshot that the process is said to have written."""
    name = job_id(COMMAND)
    folder = root / ".jobs" / name
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"command": COMMAND, "atlas": "mine", "begun": 1.7e9}))
    launch = {"pid": process.pid, "birth": process.birth, "log_from": 0}
    (folder / "process.json").write_text(json.dumps(launch))
    (folder / "log.txt").write_text(log)
    for file, content in files.items():
        (folder / f"{file}.json").write_text(json.dumps(content))
    if snapshot is not None:
        write_snapshot(folder / "state.json", snapshot)
    return name


def snapshot(state: str, pid: int, done: bool = False, **more: Any) -> Snapshot:
    """Two languages and two seeds, two levels of 10 steps: one ticket done, one in its last round, two wait."""
    scores = ((0.0, 0.5), (0.1, 0.4), (0.2, 0.25))
    tickets = tuple(
        TicketState("mlm", code, "imp", seed, DONE, False, 30, 3, scores)
        if done or (code, seed) == ("sw", 0)
        else TicketState("mlm", code, "imp", seed, WORKING, False, 24, 2, scores[:2])
        if (code, seed) == ("en", 0)
        else TicketState("mlm", code, "imp", seed, WAITING)
        for seed in (0, 1)
        for code in ("en", "sw")
    )
    return Snapshot(pid, state, 1.0, 2.0, 2, 10, "masked top-1", tickets=tickets, **more)


def buttons(app: AppTest) -> dict[str, Any]:
    return {button.label: button for button in app.button if button.label not in ("Copy link", "Pin")}


def spec(app: AppTest, key: str) -> dict[str, Any]:
    return next(json.loads(chart.proto.spec) for chart in charts(app) if chart.key == key)


def command_on(app: AppTest) -> list[str]:
    """The command under the form, as a shell would split it."""
    (line,) = [code.value for code in app.code if code.value.startswith("python -m lsn_core discover")][-1:]
    return shlex.split(line)


def test_without_any_atlas_or_run_there_is_the_form(
    tmp_path: Path, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "masks").mkdir()
    monkeypatch.setenv("LSN_MASKS", str(tmp_path / "masks"))
    app = visit("discover")
    assert not app.exception
    assert not app.error
    assert not charts(app)
    assert "How long it takes is known after the first round" in said(app)
    assert not buttons(app)["Start"].disabled
    assert not (tmp_path / "masks" / ".jobs").exists()


def test_cost_is_what_is_missing_and_as_long_as_earlier_ones_took(visit: Visit, root: Path) -> None:
    app = visit("discover", run_atlas="demo", run_steps="60", run_languages="en.sw", run_seeds="0.1.2")
    assert not app.exception
    assert not app.error
    text = next(m.value for m in app.markdown if "training steps" in m.value)
    assert "**6 sub-networks**, of which 4 are in the atlas already" in text
    steps = (6 - 4) * (9 + 1) * 60
    assert "Over 2 sub-networks that makes 20 rounds of 60 steps: **1,200 training steps** in all" in text
    took = [h.provenance["seconds"] for h in Atlas.open(root / "demo").headers() if h.key.method == "imp"]
    span = np.array([np.median(took), min(took), max(took)]) / 600 * steps / min(2, usable_cores())
    words = [duration(seconds) for seconds in span]
    assert (
        f"About **{words[0]}** here ({words[1]} to {words[2]}), judged by 22 sub-networks found in the model demo before"
        in text
    )


def test_nothing_is_left_where_all_is_there(visit: Visit, root: Path) -> None:
    app = visit("discover", run_atlas="demo", run_steps="60")
    assert "**6 sub-networks**, of which all are in the atlas already. Nothing is left to train." in said(app)


def test_the_command_is_what_the_command_line_understands(
    visit: Visit, root: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lsn_core.cli import main

    query = {"run_languages": "ar.en", "run_method": "random", "run_rounds": "3", "run_rate": "2e-05"}
    app = visit("discover", query)
    words = command_on(app)
    assert words[:4] == ["python", "-m", "lsn_core", "discover"]
    monkeypatch.chdir(root.parent)
    assert main([*words[3:], "--dry-run"]) == 0
    plan = capsys.readouterr().err
    # Random is matched to iterative pruning, which comes with it: 2 methods, 2 seeds, 2 languages. It has the
    # dense model's score from there, and so 3 rounds where that has 4.
    assert "8 tickets, 0 of them there already; 28 rounds to do" in plan
    assert "840 steps in all" in plan
    assert "**8 sub-networks**" in said(app)
    assert "28 rounds of 30 steps: **840 training steps**" in said(app)


def test_more_settings_are_what_the_command_line_understands(
    visit: Visit, root: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lsn_core.cli import main

    query = {"run_languages": "en", "run_seeds": "0", "run_rounds": "2", "run_preset": "paper-mlm"}
    app = visit("discover", query | {"run_criterion": "wanda", "run_scope": "layer"})
    assert not app.exception
    assert not app.error
    words = command_on(app)
    assert words[4:] == shlex.split(
        "--preset paper-mlm --model demo --task mlm --languages en --data cldr --method imp --seeds 0 --rounds 2 "
        "--steps 30 --learning-rate 0.0005 --atlas masks/mine --criterion wanda --scope layer"
    )
    assert "Batches of 16 texts of up to 128 pieces, up to 160,000 texts a language" in said(app)
    monkeypatch.chdir(root.parent)
    assert main([*words[3:], "--dry-run"]) == 0
    assert "90 steps in all" in capsys.readouterr().err
    assert "**90 training steps** in all" in said(app)


def test_a_preset_fills_in_the_form_and_passes_stand_for_steps(visit: Visit, root: Path) -> None:
    app = visit("discover")
    assert not any(word in command_on(app) for word in ("--preset", "--epochs", "--criterion", "--scope"))
    app.selectbox(key="run_preset").set_value("paper-nli").run()
    assert not app.exception
    assert not app.error
    assert command_on(app)[4:] == shlex.split(
        "--preset paper-nli --model bert-base-multilingual-cased --task nli --languages en fr de zh ru es ur ar hi sw "
        "--data hub:xnli --method imp --seeds 0 1 --rounds 9 --epochs 3 --learning-rate 5e-05 --atlas masks/mine"
    )
    assert "**200 rounds**; how many steps each has is known when the text is read" in said(app)
    assert "XNLI has no Persian" in said(app)
    again = visit("discover", app.query_params)
    assert not again.warning
    assert command_on(again) == command_on(app)
    steps = visit("discover", {**app.query_params, "run_epochs": "0"})
    assert "--steps 30" in " ".join(command_on(steps))


def test_a_figure_of_a_run_comes_from_the_run(visit: Visit, root: Path) -> None:
    keep(root, snapshot("finished", NOBODY.pid, done=True))
    app = visit("discover", atlas="demo")
    app.button(key="pin_watch_rounds").click().run()
    assert not app.exception
    origin = app.session_state["pins"].pins[0].exhibit.origin
    assert (origin.atlas, origin.model, origin.tasks, origin.methods) == ("mine", "demo", ("mlm",), ("imp",))
    assert dict(origin.facts)["Run"] == "finished, 4 of 4 sub-networks finished"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"run_languages": "none"}, "Choose at least one language."),
        ({"run_seeds": "none"}, "Choose at least one seed."),
        ({"run_atlas": "../elsewhere"}, "Give a name of letters"),
        ({"run_atlas": "/etc"}, "Give a name of letters"),
        ({"run_atlas": ".jobs"}, "Give a name of letters"),
        ({"run_atlas": ""}, "Give a name of letters"),
        ({"run_atlas": "a" * 41}, "Give a name of letters"),
        ({"run_atlas": "other"}, "“other” is a folder that is no atlas"),
        ({"run_atlas": "broken"}, "“broken” is an atlas that cannot be read"),
        ({"run_atlas": "demo"}, "made with other settings"),
        ({"run_atlas": "demo", "run_model": "xlm-roberta-base"}, "of another model, demo"),
        ({"run_model": "/etc"}, "Give the name of a model on the hub"),
        ({"run_model": "../x"}, "Give the name of a model on the hub"),
        ({"run_model": "masks/demo"}, "“masks/demo” is a folder of this server"),
        ({"run_model": "a/b/c"}, "Give the name of a model on the hub"),
    ],
)
def test_what_cannot_be_is_told_in_place_and_not_started(
    visit: Visit, root: Path, query: dict[str, str], says: str
) -> None:
    (root / "other").mkdir()
    (root / "broken").mkdir()
    (root / "broken" / "atlas.json").write_text("{}")
    app = visit("discover", query)
    assert not app.exception
    assert [says in error.value for error in app.error] == [True]
    assert str(root) not in app.error[0].value
    assert buttons(app)["Start"].disabled
    assert not any("python -m lsn_core discover" in code.value for code in app.code)


def test_choices_are_in_the_address_and_a_link_restores_them(visit: Visit, root: Path) -> None:
    app = visit("discover")
    app.multiselect(key="run_languages").set_value(["ur"]).run()
    app.number_input(key="run_steps").set_value(7).run()
    app.text_input(key="run_atlas").set_value("urdu").run()
    app.multiselect(key="run_seeds").set_value([3]).run()
    app.selectbox(key="run_data").set_value("hub:wikipedia").run()
    assert app.query_params["run_languages"] == "ur"
    again = visit("discover", app.query_params)
    assert command_on(again) == command_on(app)
    assert command_on(app)[4:] == shlex.split(
        "--model demo --task mlm --languages ur --data hub:wikipedia --method imp --seeds 3 --rounds 9 --steps 7 "
        "--learning-rate 0.0005 --atlas masks/urdu"
    )


def test_a_link_that_cannot_be_followed_is_told(visit: Visit, root: Path) -> None:
    query = {"run_steps": "0", "run_languages": "en.xx", "run_rounds": "ten", "run_atlas": "a\nb"}
    app = visit("discover", query)
    assert not app.exception
    assert [word in said(app) for word in ("“0”", "“xx”", "“ten”", "no line of text")] == [True] * 4
    words = command_on(app)
    assert words[words.index("--steps") + 1 :][0] == "30"
    assert "masks/mine" in words


def test_folders_are_offered_by_name_alone(
    visit: Visit, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "small").mkdir(parents=True)
    for split in ("train", "dev", "test"):
        file = tmp_path / "tagged" / "sw" / f"{split}.conllu"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1\tNi\t_\tVERB\t_\t_\t_\t_\t_\t_\n\n")
    monkeypatch.setenv("LSN_MODELS", os.pathsep.join([str(tmp_path / "models" / "small"), "/nowhere"]))
    monkeypatch.setenv("LSN_DATA", str(tmp_path / "tagged"))
    assert "pos" not in visit("discover", run_task="mlm").selectbox(key="run_data").options
    app = visit("discover", run_model="small", run_task="pos", run_data="tagged")
    assert not app.exception
    assert not app.error
    assert app.selectbox(key="run_model").options == ["demo", "small"]
    assert app.multiselect(key="run_languages").options == ["Swahili · \u2066Kiswahili\u2069"]
    words = command_on(app)
    assert words[words.index("--model") + 1] == str(tmp_path / "models" / "small")
    assert words[words.index("--data") + 1] == str(tmp_path / "tagged")


def test_xnli_has_no_persian(visit: Visit, root: Path) -> None:
    app = visit("discover", run_task="nli", run_data="hub:xnli", run_languages="fa.en")
    assert "“fa”" in said(app)
    assert " --languages en --data hub:xnli " in " ".join(command_on(app))


def test_start_runs_the_command_that_is_shown(
    visit: Visit, root: Path, started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = visit("discover", run_languages="en")
    shown = command_on(app)
    buttons(app)["Start"].click().run()
    assert not app.exception
    (ran,) = started
    name = job_id(shown[3:])
    assert ran == [
        sys.executable,
        *shown[1:],
        *("--progress", str(root / ".jobs" / name / "state.json")),
    ]
    assert app.query_params["run"] == name
    assert "The run into atlas `mine` is starting." in said(app)
    assert "Stop" in buttons(app)
    # Another visitor sees the same run, and cannot start a second one beside it.
    other = visit("discover", run_languages="sw")
    assert "is starting" in said(other)
    buttons(other)["Start"].click().run()
    assert [error.value for error in other.error] == [
        "Another run is under way, and no more are allowed at once; wait for the end, or stop one."
    ]
    buttons(app)["Start"].click().run()
    assert [error.value for error in app.error] == ["This run is under way already."]
    assert len(started) == 1
    monkeypatch.setenv("LSN_MAX_JOBS", "2")
    other = visit("discover", run_languages="sw")
    buttons(other)["Start"].click().run()
    assert len(started) == 2
    buttons(other)["Stop"].click().run()
    assert not other.error


def test_a_run_under_way(visit: Visit, root: Path) -> None:
    me = Process(os.getpid(), birth_of(os.getpid()) or "")
    keep(root, snapshot("running", me.pid, seconds_left=95.0), me, log=f"word\n{root.parent}/masks/mine\n")
    app = visit("discover")
    assert not app.exception
    assert "**5 of 12 rounds** done, 1 of 4 sub-networks finished; about **2 min** left." in said(app)
    assert set(buttons(app)) == {"Stop", "Start"}
    assert app.get("progress")[0].proto.value == 100 * (30 + 24) // 120
    grid = spec(app, "watch_rounds")
    assert grid["data"][0]["text"] == [["1/2", "1/2", ""], ["1/2", "1/2", "1/2"]]
    outlined = [(shape["x0"] + shape["x1"], shape["y0"] + shape["y1"]) for shape in grid["layout"]["shapes"]]
    assert outlined == [(2 * 2, 0)], "English is in the round that removes 20 %"
    lines = {line["name"]: line for line in spec(app, "watch_scores")["data"]}
    assert list(lines) == ["English", "Swahili"]
    assert lines["English"]["x"] == [0, 10]
    log = next(code.value for code in app.code if code.value.startswith("word"))
    assert log == "word\nmasks/mine"
    assert all(len(chart.proto.alt) > 60 for chart in charts(app) if chart.key.startswith("watch"))


@pytest.mark.parametrize(
    ("state", "more", "files", "says", "shown"),
    [
        ("stopped", {}, {}, "Stopped: **5 of 12 rounds** done, and kept. Resume goes on", {"Resume"}),
        (
            "failed",
            {"message": "The disk is full."},
            {},
            "Failed: **5 of 12 rounds** done, and kept. The disk is full.",
            {"Resume"},
        ),
        ("running", {}, {}, "Broken off: **5 of 12 rounds** done, and kept.", {"Resume"}),
        ("running", {}, {"stop": {"asked": 1.7e9}}, "Stopped: **5 of 12 rounds**", {"Resume"}),
        ("finished", {"done": True}, {}, "Finished: all 4 sub-networks are in atlas `mine`.", set()),
    ],
)
def test_a_run_that_has_ended(
    visit: Visit, root: Path, state: str, more: dict, files: dict, says: str, shown: set[str]
) -> None:
    keep(root, snapshot(state, NOBODY.pid, **more), **files)
    app = visit("discover")
    assert not app.exception
    assert says in said(app)
    assert set(buttons(app)) == {"Take off the list", "Start", *shown}
    assert "shapes" not in spec(app, "watch_rounds")["layout"], "nothing is being trained"
    links = [link.proto for link in app.get("page_link") if "share" in link.proto.label]
    assert len(links) == (state == "finished")
    for link in links:
        assert "atlas=mine" in link.query_string
    buttons(app)["Take off the list"].click().run()
    assert not charts(app)
    assert not app.error


def test_a_run_that_could_not_begin_tells_why(visit: Visit, root: Path) -> None:
    keep(root, None, log="lsn_core: There is no model folder.\n")
    app = visit("discover")
    assert "Failed: nothing done yet. There is no model folder." in said(app)
    assert not charts(app)


def test_resume_starts_the_same_command(visit: Visit, root: Path, started: list[list[str]]) -> None:
    keep(root, snapshot("stopped", NOBODY.pid))
    app = visit("discover")
    buttons(app)["Resume"].click().run()
    assert not app.exception
    (ran,) = started
    assert ran[3:-2] == COMMAND
    assert "The run into atlas `mine` is starting." in said(app)
    assert charts(app), "what was done is still to be seen"


def test_a_run_asked_to_stop_may_be_ended(visit: Visit, root: Path) -> None:
    me = Process(os.getpid(), birth_of(os.getpid()) or "")
    keep(root, snapshot("running", me.pid), me, stop={"asked": 1.7e9})
    app = visit("discover")
    assert "Stopping: **5 of 12 rounds** done, and kept." in said(app)
    assert "End it now" in buttons(app)


def test_damaged_files_of_a_run_are_named(visit: Visit, root: Path) -> None:
    name = keep(root, snapshot("stopped", NOBODY.pid))
    (root / ".jobs" / name / "state.json").write_text("{}")
    app = visit("discover")
    assert not app.exception
    assert f"The files of run {name} are damaged" in said(app)
    assert "Start" in buttons(app)


@pytest.mark.parametrize(("variable", "value"), [("LSN_READ_ONLY", "1"), ("LSN_ALLOW_DISCOVER", "0")])
def test_where_it_is_off_there_is_the_command_and_nothing_can_be_done(
    visit: Visit,
    root: Path,
    started: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
) -> None:
    name = keep(root, snapshot("stopped", NOBODY.pid))
    for label in ("Start", "Resume", "Take off the list"):
        monkeypatch.delenv(variable, raising=False)
        app = visit("discover")
        monkeypatch.setenv(variable, value)
        buttons(app)[label].click().run()
        assert [error.value for error in app.error] == [
            "Runs are not started, stopped or resumed on this server."
        ]
    app = visit("discover")
    assert "Starting runs is switched off on this server" in said(app)
    assert not buttons(app)
    assert command_on(app)
    assert "Stopped: **5 of 12 rounds** done" in said(app)
    assert not started
    assert (root / ".jobs" / name / "job.json").exists()


@pytest.mark.parametrize(
    ("address", "headers", "variables", "allowed"),
    [
        ("127.0.0.1", {}, {}, True),
        ("localhost", {}, {}, True),
        ("0.0.0.0", {}, {}, False),
        (None, {}, {}, False),
        ("127.0.0.1", {"X-Forwarded-For": "8.8.8.8"}, {}, False),
        ("0.0.0.0", {}, {"LSN_ALLOW_DISCOVER": "1"}, True),
        ("127.0.0.1", {"X-Forwarded-For": "8.8.8.8"}, {"LSN_ALLOW_DISCOVER": "1"}, True),
        ("127.0.0.1", {}, {"LSN_ALLOW_DISCOVER": "0"}, False),
        ("127.0.0.1", {}, {"LSN_ALLOW_DISCOVER": " "}, True),
        ("127.0.0.1", {}, {"LSN_ALLOW_DISCOVER": "1", "LSN_READ_ONLY": "1"}, False),
    ],
)
def test_who_may_start_runs(
    monkeypatch: pytest.MonkeyPatch, address: str | None, headers: dict, variables: dict, allowed: bool
) -> None:
    for name in ("LSN_READ_ONLY", "LSN_ALLOW_DISCOVER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    server = SimpleNamespace(get_option=lambda name: address, context=SimpleNamespace(headers=headers))
    monkeypatch.setattr(permissions, "st", server)
    assert permissions.may_discover() is allowed


@pytest.mark.parametrize(("given", "most"), [("", 1), ("3", 3), ("0", 1), ("-2", 1), ("many", 1)])
def test_how_many_runs(monkeypatch: pytest.MonkeyPatch, given: str, most: int) -> None:
    monkeypatch.setenv("LSN_MAX_JOBS", given)
    assert permissions.most_runs() == most


def test_strangers_choose_from_the_list_alone(
    visit: Visit, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(permissions, "on_this_computer", lambda: False)
    app = visit("discover", run_model="xlm-roberta-base")
    assert "“xlm-roberta-base”, which is not here" in said(app)
    assert command_on(app)[5] == "demo"


def test_kinds_are_those_of_the_tasks() -> None:
    assert {name: discover_form.kind_of(name) for name in TASKS} == {t.name: t.kind for t in TASKS.values()}
    assert set(discover_form.METHODS) == {"imp", "oneshot", "random", "base"}


def test_a_run_goes_into_the_folder_of_the_variable(root: Path) -> None:
    found: Callable[[Path], Board] = discover_view.board
    assert found(APP.parent / "masks").workplace == root.parent
