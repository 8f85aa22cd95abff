"""Controls that belong to one page: which part of the model, which pair of languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from lsn_core.masks.layout import Layout
from lsn_core.ui.address import Address
from lsn_core.viz.labels import everyone, plain_name, scope_name, task_name

SIDE_BY_SIDE = "all"
NO_PAIR = "none"
BY_NAMES = {
    "total": "Whole model",
    "stack": "Stack",
    "layer": "Layers",
    "component": "Components",
    "matrix": "Matrices",
}
PART_HELP = (
    "Count the weights of the whole model together, or of one part of it: a layer, a component (query, "
    "key, value, …) over all layers, or a single weight matrix. Layers are numbered from 0, as in the "
    "model."
)
EVERY = "all"
CORE_HELP = (
    "The core: the weights that at least so many of the languages keep. All of them is the strictest core; "
    "with fewer, weights that some languages remove belong to it too."
)
LARGEST, GROUPS = "largest", "groups"
SETS = {LARGEST: "Largest", GROUPS: "Groups of 2 to {}"}
SETS_HELP = (
    "Most weights that some languages keep and others remove are one language's own, or kept by all but one. "
    "Groups leaves these two kinds out."
)
FEWEST_WITH_GROUPS = 4
LINKAGES = {"average": "Average", "complete": "Complete", "single": "Single"}
LINKAGE_HELP = (
    "How far apart two groups of languages are: the mean over all pairs between them (average), their two "
    "most different languages (complete) or their two most alike ones (single). Ward's linkage is not "
    "offered: it needs Euclidean distances, and these are not."
)

KINDS = {"mask": "The mask", "zero-shot": "Mask and training"}
KIND_HELP = (
    "The mask: the source's sub-network is trained on the target's text, from the pretrained weights. Mask "
    "and training (zero-shot): it is trained on the source's text and then scored on the target, of which "
    "it has seen nothing."
)
SHOWS = {
    "own": "Own",
    "dense": "Dense",
    "random": "Random",
    "base": "Pretrained alone",
    "score": "Nothing",
}
SHOW_HELP = (
    "Own: the sub-network that was found for the target itself. Dense: the whole model, nothing removed. "
    "Random: as many weights in every matrix, drawn by lot. Pretrained alone: the largest pretrained "
    "weights, found for no language. Nothing: the score as it is."
)


@dataclass(frozen=True)
class Part:
    """The part of the model that is looked at; `scope` is None for all the parts of a kind, side by side."""

    by: str
    scope: str | None
    scopes: tuple[str, ...]

    @property
    def single(self) -> str:
        """The scope to give numbers for: the one chosen, or the whole model."""
        return self.scope or "total"

    @property
    def where(self) -> str:
        """The part within a sentence."""
        if self.single == "total":
            return "over the whole model"
        if self.by == "component":
            return f"in the {self.single} matrices"
        if self.by == "matrix":
            return f"in matrix {self.single}"
        return f"in {scope_name(self.single).lower()}"


def part(layout: Layout, address: Address, side_by_side: bool = True) -> Part:
    """Choose a part of the model, or, where `side_by_side` is offered, all the parts of a kind."""
    kinds = [by for by in BY_NAMES if by != "stack" or len(layout.scopes("stack")) > 1]
    by = address.choose("by", {kind: kind for kind in kinds}, "total", "the part")
    st.segmented_control(
        "Part of the model",
        kinds,
        key="by",
        format_func=lambda kind: BY_NAMES[kind],
        required=True,
        wrap=True,
        help=PART_HELP,
        persist_state="session",
    )
    scopes = tuple(scope.label for scope in layout.scopes(by))
    if by == "total":
        return Part(by, "total", scopes)
    options = [*([SIDE_BY_SIDE] if side_by_side and by in ("layer", "component") else []), *scopes]
    chosen = address.choose("scope", {scope: scope for scope in options}, options[0], "the part")
    st.selectbox(
        "Which",
        options,
        key="scope",
        persist_state="session",
        width=260,
        format_func=lambda scope: "All, side by side" if scope == SIDE_BY_SIDE else scope_name(scope),
    )
    return Part(by, None if chosen == SIDE_BY_SIDE else chosen, scopes)


def linkage(address: Address) -> str:
    """Choose how a tree joins groups of languages."""
    chosen = address.choose("linkage", {name: name for name in LINKAGES}, "average", "the linkage")
    st.segmented_control(
        "Linkage",
        list(LINKAGES),
        key="linkage",
        format_func=lambda name: LINKAGES[name],
        required=True,
        help=LINKAGE_HELP,
        persist_state="session",
    )
    return chosen


def core(count: int, address: Address) -> int:
    """Choose by how many of `count` languages a weight of the core must be kept, 1 to `count`.

    All of them is a choice of its own, so that it stays when languages are added or left out.
    """
    options = [EVERY, *(str(k) for k in range(count - 1, 0, -1))]
    known = {token: token for token in options} | {str(count): EVERY}
    chosen = address.choose("k", known, EVERY, "the number of languages")
    st.selectbox(
        "Core: kept by",
        options,
        key="k",
        persist_state="session",
        width=220,
        format_func=lambda token: everyone(count) if token == EVERY else f"at least {token} of {count}",
        help=CORE_HELP,
    )
    return count if chosen == EVERY else int(chosen)


def sets(count: int, address: Address) -> str:
    """Choose which sets of `count` languages are shown; not drawn where there is no choice."""
    if count < FEWEST_WITH_GROUPS:
        return LARGEST
    chosen = address.choose("sets", {name: name for name in SETS}, LARGEST, "the sets")
    st.segmented_control(
        "Which sets",
        list(SETS),
        key="sets",
        format_func=lambda name: SETS[name].format(count - 2),
        required=True,
        help=SETS_HELP,
        persist_state="session",
    )
    return chosen


def core_token(k: int, count: int) -> str:
    """What stands for a core of at least `k` of `count` languages in the control of `core`."""
    return EVERY if k == count else str(k)


def pair(languages: Sequence[str], address: Address) -> tuple[str, str] | None:
    """Choose a pair of languages, or none. A click on a cell sets the same control, through `take_click`."""
    pairs = [(a, b) for k, a in enumerate(languages) for b in languages[k + 1 :]]
    options = [NO_PAIR, *(_pair_token(a, b) for a, b in pairs)]
    either_way = {_pair_token(b, a): _pair_token(a, b) for a, b in pairs}
    known = {token: token for token in options} | either_way
    chosen = address.choose("pair", known, NO_PAIR, "the pair")
    st.selectbox(
        "Pair of languages",
        options,
        key="pair",
        format_func=_pair_name,
        persist_state="session",
        help="Or click a cell of the figure.",
    )
    if chosen == NO_PAIR:
        return None
    first, second = chosen.split(".")
    return first, second


def take_click(chart: str, languages: Sequence[str]) -> None:
    """Put the pair that was clicked in a chart into the pair control."""
    token = clicked_pair(st.session_state[chart]["selection"]["points"], languages)
    if token is not None:
        st.session_state["pair"] = token


def clicked_pair(points: Sequence[Mapping[str, Any]], languages: Sequence[str]) -> str | None:
    """The token of the pair that the clicked points carry, None where there is no such pair.

    What a browser sends is not trusted: it must name two different languages that are on screen.
    """
    data = points[0].get("customdata") if points else None
    if not isinstance(data, (list, tuple)) or len(data) != 2 or data[0] == data[1]:
        return None
    if not all(code in languages for code in data):
        return None
    first, second = sorted(data, key=list(languages).index)
    return _pair_token(first, second)


def transfer_kind(kinds: Sequence[str], address: Address) -> str:
    """Choose a kind of transfer; not drawn where there is one alone."""
    kind = address.choose("carried", {name: name for name in kinds}, kinds[0], "the kind of transfer")
    if len(kinds) > 1:
        st.segmented_control(
            "What is carried over",
            list(kinds),
            key="carried",
            format_func=lambda name: KINDS[name],
            required=True,
            wrap=True,
            help=KIND_HELP,
            persist_state="session",
        )
    return kind


def source_task(tasks: Sequence[str], address: Address) -> str:
    """Choose the task that sub-networks are of which are trained for another; not drawn where there is one alone."""
    chosen = address.choose("from", {name: name for name in tasks}, tasks[0], "the other task")
    if len(tasks) > 1:
        st.segmented_control(
            "Sub-networks found for",
            list(tasks),
            key="from",
            format_func=task_name,
            required=True,
            wrap=True,
            persist_state="session",
        )
    return chosen


def transfer_show(shows: Sequence[str], address: Address) -> str:
    """Choose what the cells of a transfer show: a difference, or the score itself."""
    shown = address.choose("against", {name: name for name in shows}, shows[0], "what is shown")
    st.segmented_control(
        "Score compared with",
        list(shows),
        key="against",
        format_func=lambda name: SHOWS[name],
        required=True,
        wrap=True,
        help=SHOW_HELP,
        persist_state="session",
    )
    return shown


def cell(languages: Sequence[str], address: Address) -> tuple[str, str] | None:
    """Choose a source and a target, or neither. A click on a cell sets the same control, by `take_cell`."""
    options = [NO_PAIR, *(_pair_token(a, b) for a in languages for b in languages if a != b)]
    chosen = address.choose("cell", {token: token for token in options}, NO_PAIR, "the cell")
    st.selectbox(
        "Source → target",
        options,
        key="cell",
        format_func=_cell_name,
        persist_state="session",
        help="Or click a cell of the figure.",
    )
    if chosen == NO_PAIR:
        return None
    source, target = chosen.split(".")
    return source, target


def take_cell(chart: str, languages: Sequence[str]) -> None:
    """Put the source and target that were clicked in a chart into the control."""
    token = clicked_cell(st.session_state[chart]["selection"]["points"], languages)
    if token is not None:
        st.session_state["cell"] = token


def clicked_cell(points: Sequence[Mapping[str, Any]], languages: Sequence[str]) -> str | None:
    """As `clicked_pair`, but (en, sw) and (sw, en) are two cells."""
    return None if clicked_pair(points, languages) is None else _pair_token(*points[0]["customdata"])


def _pair_token(first: str, second: str) -> str:
    return f"{first}.{second}"


def _pair_name(token: str) -> str:
    if token == NO_PAIR:
        return "The most and the least alike"
    first, second = token.split(".")
    return f"{plain_name(first)} – {plain_name(second)}"


def _cell_name(token: str) -> str:
    if token == NO_PAIR:
        return "All, on average"
    source, target = token.split(".")
    return f"{plain_name(source)} → {plain_name(target)}"
