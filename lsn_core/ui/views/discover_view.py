"""What the Discover page shows: the form for a new run, and a run while it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from lsn_core.analysis.provenance import NOT_RECORDED, Origin
from lsn_core.discovery.presets import PRESETS
from lsn_core.errors import LsnError
from lsn_core.jobs import snapshot
from lsn_core.jobs.board import BROKEN, FAILED, FINISHED, RUNNING, STOPPED, STOPPING, Board, Job, command_line
from lsn_core.jobs.snapshot import Snapshot
from lsn_core.languages import in_paper_order
from lsn_core.ui import permissions, states, store
from lsn_core.ui.address import VERSION, Address
from lsn_core.ui.figures import Described, figure_block
from lsn_core.ui.views import discover_form as form
from lsn_core.ui.views.discover_form import Choices, Offers
from lsn_core.viz.drawing import Drawn
from lsn_core.viz.labels import language_line, metric_line, metric_name, plain_name, task_name
from lsn_core.viz.rounds import LanguageRounds, ScoreLine, live_scores_figure, rounds_figure
from lsn_core.viz.theme import THEMES
from lsn_core.viz.words import discover as words

EVERY = 1.0  # seconds between two looks at a run
PATIENCE = 20.0  # seconds after which a run that was asked to stop may be ended
LOG_LINES = 30
OPENING = (
    "For each language you choose, the model is trained on its text, the weights that stay smallest are removed, the "
    "rest is put back to where it was, and so on, round by round. What is left in the end is the language's "
    "sub-network. All of them go into an *atlas*, which the other pages show. A run goes on when you close this page."
)
OFF = (
    "Starting runs is switched off on this server. Set up what you want below and copy the command: on your own "
    "computer, with this software, it does the same."
)
MODEL_HELP = "The multilingual model to look into. `demo` is small and comes with this software."
DATA_HELP = (
    "What the model learns from. With the program comes text made from CLDR, on the command line `cldr`: dates, "
    "amounts, names and lists in every language. A name that "
    "begins with `hub:` is fetched from the hub when the run starts."
)
METHOD_HELP = (
    "Iterative: train, remove a tenth of the weights, put the rest back, again and again (the paper's). One-shot: "
    "train once, remove at once. Random: which weights stay is drawn by lot, as many in every matrix as iterative "
    "pruning keeps, which is done too. Pretrained weights alone: what stays with no language and no training."
)
SEEDS_HELP = (
    "A seed fixes all chance in training. With two seeds a language can be compared with itself, which tells how "
    "much two sub-networks differ for no reason at all."
)
ROUNDS_HELP = "Each round removes 10 % of the weights: nine end with 90 % removed."
STEPS_HELP = "Training steps in each round, of 16 texts each. More steps: better sub-networks, more time."
RATE_HELP = "How far a training step moves the weights. 0.0005 suits the demo model, larger models want less."
PRESET_HELP = (
    "The settings of the paper's experiments. Choosing one fills in the form: model, task, text, languages, rounds, "
    "length of a round and learning rate."
)
CRITERION_HELP = (
    "Which weights a round removes. The paper's: those that are smallest after training. The others look at how far "
    "training moved a weight, at what the loss would be without it, or at how much goes through it."
)
SCOPE_HELP = (
    "Which weights are compared with one another when a tenth is removed: those of the whole model together, so that "
    "some layers may lose more than others, or those of each part alone, so that all parts lose as much."
)
EPOCHS_HELP = (
    "A round may also be so many passes over the text of the language that has most of it. 0: as many steps as are "
    "given above."
)
ATLAS_HELP = "A new name, or that of an atlas of the same model made with the same settings, to which what is missing is added."

_REFUSED = "discover_refused"


def board(root: Path) -> Board:
    """The runs of this server."""
    return Board(store.masks_root(root), permissions.most_runs())


def choose_run(there: Board, address: Address) -> Job | None:
    """Choose one of the runs that were started here; None where there is none."""
    for name in there.damaged():
        st.warning(
            f"The files of run {name} are damaged, so it is left out. Its atlas is not touched by that."
        )
    jobs = {job.id: job for job in there.jobs()}
    if not jobs:
        return None
    first = next((job for job in jobs.values() if job.alive), next(iter(jobs.values())))
    chosen = address.choose("run", {name: name for name in jobs}, first.id, "the run")
    st.selectbox(
        "Run",
        list(jobs),
        key="run",
        format_func=lambda name: _run_line(jobs[name]),
        help="All runs that were started on this page, by anyone: they belong to the server. An atlas, how its run "
        "is, and when it was first started.",
        persist_state="session",
    )
    return jobs[chosen]


def watch(there: Board, job: Job, may: bool) -> None:
    """Show a run; while it goes on, look again every second."""

    def look() -> None:
        now = there.job(job.id)
        if job.alive and not now.alive:
            st.rerun()  # the rest of the page is about what is there now
        _panel(there, now, may)

    st.fragment(look, run_every=EVERY if job.alive else None)()


def _panel(there: Board, job: Job, may: bool) -> None:
    shown = job.snapshot
    with st.container(border=True, key="run_panel"):
        st.markdown(run_words(job))
        if shown is not None and shown.tickets:
            st.progress(shown.share)
        with st.container(horizontal=True, key="run_buttons"):
            if may:
                _buttons(there, job)
            if job.phase == FINISHED:
                task = {"task": shown.tickets[0].task} if shown is not None and shown.tickets else {}
                st.page_link(
                    "pages/overlap.py",
                    label="See what these sub-networks share",
                    icon=":material/arrow_forward:",
                    query_params={"v": VERSION, "atlas": job.atlas} | task,
                )
        _refusal("run")
        if shown is not None and shown.tickets:
            left, right = st.columns(2, gap="medium")
            with left:
                st.markdown("**Rounds**")
                figure_block(*rounds(job, shown), "watch_rounds", origin=run_origin(job, shown))
            with right:
                st.markdown("**Scores so far**")
                scores = score_lines(shown)
                if scores:
                    figure_block(
                        *live_scores(job, shown, scores), "watch_scores", origin=run_origin(job, shown)
                    )
                else:
                    st.caption("The first score comes with the end of the first round.")
        with st.expander("Command and log"):
            states.show_command(command_line(job.command))
            st.code(
                there.log(job.id, LOG_LINES) or "Nothing was written yet.", language=None, wrap_lines=True
            )


def _buttons(there: Board, job: Job) -> None:
    if job.phase == STOPPING and job.asked is not None and time.time() - job.asked > PATIENCE:
        st.button(
            "End it now",
            key="run_end",
            on_click=_do,
            args=("run", there.end, job.id),
            help="It has not stopped by itself yet. Finished rounds are kept all the same.",
        )
    elif job.alive:
        st.button(
            "Stop",
            key="run_stop",
            disabled=job.phase == STOPPING,
            on_click=_do,
            args=("run", there.stop, job.id),
            help="Finished rounds are kept, and the run can be resumed.",
        )
    else:
        if job.phase in (STOPPED, FAILED, BROKEN):
            st.button(
                "Resume", type="primary", key="run_resume", on_click=_do, args=("run", there.resume, job.id)
            )
        st.button(
            "Take off the list",
            key="run_forget",
            on_click=_do,
            args=("run", there.forget, job.id),
            help="The atlas and all that is in it stay.",
        )


def run_words(job: Job) -> str:
    """How far a run is, in words."""
    shown = job.snapshot
    return words.run_sentence(
        job.phase,
        job.atlas,
        (shown.rounds_done, shown.rounds_in_all) if shown and shown.tickets else (0, 0),
        (shown.tickets_done, len(shown.tickets)) if shown else (0, 0),
        shown.seconds_left if shown else None,
        job.message,
        shown is not None and any(ticket.state == snapshot.WORKING for ticket in shown.tickets),
    )


def rounds(job: Job, shown: Snapshot) -> tuple[Drawn, Described]:
    """Languages by rounds: what is done and what is being trained."""
    alive = job.phase == RUNNING
    rows = []
    for language in in_paper_order({ticket.language for ticket in shown.tickets}):
        tickets = [ticket for ticket in shown.tickets if ticket.language == language]
        columns = range(shown.rounds + 1)
        working = [t.reached for t in tickets if alive and t.state == snapshot.WORKING]
        rows.append(
            LanguageRounds(
                language,
                tuple(sum(ticket.first <= k for ticket in tickets) for k in columns),
                tuple(sum(ticket.first <= k < ticket.reached for ticket in tickets) for k in columns),
                tuple(working.count(k) for k in columns),
            )
        )
    read = "; ".join(f"{plain_name(row.language)} {sum(row.done)}" for row in rows)
    several = max(rows[0].tickets) > 1
    about = Described(
        name=f"rounds-{job.atlas}-{job.id}",
        alt=f"Grid of {len(rows)} languages by {shown.rounds + 1} rounds of training; rounds done: {read}.",
        how="Filled: done"
        + (
            " by all sub-networks of the language (its seeds and methods); a fraction: by so many."
            if several
            else "."
        )
        + " Outlined: being trained now. Grey: not done yet. At 0 the unpruned model is trained, for comparison.",
        table=pd.DataFrame(
            [
                (t.task, t.language, t.method, t.seed, t.state, t.rounds, shown.rounds + 1 - t.first)
                for t in shown.tickets
            ],
            columns=["task", "language", "method", "seed", "state", "rounds_done", "rounds"],
        ),
    )
    return rounds_figure(rows, THEMES[st.context.theme.type or "light"]), about


def run_origin(job: Job, shown: Snapshot) -> Origin:
    """Where the numbers of a run's figures come from: the run, not the atlas that the other pages look at."""
    tickets = shown.tickets
    model = next((after for word, after in pairwise(job.command) if word == "--model"), NOT_RECORDED)
    return Origin(
        atlas=job.atlas,
        model=form.model_name(model),
        tasks=tuple(dict.fromkeys(ticket.task for ticket in tickets)),
        methods=tuple(dict.fromkeys(ticket.method for ticket in tickets)),
        facts=(
            ("Languages", ", ".join(in_paper_order({ticket.language for ticket in tickets}))),
            ("Seeds", ", ".join(map(str, sorted({ticket.seed for ticket in tickets})))),
            ("Rounds", str(shown.rounds)),
            ("Steps a round", str(shown.round_steps)),
            (
                "Run",
                f"{words.phase_name(job.phase)}, {shown.tickets_done} of {len(tickets)} sub-networks finished",
            ),
        ),
        tickets=(),
    )


def score_lines(shown: Snapshot) -> list[ScoreLine]:
    """The scores that there are, by method and language."""
    found: dict[tuple[str, str], dict[float, list[float]]] = {}
    for ticket in shown.tickets:
        for sparsity, value in ticket.scores:
            line = found.setdefault((ticket.method, ticket.language), {})
            line.setdefault(sparsity, []).append(value)
    order = in_paper_order({language for _, language in found})
    keys = sorted(found, key=lambda key: (key[0], order.index(key[1])))
    return [ScoreLine(language, method, found[method, language]) for method, language in keys]


def live_scores(job: Job, shown: Snapshot, lines: list[ScoreLine]) -> tuple[Drawn, Described]:
    """Scores by sparsity, as far as they are known."""
    latest = "; ".join(
        f"{plain_name(line.language)} {sum(values) / len(values):.3f} at {100 * level:g} %"
        for line in lines
        for level, values in [max(line.values.items())]
    )
    metric = shown.metric or "score"
    several = any(len(values) > 1 for line in lines for values in line.values.values())
    about = Described(
        name=f"scores-{job.atlas}-{job.id}",
        alt=f"{metric} by share of weights removed, a line a language; the last so far: {latest}.",
        how=f"{metric_line(metric)} on texts not trained on; at 0 the unpruned model. "
        + ("Mean over the seeds that are there so far, whiskers from lowest to highest." if several else ""),
        table=pd.DataFrame(
            [
                (t.task, t.language, t.method, t.seed, sparsity, metric, value)
                for t in shown.tickets
                for sparsity, value in t.scores
            ],
            columns=["task", "language", "method", "seed", "sparsity", "metric", "value"],
        ),
    )
    theme = THEMES[st.context.theme.type or "light"]
    return live_scores_figure(lines, metric_name(metric), shown.rounds, theme), about


def ask(given: Offers, address: Address) -> tuple[Choices, dict[str, st.delta_generator.DeltaGenerator]]:
    """Draw the form. Gives what is chosen and, for each control, the place for what stands against it."""
    places: dict[str, st.delta_generator.DeltaGenerator] = {}
    left, middle, right = st.columns(3, gap="medium")
    with left:
        model = _model(given, address)
        places["model"] = st.empty()
    with middle:
        tasks = given.tasks
        task = address.choose("run_task", {t: t for t in tasks}, tasks[0], "the task")
        st.selectbox("Task", tasks, key="run_task", format_func=task_name, persist_state="session")
    with right:
        known = given.data(task)
        data = known[
            address.choose("run_data", {name: name for name in known}, next(iter(known)), "the data")
        ]
        st.selectbox(
            "Text",
            list(known),
            key="run_data",
            format_func=lambda name: "Comes with the program (CLDR)" if name == "cldr" else name,
            persist_state="session",
            help=DATA_HELP,
        )
        places["data"] = st.empty()
    languages = _languages(task, data, address, places)
    columns = st.columns([2, 2, 1, 1, 1.3], gap="medium")
    with columns[0]:
        method = address.choose("run_method", {m: m for m in form.METHODS}, "imp", "the method")
        st.selectbox(
            "Method",
            list(form.METHODS),
            key="run_method",
            format_func=lambda name: form.METHODS[name],
            persist_state="session",
            help=METHOD_HELP,
        )
    with columns[1]:
        seeds = _some("Seeds", "run_seeds", form.SEEDS, (0, 1), address, "the seeds", SEEDS_HELP)
        places["seeds"] = st.empty()
    with columns[2]:
        rounds = address.number("run_rounds", 9, 1, 9, "rounds")
        st.number_input("Rounds", 1, 9, key="run_rounds", persist_state="session", help=ROUNDS_HELP)
    with columns[3]:
        steps = address.number("run_steps", 30, 1, form.MOST_STEPS, "steps a round")
        st.number_input(
            "Steps a round", 1, form.MOST_STEPS, key="run_steps", persist_state="session", help=STEPS_HELP
        )
    with columns[4]:
        rate = address.choose("run_rate", {r: r for r in form.RATES}, "0.0005", "the learning rate")
        st.selectbox("Learning rate", form.RATES, key="run_rate", persist_state="session", help=RATE_HELP)
    atlas = address.text("run_atlas", "mine", "the name of an atlas")
    st.text_input(
        "Atlas to write to", key="run_atlas", max_chars=80, persist_state="session", help=ATLAS_HELP
    )
    places["atlas"] = st.empty()
    preset, criterion, scope, epochs = _more(address)
    chosen = Choices(
        *(model, task, data, languages, seeds, method, rounds, steps, rate, atlas.strip()),
        *(criterion, scope, epochs, preset),
    )
    return chosen, places


def _more(address: Address) -> tuple[str, str, str, int]:
    """The settings that most runs leave as they are: preset, criterion, scope, epochs."""
    presets = (form.NO_PRESET, *PRESETS)
    preset = address.choose("run_preset", {name: name for name in presets}, form.NO_PRESET, "the preset")
    criteria, scopes = form.CRITERION_NAMES, form.SCOPE_NAMES
    criterion = address.choose("run_criterion", {c: c for c in criteria}, "magnitude", "the criterion")
    scope = address.choose("run_scope", {s: s for s in scopes}, form.FITTING, "the scope")
    epochs = address.number("run_epochs", 0, 0, form.MOST_EPOCHS, "passes a round")
    usual = (preset, criterion, scope, epochs) == (form.NO_PRESET, "magnitude", form.FITTING, 0)
    with st.expander("More settings", expanded=not usual):
        left, right = st.columns(2, gap="medium")
        with left:
            st.selectbox(
                "Settings of the paper",
                presets,
                key="run_preset",
                format_func=form.preset_name,
                on_change=_fill_in,
                persist_state="session",
                help=PRESET_HELP,
            )
            st.selectbox(
                "Weights to remove",
                list(criteria),
                key="run_criterion",
                format_func=criteria.__getitem__,
                persist_state="session",
                help=CRITERION_HELP,
            )
        with right:
            st.number_input(
                "Passes over the text a round",
                0,
                form.MOST_EPOCHS,
                key="run_epochs",
                persist_state="session",
                help=EPOCHS_HELP,
            )
            st.selectbox(
                "Compared with one another",
                list(scopes),
                key="run_scope",
                format_func=scopes.__getitem__,
                persist_state="session",
                help=SCOPE_HELP,
            )
        if preset != form.NO_PRESET:
            st.caption(form.preset_words(PRESETS[preset]))
    return preset, criterion, scope, epochs


def _fill_in() -> None:
    """Put what the chosen preset says into the form."""
    name = st.session_state["run_preset"]
    if name != form.NO_PRESET:
        st.session_state.update(form.filled_in(PRESETS[name]))


def offer_start(there: Board, given: Offers, chosen: Choices, verdict: form.Verdict, may: bool) -> None:
    """Say what the run will cost and how it is typed, and offer to start it."""
    if verdict.cost is not None and not verdict.wrong.keys() & {"languages", "seeds"}:
        plan, estimate = verdict.cost.plan, verdict.cost.time
        levels, steps = plan.recipe.rounds, None if chosen.epochs else plan.recipe.training.steps
        text = words.cost_sentence(plan.tickets, plan.there, plan.rounds, levels, steps)
        if estimate is not None:
            name = form.model_name(chosen.model)
            span = (estimate.middle, estimate.low, estimate.high)
            text += f" {words.time_sentence(*span, estimate.tickets, name)}"
        elif plan.steps and not chosen.epochs:
            text += f" {words.UNKNOWN_TIME}"
        st.markdown(text)
    command = chosen.command(given.root)
    if verdict.wrong:
        st.caption("The command, and the start, come when what is marked above is set right.")
    else:
        states.show_command(command_line(command))
        st.caption(
            f"This is what runs, in the folder above `{given.root.name}/`"
            + (", with `--progress FILE` added so that this page can follow it." if may else ".")
        )
    if may:
        st.button(
            "Start",
            type="primary",
            key="run_start",
            disabled=bool(verdict.wrong),
            on_click=_start,
            args=(there, command, chosen.atlas),
        )
    _refusal("form")


def _model(given: Offers, address: Address) -> str:
    names = list(given.models)
    if given.any_model:
        name = address.text("run_model", form.DEMO, "the model")
        st.selectbox(
            "Model",
            names,
            key="run_model",
            accept_new_options=True,
            placeholder="A name on the hub",
            persist_state="session",
            help=f"{MODEL_HELP} Another name of the hub can be typed; the model is fetched when the run starts.",
        )
    else:
        name = address.choose("run_model", {n: n for n in names}, form.DEMO, "the model")
        st.selectbox("Model", names, key="run_model", persist_state="session", help=MODEL_HELP)
    return given.models.get(name, name.strip())


def _languages(
    task: str, data: str, address: Address, places: dict[str, st.delta_generator.DeltaGenerator]
) -> tuple[str, ...]:
    refused = ""
    try:
        known = form.languages_of(task, data)
    except LsnError as error:
        known, refused = (), states.sentence(str(error))
    default = tuple(code for code in ("en", "zh", "sw") if code in known) or known[:3]
    chosen = _some(
        "Languages", "run_languages", known, default, address, "the languages", None, language_line
    )
    places["languages"] = st.empty()
    if refused:
        places["languages"].error(refused)
    return chosen


def _some(
    label: str,
    key: str,
    known: tuple,
    default: tuple,
    address: Address,
    what: str,
    help_text: str | None,
    name: Callable[[Any], str] = str,
) -> tuple:
    """Choose some of several, in their own order; none chosen stays none."""
    chosen = address.some(key, {str(one): one for one in known}, default, what)
    st.multiselect(
        label,
        known,
        key=key,
        format_func=name,
        persist_state="session",
        help=help_text,
        placeholder="Choose",
    )
    return tuple(one for one in known if one in chosen)


def _start(there: Board, command: list[str], atlas: str) -> None:
    """Start a run and show it."""

    def start() -> None:
        st.session_state["run"] = there.start(command, atlas).id

    _do("form", start)


def _do(where: str, act: Callable[..., object], *arguments: str) -> None:
    """Do what a button says, if it is allowed; keep what speaks against it to be shown at `where`."""
    try:
        if not permissions.may_discover():
            raise LsnError("runs are not started, stopped or resumed on this server")
        act(*arguments)
    except LsnError as error:
        st.session_state[_REFUSED] = (where, states.sentence(str(error)))


def _refusal(where: str) -> None:
    """Say once why a button did nothing."""
    if st.session_state.get(_REFUSED, ("", ""))[0] == where:
        st.error(st.session_state.pop(_REFUSED)[1])


def _run_line(job: Job) -> str:
    begun = time.strftime("%d %b %Y, %H:%M UTC", time.gmtime(job.begun))
    return f"{job.atlas}: {words.phase_name(job.phase)} · {begun}"
