"""Networks held against each other, in sentences that claim nothing that is within the seeds' spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lsn_core.analysis.core_scores import CoreScores
from lsn_core.analysis.networks import Difference, NetworkScores
from lsn_core.analysis.words import keepers_words
from lsn_core.viz.labels import metric_name, signed
from lsn_core.viz.words.core import per_cent

DIGITS = 3  # of a score and of a difference of scores


def core_score_sentence(found: CoreScores) -> str:
    """Markdown on what a core scores after training, beside the networks it is held against."""
    which, networks = found.which, found.networks
    who = keepers_words(which.at_least, len(which.members))
    size = f"{found.kept['core']:,.0f} weights"
    if "own" in found.kept:
        share = per_cent(100 * found.kept["core"] / found.kept["own"])
        size += f" ({share} of the number in one sub-network)"
    start = (
        f"Trained on one language at a time, what {who} keep, {size}, scores on average "
        f"**{networks.mean('core'):.{DIGITS}f}** ({metric_name(networks.metric)})."
    )
    names = {
        "own": "the language's own sub-network",
        "random": "as many weights drawn by lot",
        "base": "as many of the largest pretrained weights",
        "dense": "the unpruned model",
    }
    return f"{start} {against_words(networks, 'core', names)}"


def task_sentence(found: NetworkScores, source: str, task: str, sparsity: float) -> str:
    """Markdown on how another task's sub-networks serve a task; `source` and `task` are the tasks in words."""
    start = (
        f"With {100 * sparsity:g} % of the weights removed, the sub-network that a language has for **{source}**, "
        f"trained for **{task}** in the same language, scores on average "
        f"**{found.mean('other'):.{DIGITS}f}** ({metric_name(found.metric)})."
    )
    names = {
        "own": "the language's own sub-network for the task",
        "random": "as many weights drawn by lot",
        "base": "the largest pretrained weights",
        "dense": "the unpruned model",
    }
    return f"{start} {against_words(found, 'other', names)}".strip()


def against_words(networks: NetworkScores, name: str, others: Mapping[str, str]) -> str:
    """How a network scores against others, which `others` names in words: one sentence a verdict."""
    differences = {
        words: networks.difference(name, other) for other, words in others.items() if networks.known(other)
    }
    known = {words: found for words, found in differences.items() if found.languages}
    if known and len(networks.seeds) == 1:
        apart = [f"{abs(found.value):.{DIGITS}f} {_side(found)} {words}" for words, found in known.items()]
        return f"That is {_listed(apart)}; with one seed, how much of that is noise is unknown."
    shown = [f"{difference_words(found)} {words}" for words, found in known.items() if found.shown]
    unsure = [f"{words} ({_each(found)})" for words, found in known.items() if not found.shown]
    told = []
    if shown:
        told.append(f"That is {_listed(shown)}.")
    if unsure:
        told.append(
            f"Against {_listed(unsure)} **no difference is shown**: it is less than twice what seeds change."
        )
    return " ".join(told)


def difference_words(found: Difference) -> str:
    """A difference in words with that of every seed: "0.012 below (−0.013 and −0.011 by seed)"."""
    return f"**{abs(found.value):.{DIGITS}f} {_side(found)}** ({_each(found)})"


def _side(found: Difference) -> str:
    return "below" if found.value < 0 else "above"


def _each(found: Difference) -> str:
    values = list(found.by_seed.values())
    if len(values) > 3:
        return f"{signed(min(values), DIGITS)} to {signed(max(values), DIGITS)} over {len(values)} seeds"
    return f"{_listed([signed(value, DIGITS) for value in values])} by seed"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def read_out(networks: NetworkScores, names: Mapping[str, str]) -> str:
    """The means of the networks in `names`, for those who cannot see the figure."""
    means = {words: networks.mean(name) for name, words in names.items() if networks.known(name)}
    return ", ".join(f"{words} {mean:.{DIGITS}f}" for words, mean in means.items() if np.isfinite(mean))
