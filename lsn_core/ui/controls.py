"""Controls that belong to one page: which part of the model, which pair of languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from lsn_core.analysis.words import everyone
from lsn_core.languages import in_paper_order
from lsn_core.masks.layout import Layout, Matrix
from lsn_core.ui.address import Address
from lsn_core.viz.labels import matrix_name, plain_name, scope_name, task_name
from lsn_core.viz.words.anatomy import component_kind, place_name

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
FIRST_CUT = 3  # groups that a tree is cut into at first
GROUPS_HELP = (
    "Moves the dashed line across the tree: what it leaves joined to its right is a group, and each group of "
    "several languages has a colour. One group: no cut."
)
NO_CLADE = "none"
UNTANGLE_HELP = (
    "Turns the joins of the measured tree, as a mobile turns, so that fewer lines cross. Which languages are joined, "
    "and at what distance, stays as it is. Off: the order of the tree above, which puts the most alike side by "
    "side."
)

ORDERS = {"cluster": "Alike together", "family": "Families", "alphabet": "Alphabet"}
ORDER_HELP = (
    "Alike together: in the order of the tree above the figure, so that languages that share much are neighbours. "
    "Families: by descent, relatives together. Alphabet: by English name."
)
KINDS = {"mask": "The mask", "zero-shot": "Mask and training"}
KIND_HELP = (
    "The mask: the source's sub-network is trained on the target's text, from the pretrained weights. Mask "
    "and training (zero-shot): it is trained on the source's text and then scored on the target, of which "
    "it has seen nothing."
)
SHOWS = {
    "own": "Own",
    "dense": "Unpruned model",
    "random": "Random",
    "base": "Pretrained alone",
    "score": "Nothing",
}
SHOW_HELP = (
    "Own: the sub-network that was found for the target itself. Unpruned model: nothing removed (dense). "
    "Random: as many weights in every matrix, drawn by lot. Pretrained alone: the largest pretrained "
    "weights, found for no language. Nothing: the score as it is. This changes the map alone: all else on "
    "the page compares with the target's own sub-network."
)

Clade = tuple[str, ...]


COMPARES = {
    "above-pretrained": "Shared − pretrained alone",
    "above-chance": "Shared − chance",
    "shared": "Shared",
    "difference": "Density difference",
}
COMPARE_HELP = (
    "Shared: weights that both sub-networks keep, in per cent of those that either keeps (the Jaccard index); "
    "by itself, or less what the pretrained weights alone or chance would give. Density difference: the share of weights "
    "that the first keeps, less that of the second."
)


@dataclass(frozen=True)
class Part:
    """The part of the model that is looked at; `scope` is None for all the parts of a kind, side by side.

    `matrix` is what a single weight matrix is called within a sentence.
    """

    by: str
    scope: str | None
    scopes: tuple[str, ...]
    matrix: str = ""

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
            return f"in the {component_kind(self.single)} matrices"
        if self.by == "matrix":
            return f"in {self.matrix}"
        return f"in {scope_name(self.single).lower()}"


def part(layout: Layout, address: Address, side_by_side: bool = True) -> Part:
    """Choose a part of the model, or, where `side_by_side` is offered, all the parts of a kind."""
    kinds = [by for by in BY_NAMES if by != "stack" or len(layout.scopes("stack")) > 1]
    by = address.choose("by", {kind: kind for kind in kinds}, "total", "the part")
    _segments("Part of the model", "by", kinds, BY_NAMES.__getitem__, PART_HELP)
    scopes = tuple(scope.label for scope in layout.scopes(by))
    if by == "total":
        return Part(by, "total", scopes)
    options = [*([SIDE_BY_SIDE] if side_by_side and by in ("layer", "component") else []), *scopes]
    chosen = address.choose("scope", {scope: scope for scope in options}, options[0], "the part")
    lines = _matrix_lines(layout) if by == "matrix" else {scope: scope_name(scope) for scope in scopes}
    st.selectbox(
        "Which",
        options,
        key="scope",
        persist_state="session",
        width=420 if by == "matrix" else 220,
        format_func=lambda scope: "All, side by side" if scope == SIDE_BY_SIDE else lines[scope],
    )
    if by != "matrix":
        return Part(by, None if chosen == SIDE_BY_SIDE else chosen, scopes)
    return Part(by, chosen, scopes, _matrix_words(layout, chosen))


def order(address: Address) -> str:
    """Choose the order in which languages stand in a matrix."""
    chosen = address.choose("order", {name: name for name in ORDERS}, "cluster", "the order")
    _segments("Order of languages", "order", ORDERS, ORDERS.__getitem__, ORDER_HELP)
    return chosen


def linkage(address: Address) -> str:
    """Choose how a tree joins groups of languages."""
    chosen = address.choose("linkage", {name: name for name in LINKAGES}, "average", "the linkage")
    _segments("Linkage", "linkage", LINKAGES, LINKAGES.__getitem__, LINKAGE_HELP, wrap=False)
    return chosen


def groups(count: int, address: Address) -> int:
    """Choose into how many groups a tree of `count` languages is cut."""
    options = {str(number): number for number in range(1, count + 1)}
    chosen = address.choose("groups", options, str(min(FIRST_CUT, count)), "the number of groups")
    # Not `st.slider`, which begins anew at 1 when its range changes.
    st.select_slider(
        "Cut into groups",
        list(options.values()),
        key="groups",
        width=220,
        help=GROUPS_HELP,
        persist_state="session",
    )
    return chosen


def clade(found: Sequence[Clade], address: Address) -> Clade | None:
    """Choose one of a tree's groups (each as codes from top to bottom), or none; a click sets it by `take_clade`."""
    tokens = {_clade_token(codes): codes for codes in found}
    known = {NO_CLADE: NO_CLADE} | {token: token for token in tokens}
    chosen = address.choose("group", known, NO_CLADE, "the group")
    st.selectbox(
        "Group of languages",
        list(known),
        key="group",
        format_func=lambda token: "None" if token == NO_CLADE else clade_name(tokens[token]),
        persist_state="session",
        width=320,
        help="Or click a join of the tree.",
    )
    return tokens.get(chosen)


def clade_name(codes: Clade) -> str:
    """A group in a list: its languages, or of many the first and the last as the tree has them."""
    names = [plain_name(code) for code in codes]
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} … {names[-1]} ({len(names)} languages)"


def take_clade(chart: str, found: Sequence[Clade]) -> None:
    """Put the group that was clicked in a chart into the control."""
    token = clicked_clade(st.session_state[chart]["selection"]["points"], found)
    if token is not None:
        st.session_state["group"] = token


def clicked_clade(points: Sequence[Mapping[str, Any]], found: Sequence[Clade]) -> str | None:
    """The token of the group that the clicked point carries, None where it is none of the tree's."""
    data = points[0].get("customdata") if points else None
    there = {frozenset(codes): _clade_token(codes) for codes in found}
    return there.get(frozenset(data.split("."))) if isinstance(data, str) else None


def only_languages(codes: Clade) -> None:
    """Leave these languages alone in the side bar, which every page goes by; none stands for all of them."""
    st.session_state["languages"] = list(in_paper_order(codes))


def untangle(address: Address) -> bool:
    """Choose whether the measured tree is turned to face the family tree."""
    chosen = address.choose("untangle", {"off": False, "on": True}, "off", "the untangling")
    st.toggle("Untangle", key="untangle", help=UNTANGLE_HELP, persist_state="session")
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
    _segments("Which sets", "sets", SETS, lambda name: SETS[name].format(count - 2), SETS_HELP, wrap=False)
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
    return _two_of(options, chosen, "pair", "Pair of languages", _pair_name)


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
        _segments("What is carried over", "carried", kinds, KINDS.__getitem__, KIND_HELP)
    return kind


def source_task(tasks: Sequence[str], address: Address) -> str:
    """Choose the task that sub-networks are of which are trained for another; not drawn where there is one alone."""
    chosen = address.choose("from", {name: name for name in tasks}, tasks[0], "the other task")
    if len(tasks) > 1:
        _segments("Sub-networks found for", "from", tasks, task_name)
    return chosen


def transfer_show(shows: Sequence[str], address: Address) -> str:
    """Choose what the cells of a transfer show: a difference, or the score itself."""
    shown = address.choose("against", {name: name for name in shows}, shows[0], "what is shown")
    _segments("The map compares scores with", "against", shows, SHOWS.__getitem__, SHOW_HELP)
    return shown


def cell(languages: Sequence[str], address: Address) -> tuple[str, str] | None:
    """Choose a source and a target, or neither. A click on a cell sets the same control, by `take_cell`."""
    options = [NO_PAIR, *(_pair_token(a, b) for a in languages for b in languages if a != b)]
    chosen = address.choose("cell", {token: token for token in options}, NO_PAIR, "the cell")
    return _two_of(options, chosen, "cell", "Source → target", _cell_name)


def take_cell(chart: str, languages: Sequence[str]) -> None:
    """Put the source and target that were clicked in a chart into the control."""
    token = clicked_cell(st.session_state[chart]["selection"]["points"], languages)
    if token is not None:
        st.session_state["cell"] = token


def clicked_cell(points: Sequence[Mapping[str, Any]], languages: Sequence[str]) -> str | None:
    """As `clicked_pair`, but (en, sw) and (sw, en) are two cells."""
    return None if clicked_pair(points, languages) is None else _pair_token(*points[0]["customdata"])


def _segments(
    label: str,
    key: str,
    options: Iterable[str],
    name: Callable[[str], str],
    about: str | None = None,
    wrap: bool = True,
) -> None:
    """Draw a choice of one out of a few, side by side; what is chosen stays from page to page."""
    st.segmented_control(
        label,
        list(options),
        key=key,
        format_func=name,
        required=True,
        wrap=wrap,
        help=about,
        persist_state="session",
    )


def _two_of(
    options: list[str], chosen: str, key: str, label: str, name: Callable[[str], str]
) -> tuple[str, str] | None:
    """Draw a choice of two languages, which a click on a figure makes too; the two, None for neither."""
    st.selectbox(
        label,
        options,
        key=key,
        format_func=name,
        persist_state="session",
        help="Or click a cell of the figure.",
    )
    if chosen == NO_PAIR:
        return None
    first, second = chosen.split(".")
    return first, second


def _clade_token(codes: Clade) -> str:
    """The same for a group however the tree is turned."""
    return ".".join(in_paper_order(codes))


def compare(shows: Sequence[str], address: Address) -> str:
    """Choose how the parts of two sub-networks are compared."""
    chosen = address.choose("compare", {name: name for name in shows}, shows[0], "the comparison")
    _segments("What the map of both shows", "compare", shows, COMPARES.__getitem__, COMPARE_HELP)
    return chosen


def matrix(layout: Layout, default: str, address: Address) -> Matrix:
    """Choose one weight matrix. A click on a cell sets the same control, through `take_matrix`."""
    chosen = address.choose("matrix", {name: name for name in layout.names}, default, "the matrix")
    st.selectbox(
        "Weight matrix",
        list(layout.names),
        key="matrix",
        format_func=_matrix_lines(layout).__getitem__,
        persist_state="session",
        width=420,
        help="Or click a cell of a map above.",
    )
    return layout.matrices[layout.index(chosen)]


def take_matrix(chart: str, layout: Layout) -> None:
    """Put the matrix that was clicked in a chart into the control."""
    name = clicked_matrix(st.session_state[chart]["selection"]["points"], layout)
    if name is not None:
        st.session_state["matrix"] = name


def clicked_matrix(points: Sequence[Mapping[str, Any]], layout: Layout) -> str | None:
    """The matrix that the clicked points carry, None where there is none: what a browser sends is not
    trusted."""
    data = points[0].get("customdata") if points else None
    name = data[0] if isinstance(data, (list, tuple)) and len(data) == 1 else data
    return name if isinstance(name, str) and name in layout.names else None


def _matrix_lines(layout: Layout) -> dict[str, str]:
    """Each matrix of a model on a line of its own: by its place, and its name where several share one."""
    lines = {one.name: matrix_name(one.stack, one.layer, one.component) for one in layout.matrices}
    several = {line for line, count in Counter(lines.values()).items() if count > 1}
    return {name: f"{line} · {name}" if line in several else line for name, line in lines.items()}


def _matrix_words(layout: Layout, name: str) -> str:
    """A matrix within a sentence."""
    one = layout.matrices[layout.index(name)]
    layer = "none" if one.layer is None else f"{one.stack}.{one.layer}"
    words = place_name(layer, one.component)
    return f"{words} ({name})" if _matrix_lines(layout)[name].endswith(f" · {name}") else words


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
