"""The Transfer page between tasks: how well a language's sub-network for one task serves another task."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lsn_core.analysis.networks import NetworkScores
from lsn_core.analysis.transfer import task_transfer
from lsn_core.analysis.words import over_seeds
from lsn_core.masks.ticket import SPARSITY_TOLERANCE
from lsn_core.ui import states, store
from lsn_core.ui.figures import Described
from lsn_core.ui.view import View
from lsn_core.viz.drawing import Drawn
from lsn_core.viz.labels import SEED_LINES, metric_line, metric_name, plain_name, task_name
from lsn_core.viz.networks import networks_figure
from lsn_core.viz.words.networks import DIGITS, read_out, task_sentence


def other_tasks(view: View) -> list[str]:
    """The atlas's tasks beside the view's."""
    return [task for task in view.catalogue.tasks if task != view.task]


def sources(view: View) -> list[str]:
    """The tasks whose sub-networks were trained for the view's task at its sparsity; CannotDraw without any."""
    table, _ = store.transfer(view.atlas)
    mine = table[(table["kind"] == "task") & (table["task"] == view.task)]
    near = mine[(mine["sparsity"] - view.sparsity).abs() <= SPARSITY_TOLERANCE]
    if near.empty:
        levels = {round(float(level), 9) for level in mine["sparsity"]}
        ways = [
            states.Way(f"Show {100 * level:g} %", "sparsity", level)
            for level in view.catalogue.levels(view.task, view.method)
            if level in levels
        ]
        others = other_tasks(view)
        raise states.CannotDraw(states.no_task_transfer(view.atlas, view.task, others, view.sparsity, ways))
    return sorted(set(near["source_task"]))


def select(view: View, source_task: str) -> NetworkScores:
    """The scores of another task's sub-networks and of what stands beside them, for the view's languages.

    Raises CannotDraw where the side bar leaves none.
    """
    table, _ = store.transfer(view.atlas)
    found = task_transfer(table, view.task, source_task, view.sparsity, view.languages, view.seeds)
    if found is None:
        raise states.CannotDraw(
            states.transfer_elsewhere("transfer between tasks", "for other languages or seeds")
        )
    return found


def sentence(view: View, source_task: str, found: NetworkScores) -> str:
    """The line above the figure."""
    return task_sentence(found, task_name(source_task), task_name(view.task), view.sparsity)


def figure(view: View, source_task: str, found: NetworkScores) -> tuple[Drawn, Described]:
    """A row a language: the other task's sub-network, the task's own, the controls, the dense model."""
    names = _names(source_task, found)
    scores = {words: found.scores[name] for name, words in names.items()}
    metric = found.metric
    missing = [plain_name(code) for code in view.languages if code not in found.languages]
    about = Described(
        name=f"task-transfer-{view.atlas.name}-{source_task}-{view.task}-{100 * view.sparsity:g}",
        alt=f"{metric_line(metric)} by language, on average: {read_out(found, names)}. "
        + sentence(view, source_task, found).replace("**", ""),
        how=f"{metric_line(metric)} on test data of each language for {task_name(view.task)}, after "
        "training for it in that language from the pretrained weights. Random: as many weights in every matrix as "
        "the other task's sub-network, drawn by lot. Pretrained alone: the largest pretrained weights. "
        f"{over_seeds(found.seeds, SEED_LINES)}."
        + (f" Not measured: {', '.join(missing)}." if missing else "")
        + f" Atlas {view.atlas.name}, model {view.atlas.model['name']}.",
        table=_table(found, names),
    )
    return networks_figure(found.languages, scores, metric_name(metric), DIGITS, view.theme), about


def _names(source_task: str, found: NetworkScores) -> dict[str, str]:
    """The networks that were measured, in words, in the order that they are drawn in."""
    names = {
        "other": f"sub-network for {source_task}",
        "own": "own sub-network",
        "base": "pretrained alone",
        "random": "random",
        "dense": "unpruned model",
    }
    return {name: words for name, words in names.items() if found.known(name)}


def _table(found: NetworkScores, names: dict[str, str]) -> pd.DataFrame:
    """One row a network, language and seed that was measured."""
    rows: Sequence[dict[str, object]] = [
        {"network": words, "language": language, "seed": seed, "metric": found.metric, "score": float(score)}
        for name, words in names.items()
        for place, language in enumerate(found.languages)
        for seed, score in zip(found.seeds, found.scores[name][:, place], strict=True)
    ]
    return pd.DataFrame(rows).dropna(subset=["score"])
