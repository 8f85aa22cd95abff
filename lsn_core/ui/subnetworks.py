"""Single sub-networks to look into: which there are, what they are called, and the choice of one.

A sub-network is that of a ticket of the atlas, of another atlas over the same matrices, or of an upload of
this visitor's. In the address it is `mlm-en-imp-s0@50` (a ticket and the per cent removed), `base@50`,
`ATLAS:mlm-fr-imp-s0@80` or `up:TOKEN`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from lsn_core.languages import PAPER_LANGUAGES
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import BASE_KEY, SPARSITY_TOLERANCE, TicketKey
from lsn_core.ui import store, uploads
from lsn_core.ui.address import Address
from lsn_core.ui.catalogue import METHOD_ORDER
from lsn_core.ui.view import View
from lsn_core.viz.labels import METHOD_NAMES, PRETRAINED, plain_name, task_name

SIDE_BAR, NONE = "sidebar", "none"
ORDER = {"left": "first", "right": "second"}
HELP = (
    "Any sub-network over the same weight matrices: of this atlas, of another, or one you uploaded. As long as "
    "none is chosen here, it is that of the side bar; once chosen, it stays whatever the side bar says."
)
_UPLOADED = "up:"


@dataclass(frozen=True)
class Source:
    """A ticket to look into, at any of its `levels`.

    `token` stands for it in the address. `atlas` is None for an upload, which `upload` is then; `home` says
    that the atlas is the one in the side bar.
    """

    token: str
    key: TicketKey
    levels: tuple[float, ...]
    atlas: Atlas | None = None
    upload: uploads.Upload | None = None
    home: bool = True


@dataclass(frozen=True)
class SubNetwork:
    """One mask: a ticket at one level."""

    source: Source
    level: float

    @property
    def token(self) -> str:
        """What stands for it in the address."""
        return self.source.token if self.source.upload else f"{self.source.token}@{_percent(self.level)}"

    @property
    def is_base(self) -> bool:
        """Whether it is that of the pretrained weights alone."""
        return self.source.upload is None and self.source.key == BASE_KEY

    def mask(self) -> Mask:
        """Its mask; LsnError where it cannot be read."""
        if self.source.upload is not None:
            return store.uploaded_mask(self.source.upload)
        assert self.source.atlas is not None
        return store.mask(self.source.atlas, self.source.key, self.level)


def sources(view: View) -> dict[str, Source]:
    """Token to ticket, for all that this visitor can look into here: the atlas's, uploads, other atlases'."""
    found = _of_atlas(view, view.atlas, home=True)
    for upload in uploads.kept(view.atlas.layout):
        key = upload.ticket.key
        found.append(Source(f"{_UPLOADED}{upload.token}", key, upload.ticket.levels, upload=upload))
    for other in store.siblings(view):
        found += _of_atlas(view, other, home=False)
    return {source.token: source for source in found}


def _of_atlas(view: View, atlas: Atlas, home: bool) -> list[Source]:
    """The tickets of an atlas whose masks are there, the base ticket first, then the view's task."""
    if not atlas.has_bits:
        return []
    catalogue = view.catalogue if home else store.read_catalogue(atlas)
    keys = sorted(catalogue.tickets, key=lambda key: (key.task != view.task, key.task, *_place(key)))
    levels = {BASE_KEY: catalogue.base_levels, **{key: catalogue.tickets[key] for key in keys}}
    start = "" if home else f"{atlas.name}:"
    return [
        Source(f"{start}{key.stem}", key, reached, atlas=atlas, home=home)
        for key, reached in levels.items()
        if reached
    ]


def _place(key: TicketKey) -> tuple[int, str, int, int]:
    known = key.language in PAPER_LANGUAGES
    language = PAPER_LANGUAGES.index(key.language) if known else len(PAPER_LANGUAGES)
    return language, key.language, METHOD_ORDER.index(key.method), key.seed


def by_side_bar(view: View, there: Mapping[str, Source]) -> tuple[SubNetwork | None, SubNetwork | None]:
    """What the side bar's choice comes to: its first language, and beside it the second, or, with one
    language alone, the pretrained weights; of its first seed that there is."""
    found = [language_at(view, there, code, view.method, view.sparsity) for code in view.languages[:2]]
    languages = [one for one in found if one is not None]
    base = there.get(BASE_KEY.stem)
    if base is not None and view.sparsity in base.levels:
        languages.append(SubNetwork(base, view.sparsity))
    first, second, *_ = [*languages, None, None]
    return first, second


def language_at(
    view: View, there: Mapping[str, Source], language: str, method: str, sparsity: float
) -> SubNetwork | None:
    """The sub-network of a language in the view's atlas, of the view's first seed that there is."""
    for seed in view.seeds:
        source = there.get(TicketKey(view.task, language, method, seed).stem)
        if source is not None:
            for level in source.levels:
                if abs(level - sparsity) <= SPARSITY_TOLERANCE:
                    return SubNetwork(source, level)
    return None


def link(view: View, address: Address, pair: tuple[str, str], method: str, sparsity: float) -> None:
    """Draw the link to two languages' sub-networks side by side; nothing where one is not here."""
    there = {source.token: source for source in _of_atlas(view, view.atlas, home=True)}
    first, second = (language_at(view, there, code, method, sparsity) for code in pair)
    if first is not None and second is not None:
        st.page_link(
            "pages/anatomy.py",
            label="See the two sub-networks side by side",
            icon=":material/arrow_forward:",
            query_params=address.link("anatomy") | {"left": first.token, "right": second.token},
        )


def link_upload(view: View, address: Address, upload: str, language: str, sparsity: float) -> None:
    """Draw the link to an upload that is kept, by its token, beside the sub-network of a language."""
    there = {source.token: source for source in _of_atlas(view, view.atlas, home=True)}
    beside = language_at(view, there, language, view.method, sparsity)
    if beside is not None:
        st.page_link(
            "pages/anatomy.py",
            label=f"See it beside {plain_name(language)}, down to single matrices",
            icon=":material/arrow_forward:",
            query_params=address.link("anatomy") | {"left": f"{_UPLOADED}{upload}", "right": beside.token},
        )


def choose(
    side: str, there: Mapping[str, Source], by_default: SubNetwork | None, address: Address
) -> SubNetwork | None:
    """Choose the sub-network of a side and its sparsity; one that was chosen no longer follows the side bar.

    `side` is the control's name in the address, "left" or "right"; `by_default` is what the side bar comes
    to. Of the right side, none can be chosen.
    """
    order = ORDER[side]
    fixed = [SIDE_BAR] if side == "left" else [SIDE_BAR, NONE]
    known = {
        sub.token: sub for source in there.values() for sub in (SubNetwork(source, v) for v in source.levels)
    }
    what = f"the {order} sub-network"
    if address.asked(side).startswith(_UPLOADED):
        what = "an upload of another visitor or of an earlier visit,"
    token = address.choose(side, {name: name for name in (*fixed, *known)}, SIDE_BAR, what)
    chosen = by_default if token == SIDE_BAR else known.get(token)
    of, level = f"{side}_of", f"{side}_level"
    st.session_state[of] = token if chosen is None or token in fixed else chosen.source.token
    following = "nothing here" if by_default is None else name_of(by_default)
    names = {SIDE_BAR: f"As in the side bar: {following}", NONE: "None"} | _lines(list(there.values()))
    st.selectbox(
        f"{order.capitalize()} sub-network",
        [*fixed, *there],
        key=of,
        format_func=lambda name: names[name],
        on_change=_take_source,
        args=(side, there, None if chosen is None else chosen.level),
        help=HELP,
    )
    if chosen is not None and len(chosen.source.levels) > 1:
        st.session_state[level] = chosen.level
        st.select_slider(
            f"Weights removed in the {order}",
            chosen.source.levels,
            key=level,
            format_func=lambda value: f"{_percent(value)} %",
            on_change=_take_level,
            args=(side, chosen.source),
        )
    return chosen


def follows(side: str) -> bool:
    """Whether a side shows what the side bar comes to."""
    return bool(st.session_state[side] == SIDE_BAR)


def _take_source(side: str, there: Mapping[str, Source], level: float | None) -> None:
    """Put the ticket that was chosen into the control, at the level nearest to the one before."""
    token = st.session_state[f"{side}_of"]
    if token in there:
        source = there[token]
        near = 0.5 if level is None else level
        token = SubNetwork(source, min(source.levels, key=lambda other: abs(other - near))).token
    st.session_state[side] = token


def _take_level(side: str, source: Source) -> None:
    st.session_state[side] = SubNetwork(source, st.session_state[f"{side}_level"]).token


def _lines(there: Sequence[Source]) -> dict[str, str]:
    """Each ticket's line in the list: what tells it from the others."""
    tickets = [source.key for source in there if source.key != BASE_KEY and source.upload is None]
    tasks, methods = ({getattr(key, part) for key in tickets} for part in ("task", "method"))
    lines = {}
    for source in there:
        parts = [_whose(source)]
        if source.upload is not None:
            parts.append("your upload")
        elif source.key != BASE_KEY:
            parts += [task_name(source.key.task)] if len(tasks) > 1 else []
            parts += [METHOD_NAMES[source.key.method]] if len(methods) > 1 else []
            parts.append(f"seed {source.key.seed}")
        if not source.home and source.atlas is not None:
            parts.append(f"atlas {source.atlas.name}")
        lines[source.token] = " · ".join(parts)
    return lines


def name_of(one: SubNetwork) -> str:
    """A sub-network by itself, in a sentence."""
    control = one.source.upload is None and one.source.key.method not in ("imp", "base")
    details = [METHOD_NAMES[one.source.key.method]] if control else []
    return _with(_whose(one.source), details)


def found_as(one: SubNetwork) -> str:
    """What a figure says of a sub-network beside its name: its seed, its sparsity, and where it is from if not
    from the atlas in the side bar."""
    details = _details(one)
    home = one.source.home and one.source.upload is None
    parts = [details["seed"], details["level"], "" if home else details["atlas"]]
    return ", ".join(part for part in parts if part)


def names_of(left: SubNetwork, right: SubNetwork | None) -> tuple[str, str]:
    """What the two are called in sentences: their languages, and where these are the same what differs."""
    if right is None:
        return name_of(left), ""
    if _whose(left.source) != _whose(right.source):
        return name_of(left), name_of(right)
    mine, other = _details(left), _details(right)
    differing = [part for part in mine if mine[part] != other.get(part)]
    shown = [
        _with(_whose(one.source), [details[part] for part in differing if details.get(part)])
        for one, details in ((left, mine), (right, other))
    ]
    if shown[0] == shown[1]:
        return f"{shown[0]} ({ORDER['left']})", f"{shown[1]} ({ORDER['right']})"
    return shown[0], shown[1]


def _details(one: SubNetwork) -> dict[str, str]:
    """All that tells a sub-network from others of its name, in words."""
    key, atlas = one.source.key, one.source.atlas
    of_language = one.source.upload is None and key != BASE_KEY
    return {
        "task": task_name(key.task) if of_language else "",
        "method": METHOD_NAMES[key.method] if of_language else "",
        "seed": f"seed {key.seed}" if of_language else "",
        "level": f"{_percent(one.level)} % removed",
        "atlas": f"atlas {atlas.name}" if atlas is not None else "your upload",
        "upload": one.source.upload.token if one.source.upload is not None else "",
    }


def _whose(source: Source) -> str:
    """The language, what the upload is called, or the words for the pretrained weights."""
    if source.upload is not None:
        # A label comes from a file's name: signs that a page or a figure would read as markup are left out.
        return re.sub(r"[^\w .,()+=-]", " ", source.upload.label).strip() or "Upload"
    return PRETRAINED if source.key == BASE_KEY else plain_name(source.key.language)


def _with(name: str, details: Sequence[str]) -> str:
    return f"{name} ({', '.join(details)})" if details else name


def _percent(level: float) -> str:
    return f"{100 * level:g}"
