"""Language trees in sentences: how well they fit, which groups a cut gives, how they stand beside the families."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lsn_core.analysis.tree_comparison import Comparison
from lsn_core.analysis.trees import Group
from lsn_core.viz.labels import listed, p_value, signed

FIRM, ESTABLISHED = 0.7, 0.5
"""Support from which a group counts as firm, and below which it does not count as established."""
SHOWN = 0.05  # p up to which a likeness is said to be shown
MOST_GROUPS = 6  # groups of several languages that a sentence names


def tree_sentence(
    count: int, cophenetic: float, firm: Sequence[Sequence[str]] | None, weak: int, distance: str
) -> str:
    """Markdown for the line above the language tree.

    Args:
        count: number of languages.
        cophenetic: correlation of the tree's distances with the measured ones.
        firm: the clades found again in at least `FIRM` of the resamples, each as language codes, without the
            whole; None where nothing could be resampled.
        weak: how many clades were not.
        distance: the measure the distances are made from.
    """
    if cophenetic >= 0.9:
        fit = "follows the measured distances closely"
    elif cophenetic >= 0.75:
        fit = "follows the measured distances roughly"
    else:
        fit = "fits the measured distances badly: read it with care"
    text = f"By {distance}, the tree of these {count} languages {fit} (cophenetic correlation {cophenetic:.2f}). "
    if firm is None:
        return text + "How firm its groups are is unknown: there is nothing to resample."
    if not firm:
        return text + (
            f"No group of languages in it is found again in {100 * FIRM:.0f} % of the resamples of seeds and matrices."
        )
    groups = sorted(firm, key=len)[:3]
    named = "; ".join(listed(group) for group in groups)
    rest = f", and {len(firm) - len(groups)} more" if len(firm) > len(groups) else ""
    others = "One other group is not, and is" if weak == 1 else f"{weak} other groups are not, and are"
    weak_words = f" {others} drawn thin and faint." if weak else ""
    return text + f"Found again in at least {100 * FIRM:.0f} % of the resamples: {named}{rest}.{weak_words}"


def support_words(share: float) -> str:
    """What a clade's support means."""
    if np.isnan(share):
        return "support unknown"
    percent = f"in {100 * share:.0f} % of the resamples"
    if share >= FIRM:
        return f"firm: {percent}"
    return f"uncertain: {percent}" if share >= ESTABLISHED else f"not established: {percent}"


def cut_sentence(groups: Sequence[Group]) -> str:
    """Markdown on the groups that a cut gives, from top to bottom, and how well each is supported."""
    if len(groups) == 1:
        return "The cut leaves all languages in one group; move it to see smaller ones."
    several = [group for group in groups if len(group.labels) > 1]
    alone = [group.labels[0] for group in groups if len(group.labels) == 1]
    if not several:
        return f"The cut leaves each of the {len(groups)} languages on its own."
    start = f"**Cut into {len(groups)} groups**"
    named = [f"{listed(group.labels)} ({support_words(group.support)})" for group in several[:MOST_GROUPS]]
    if len(several) > MOST_GROUPS:
        named.append(f"{len(several) - MOST_GROUPS} more groups")
    if alone:
        named.append(f"{listed(alone)} {'alone' if len(alone) == 1 else 'each alone'}")
    text = f"{start}: {'; '.join(named)}."
    known = [group.support for group in several if not np.isnan(group.support)]
    if known and max(known) < ESTABLISHED:
        text += " Other seeds, or other matrices of the model, may well group the languages differently."
    return text


def comparison_sentence(found: Comparison) -> str:
    """Markdown on whether the measured tree is like the family tree, and how that was judged."""
    if not found.reference_groups:
        return "None of these languages are closer relatives than others, so there is no family tree to stand beside."
    family = "one group" if found.reference_groups == 1 else f"{found.reference_groups} groups"
    have = f"Of the {family} in the family tree, the measured tree has **{found.shared or 'none'}**"
    tests = [
        ("Robinson–Foulds distance", f"{found.robinson_foulds:.2f}", found.p_robinson_foulds),
        ("Baker's gamma", signed(found.gamma, 2), found.p_gamma),
    ]
    made = [test for test in tests if not np.isnan(test[2])]
    if not made:
        return f"{have}. The measures are undefined here, as one of the two trees joins all at once."
    shown = [name for name, _, p in made if p <= SHOWN]
    numbers = "; ".join(f"{name} {value}, p = {p_value(p)}" for name, value, p in made)
    if len(shown) == len(made):
        verdict = "It is **more like the family tree** than with the names shuffled"
    elif shown:
        verdict = f"**By {shown[0]} only**, it is more like the family tree than with the names shuffled"
    else:
        verdict = "That it is more like the family tree than with the names shuffled is **not shown**"
    return f"{have}. {verdict} ({numbers})."
