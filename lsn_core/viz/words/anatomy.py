"""One sub-network taken apart and two side by side, in sentences computed from the counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lsn_core.viz.labels import PRETRAINED, scope_name
from lsn_core.viz.words.core import per_cent

ALIKE = 0.01  # two sub-networks keep as many weights where their numbers differ by less than this share


@dataclass(frozen=True)
class Kept:
    """What a sub-network called `name` keeps: numbers of weights, and its `density` by matrix in words."""

    name: str
    kept: float
    size: float
    density: Mapping[str, float]


@dataclass(frozen=True)
class Shared:
    """What two sub-networks share: numbers of weights, and Jaccard indices; NaN where unknown.

    `jaccard` is over the whole, `chance` and `reference` what it is held against, and `by_place` its values by
    matrix in words.
    """

    left: float
    right: float
    both: float
    jaccard: float
    chance: float
    reference: float
    by_place: Mapping[str, float]


def place_name(layer: str, component: str) -> str:
    """A layer and component within a sentence; `layer` is "none" for a matrix outside the layers."""
    kind = component_kind(component)
    return f"the {kind} matrix" + ("" if layer == "none" else f" of {scope_name(layer).lower()}")


def component_kind(component: str) -> str:
    """A component before the word "matrix": hyphens keep the last word of "feed-forward in" from reading on."""
    return component.replace("feed-forward ", "feed-forward-")


def within(name: str) -> str:
    """A sub-network's name within a sentence: that of the pretrained weights is no proper name."""
    return name[:1].lower() + name[1:] if name.startswith(PRETRAINED) else name


def kept_sentence(own: Kept, in_base: float) -> str:
    """Markdown on one sub-network; `in_base` is the share of its weights that the pretrained weights alone
    would keep too, NaN where unknown."""
    text = f"**{own.name}** keeps **{per_cent(100 * own.kept / own.size)}** of all prunable weights"
    if len(own.density) > 1:
        most, least = (pick(own.density, key=lambda place: own.density[place]) for pick in (max, min))
        text += (
            f"; the fullest is {most} ({per_cent(100 * own.density[most])}), the emptiest {least} "
            f"({per_cent(100 * own.density[least])})"
        )
    if np.isfinite(in_base):
        text += f". Of what it keeps, the pretrained weights alone would keep {per_cent(100 * in_base)} too"
    return f"{text}."


def shared_sentence(names: tuple[str, str], shared: Shared) -> str:
    """Markdown on two sub-networks, the first called `names[0]`."""
    either = shared.left + shared.right - shared.both
    if not either:
        return "Neither keeps a weight, so there is nothing to share."
    if shared.both == either:
        return "Both keep the very same weights."
    text = f"Of the weights that either keeps, both keep **{per_cent(100 * shared.jaccard)}**"
    if np.isfinite(shared.reference):
        text += f"; the pretrained weights alone would give {per_cent(100 * shared.reference)}"
        text += f", chance {per_cent(100 * shared.chance)}"
    else:
        text += f"; chance would give {per_cent(100 * shared.chance)}"
    fewer, more = sorted((shared.left, shared.right))
    if fewer and more - fewer > ALIKE * more:
        small, large = names if shared.left < shared.right else names[::-1]
        text += (
            f". {small} keeps fewer weights than {within(large)}, so that at most {per_cent(100 * fewer / more)} could "
            f"be shared; of its weights, {within(large)} keeps {per_cent(100 * shared.both / fewer)}"
        )
    known = {place: value for place, value in shared.by_place.items() if np.isfinite(value)}
    if len(known) > 1:
        most, least = (pick(known, key=lambda place: known[place]) for pick in (max, min))
        text += (
            f". They share most in {most} ({per_cent(100 * known[most])}) and least in {least} "
            f"({per_cent(100 * known[least])})"
        )
    return f"{text}."


def heads_sentence(name: str, component: str, heads: Mapping[str, np.ndarray]) -> str:
    """Markdown on the attention heads of a component; `heads` maps layers to the density of each head."""
    found = {(layer, head): float(value) for layer, row in heads.items() for head, value in enumerate(row)}
    most, least = (pick(found, key=lambda place: found[place]) for pick in (max, min))
    return (
        f"{name} keeps the largest share of a head's {component} weights in head {most[1]} of {most[0]} "
        f"({per_cent(100 * found[most])}) and the smallest in head {least[1]} of {least[0]} "
        f"({per_cent(100 * found[least])}); there are {len(found)} heads."
    )


def _those_of(what: str, those: np.ndarray) -> str:
    """The first of those rows or columns, and how many there are more."""
    first, *others = np.flatnonzero(those).tolist()
    return f"{what} {first}" + (f" and {len(others)} more" if others else "")


def lines_sentence(name: str, what: str, density: np.ndarray, outside: float) -> str:
    """Markdown on the densities of a matrix's rows, columns or heads, `what` in the singular.

    `outside` is the share of them beyond where 95 % would lie, were the kept weights drawn by lot.
    """
    if density.min() == density.max():
        return f"Every {what} of {within(name)} keeps {per_cent(100 * density[0])}."
    most, least = density.max(), density.min()
    return (
        f"{name} keeps the largest share in {_those_of(what, density == most)} ({per_cent(100 * most)}) and the smallest "
        f"in {_those_of(what, density == least)} ({per_cent(100 * least)}); {per_cent(100 * outside)} of the {what}s lie outside the band, "
        "where 5 % would lie if its weights were drawn by lot."
    )
