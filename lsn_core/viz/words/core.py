"""The neutral core in sentences, computed from the numbers on screen, with the range over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lsn_core.analysis.words import everyone
from lsn_core.viz.labels import plain_name


@dataclass(frozen=True)
class CoreSize:
    """The weights kept by at least `k` of `n` languages, and what to hold them against.

    `core`, `reference` and `chance` are numbers of weights, one a seed; `reference` is NaN where unknown.
    `kept` is what one sub-network keeps, the mean over languages and seeds, and `alike` says whether all keep
    as many.
    """

    n: int
    k: int
    kept: float
    alike: bool
    core: np.ndarray
    reference: np.ndarray
    chance: np.ndarray


def core_sentence(size: CoreSize, sparsity: float, where: str) -> str:
    """Markdown for the line above the figures. `where` is a part of the model, as in "over the whole model"."""
    if not size.kept:
        return f"With {100 * sparsity:g} % of the weights removed, no language keeps a weight {where}."
    usual = "" if size.alike else " on average"
    percent = 100 * size.core / size.kept
    number = f"**{size.core.mean():,.0f}**"
    seeds = _range(size.core, percent)
    if size.k == size.n:
        text = (
            f"Of the {size.kept:,.0f} weights that a sub-network keeps{usual} {where} with {100 * sparsity:g} % "
            f"removed, {everyone(size.n)} keep {number}, that is **{per_cent(percent.mean())}** of them{seeds}"
        )
    else:
        text = (
            f"With {100 * sparsity:g} % of the weights removed, a sub-network keeps {size.kept:,.0f} "
            f"weights{usual} {where}. At least {size.k} of {size.n} languages keep {number}, that is "
            f"**{per_cent(percent.mean())}** as many{seeds}"
        )
    chance, reference = (100 * each.mean() / size.kept for each in (size.chance, size.reference))
    if np.isfinite(reference):
        text += f"; the pretrained weights alone would give {per_cent(reference)}, chance {per_cent(chance)}."
    else:
        text += f"; chance would give {per_cent(chance)}, what the pretrained weights alone would give is unknown."
    if np.nanmax([percent.mean(), chance, reference]) > 100:
        text += " It may be more than 100 %, as no language need keep all of the weights that so many keep."
    return text


def every_k_sentence(n: int, differences: np.ndarray) -> str:
    """For which k the core is larger, and for which smaller, than the reference; a guard against reading one k.

    `differences` is (seeds, n): the core of at least 1..n languages less its reference, in weights.
    """
    signs = np.sign(np.rint(differences))
    ks = np.arange(1, n + 1)
    groups = {
        "larger for": ks[(signs > 0).all(axis=0)],
        "smaller for": ks[(signs < 0).all(axis=0)],
        "neither, in all seeds alike, for": ks[~((signs > 0).all(axis=0) | (signs < 0).all(axis=0))],
    }
    found = [f"{words} k = {_runs(group.tolist())}" for words, group in groups.items() if len(group)]
    return (
        f"Do not read one core by itself. If a weight of the core must be kept by at least k of the {n} languages, "
        f"the core is, against the pretrained weights alone, {', '.join(found)}. Over all k these differences add up "
        "to nothing, because the "
        "sub-networks keep as many weights either way: weights that move towards “kept by all” or “kept by "
        "none” are missing in between."
    )


def alone_sentence(counts: Mapping[str, float], kept: float, reference: Sequence[float], where: str) -> str:
    """Markdown on the weights that one language alone keeps: `counts` by language code, means over seeds.

    `kept` is what a sub-network keeps there on average; `reference` what the pretrained weights alone would
    leave to each language, NaN where unknown.
    """
    most, least = max(counts, key=lambda code: counts[code]), min(counts, key=lambda code: counts[code])
    if counts[most] == 0:
        return f"No language keeps a weight {where} that no other keeps."
    mean = float(np.mean(list(counts.values())))
    text = (
        f"A language keeps on average **{mean:,.0f}** weights {where} that no other of these languages keeps, "
        f"{per_cent(100 * mean / kept)} of what it keeps: from {counts[least]:,.0f} ({plain_name(least)}) to "
        f"{counts[most]:,.0f} ({plain_name(most)})"
    )
    if not np.isfinite(reference).all():
        return f"{text}."
    return f"{text}; the pretrained weights alone would give {np.mean(reference):,.0f}."


def places_sentence(who: str, values: Mapping[str, np.ndarray], whole: np.ndarray) -> str:
    """Markdown on where the core of `who` differs most from the reference.

    `values` maps the parts' names, with their article, to the difference in percentage points, one a seed (NaN where
    undefined); `whole` is the same of the whole model.
    """
    known = {name: found for name, found in values.items() if np.isfinite(found).all()}
    if not known or not np.isfinite(whole).all():
        return "In no part of the model is there anything to compare."
    most = max(known, key=lambda name: known[name].mean())
    least = min(known, key=lambda name: known[name].mean())
    side = "larger" if whole.mean() >= 0 else "smaller"
    return (
        f"Over the whole model, the core of {who} is {side} than the pretrained weights alone would make it "
        f"({_points(whole)} of what one sub-network keeps). The difference is highest in {most} "
        f"({_points(known[most])}) and lowest in {least} ({_points(known[least])})."
    )


def per_cent(value: float) -> str:
    """A percentage with as many digits as it needs not to read as nothing or as all."""
    if value == 0 or 0.05 <= value < 99.95 or value >= 100:
        return f"{value:.1f} %"
    if value >= 99.95:
        return f"{value:.2f} %" if value < 99.995 else "almost 100 %"
    return f"{value:.2f} %" if value >= 0.005 else "less than 0.01 %"


def _range(core: np.ndarray, percent: np.ndarray) -> str:
    """The range over seeds in brackets; empty with one seed."""
    if len(core) == 1:
        return ""
    low, high = per_cent(percent.min()), per_cent(percent.max())
    ends = f", {low} to {high}" if low != high else ""
    return f" (mean over {len(core)} seeds; {core.min():,.0f} to {core.max():,.0f}{ends})"


def signed(value: float) -> str:
    """A difference in percentage points, with its sign."""
    return f"{value:+.1f}".replace("-", "−")


def _points(values: np.ndarray) -> str:
    low, high = signed(values.min()), signed(values.max())
    over = "" if low == high else f", over seeds {low} to {high}"
    return f"{signed(values.mean())} percentage points{over}"


def _runs(ks: Sequence[int]) -> str:
    """Whole numbers in rising order, neighbours drawn together: "1, 6 to 10"."""
    runs: list[list[int]] = []
    for k in ks:
        if runs and k == runs[-1][-1] + 1:
            runs[-1].append(k)
        else:
            runs.append([k])
    words = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
