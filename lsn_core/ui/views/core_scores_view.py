"""What a core scores after training, on the Neutral core page: from the table to a figure with its numbers."""

from __future__ import annotations

import pandas as pd

from lsn_core.analysis.core_scores import CoreScores, WhichCore, core_scores, rows_of_core, scored_cores
from lsn_core.analysis.networks import NetworkScores
from lsn_core.analysis.words import over_seeds
from lsn_core.errors import LsnError
from lsn_core.masks.ticket import SPARSITY_TOLERANCE
from lsn_core.ui import controls, states, store
from lsn_core.ui.figures import Described
from lsn_core.ui.view import View
from lsn_core.viz.drawing import Drawn
from lsn_core.viz.labels import SEED_LINES, metric_line, metric_name, plain_name
from lsn_core.viz.networks import networks_figure
from lsn_core.viz.words.networks import DIGITS, core_score_sentence, read_out

NAMES = {
    "core": "core",
    "own": "own sub-network",
    "base": "largest pretrained, as many",
    "random": "random, as many",
    "dense": "unpruned model",
}
METHOD = "imp"  # the sub-networks whose cores are scored


def select(view: View, k: int) -> CoreScores:
    """The score of the core of at least `k` of the view's languages; CannotDraw, with ways out, without one."""
    if view.method != METHOD:
        raise states.CannotDraw(states.core_of_another_method(METHOD))
    try:
        rows = store.core_rows(view.atlas)
    except LsnError as error:
        raise states.CannotDraw(states.unforeseen(str(error), view.atlas.path)) from error
    which = WhichCore(view.task, view.sparsity, view.languages, k)
    mine = rows_of_core(rows, which)
    seeds = set(mine.loc[mine["control"] == "", "seed"])
    if not seeds & set(view.seeds):
        raise states.CannotDraw(_missing(view, rows, which, sorted(seeds)))
    return core_scores(rows, which, seeds & set(view.seeds))


def sentence(found: CoreScores) -> str:
    """The line above the figure."""
    return core_score_sentence(found)


def notes(view: View, found: CoreScores) -> str:
    """Which of the view's seeds are missing; empty when none is."""
    missing = [str(seed) for seed in view.seeds if seed not in found.networks.seeds]
    return f"Not measured with seed {', '.join(missing)}." if missing else ""


def figure(view: View, found: CoreScores) -> tuple[Drawn, Described]:
    """A row a language: the core, its own sub-network, the two controls as large as the core, the dense model."""
    networks = found.networks
    order = [networks.languages.index(code) for code in view.languages]
    scores = {words: networks.scores[name][:, order] for name, words in NAMES.items() if networks.known(name)}
    metric = networks.metric
    fig = networks_figure(view.languages, scores, metric_name(metric), DIGITS, view.theme)
    which = found.which
    about = Described(
        name=f"core-score-{view.atlas.name}-{view.task}-{100 * view.sparsity:g}-{which.at_least}of{len(which.members)}",
        alt=f"{metric_line(metric)} by language, on average: {read_out(networks, NAMES)}. "
        + sentence(found).replace("**", ""),
        how=f"{metric_line(metric)} on test data of each language, after training on its text from the "
        "pretrained weights, all networks alike. Random: as many weights as the core in every matrix, drawn by "
        "lot. Largest pretrained: as many in all, chosen before any language was looked at; what many languages "
        f"keep is mostly that. The whole core, whichever part is chosen above. {over_seeds(networks.seeds, SEED_LINES)}. Atlas {view.atlas.name}, model "
        f"{view.atlas.model['name']}.",
        table=_table(networks),
    )
    return fig, about


def _table(networks: NetworkScores) -> pd.DataFrame:
    """One row a network, language and seed that was measured."""
    rows = [
        {
            "network": words,
            "language": language,
            "seed": seed,
            "metric": networks.metric,
            "score": float(score),
        }
        for name, words in NAMES.items()
        if name in networks.scores
        for place, language in enumerate(networks.languages)
        for seed, score in zip(networks.seeds, networks.scores[name][:, place], strict=True)
    ]
    return pd.DataFrame(rows).dropna(subset=["score"])


def _missing(view: View, rows: pd.DataFrame, which: WhichCore, seeds: list[int]) -> states.Trouble:
    """What to do where this core has no score: another that has one, or the command."""
    if seeds:
        return states.core_score_of_other_seeds(seeds)
    ways = []
    for other in scored_cores(rows, view.task):
        if set(other.members) != set(view.languages):
            continue
        offered = [
            level
            for level in view.catalogue.levels(view.task, view.method)
            if abs(level - other.sparsity) <= SPARSITY_TOLERANCE
        ]
        if abs(other.sparsity - view.sparsity) <= SPARSITY_TOLERANCE:
            token = controls.core_token(other.at_least, len(view.languages))
            ways.append(states.Way(f"Show the core of {_count(other)}", "k", token))
        elif offered and other.at_least == which.at_least:
            ways.append(states.Way(f"Show {100 * other.sparsity:g} %", "sparsity", offered[0]))
    there = sorted({_in_words(other) for other in scored_cores(rows, view.task)})
    return states.no_core_score(
        view.atlas,
        view.task,
        view.sparsity,
        which.at_least,
        view.languages if view.languages_chosen else (),
        there,
        ways,
    )


def _count(which: WhichCore) -> str:
    n = len(which.members)
    return f"all {n}" if which.at_least == n else f"at least {which.at_least} of {n}"


def _in_words(which: WhichCore) -> str:
    names = ", ".join(plain_name(code) for code in which.members)
    return f"{_count(which)} languages ({names}) with {100 * which.sparsity:g} % removed"
