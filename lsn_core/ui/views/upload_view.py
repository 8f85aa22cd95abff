"""What the Upload page shows of one upload: it beside the sub-networks of the atlas, and where it keeps weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from lsn_core.analysis.calibration import find_scope
from lsn_core.analysis.newcomer import (
    SAME_LEVEL,
    Meeting,
    Neighbours,
    base_mask,
    meet,
    nearest_level,
    neighbours,
    strata,
)
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import TicketKey
from lsn_core.ui import states, store
from lsn_core.ui.controls import Part
from lsn_core.ui.figures import Described
from lsn_core.ui.sidebar import METHOD_NAMES
from lsn_core.ui.uploads import Arrived
from lsn_core.ui.view import View
from lsn_core.viz.drawing import Drawn
from lsn_core.viz.labels import plain_name, scope_name, task_name
from lsn_core.viz.profile import Profile, component_profile, layer_profile
from lsn_core.viz.words import upload as words

PRETRAINED, CHANCE, NAME = "pretrained alone", "chance", "this upload"


@dataclass(frozen=True)
class Beside:
    """An uploaded mask beside the sub-networks of the view at the sparsity `level`, over a part of the model.

    `identical` are the atlas's own sub-networks that it is a copy of; they are not among those compared, unless
    there are no others.
    """

    view: View
    part: Part
    file: Arrived
    mask: Mask
    level: float
    meeting: Meeting
    found: Neighbours
    identical: tuple[TicketKey, ...]

    @property
    def left_out(self) -> tuple[TicketKey, ...]:
        """Those of `identical` that are not among those compared."""
        return tuple(key for key in self.identical if key not in self.meeting.tickets)

    @property
    def same_level(self) -> bool:
        """Whether both sides have one sparsity."""
        return abs(self.mask.sparsity - self.level) <= SAME_LEVEL


def beside(view: View, part: Part, file: Arrived) -> Beside:
    """Compare a file that passed; raises CannotDraw where the atlas has no masks to compare with."""
    if not view.atlas.has_bits:
        raise states.CannotDraw(states.no_masks_beside(view.atlas))
    mask = file.report.checked_mask()
    level = level_for(view, mask.sparsity)
    keys = store.keys_at(view, level)
    meeting = _meet(view, view.stamp, level, keys, mask.content_hash, mask)
    identical = meeting.identical
    if len(identical) < len(meeting.tickets):
        meeting = meeting.without(identical)
    found = neighbours(meeting, find_scope(view.atlas.layout, part.single).matrices)
    return Beside(view, part, file, mask, level, meeting, found, identical)


def level_for(view: View, sparsity: float) -> float:
    """The nearest sparsity that all of the view's sub-networks have, or some where none is common."""
    reached = [
        set(levels)
        for key, levels in view.catalogue.tickets.items()
        if (key.task, key.method) == (view.task, view.method)
        and key.language in view.languages
        and key.seed in view.seeds
    ]
    return nearest_level(sparsity, sorted(set.intersection(*reached) or set.union(*reached)))


@st.cache_resource(show_spinner="Comparing with the atlas …", max_entries=16, scope="session")
def _meet(
    _view: View, stamp: str, level: float, keys: tuple[TicketKey, ...], mask_hash: str, _mask: Mask
) -> Meeting:
    masks = store.masks_at(_view, level)
    return meet(_mask, {key: masks[key] for key in keys}, strata(_view.atlas.base(), _mask.sparsity, level))


def sentence(one: Beside) -> str:
    """The line above the figures."""
    return words.neighbours_sentence(one.found, one.part.where, one.identical, bool(one.left_out))


def nearest(one: Beside) -> str:
    """The code of the language that it is most like."""
    return one.found.languages[one.found.order[0]]


def neighbours_figure(one: Beside) -> tuple[Drawn, Described]:
    """The languages, most alike first."""
    found, order = one.found, one.found.order
    levels = {PRETRAINED: found.reference[order], CHANCE: found.chance[order]}
    codes = tuple(found.languages[place] for place in order)
    profile = Profile(
        codes,
        found.jaccard[order],
        found.low[order],
        found.high[order],
        levels,
        NAME,
        tuple(plain_name(code) for code in codes),
    )
    table = pd.DataFrame(
        {
            "language": codes,
            "seeds": found.seeds[order],
            **{
                name: getattr(found, name)[order]
                for name in (
                    *("jaccard", "low", "high", "chance", "reference"),
                    *("above", "above_low", "above_high", "possible", "first_in"),
                )
            },
        }
    )
    fig = component_profile(profile, "Jaccard", words.DIGITS, one.view.theme)
    return fig, Described(
        name=_file_name(one.view, one.file, "upload-beside", f"{100 * one.level:g}", one.part.single),
        alt=f"How much the uploaded file {one.file.name} shares with each of {len(codes)} languages, as dots with 95 % intervals. "
        + sentence(one).replace("**", ""),
        how=_how(one),
        table=table,
    )


def density_sentence(view: View, file: Arrived) -> str:
    """The line above the densities."""
    shares = _shares(view, "layer", file.report.checked_mask().counts)
    return words.density_sentence(dict(zip(_scopes(view, "layer"), shares.tolist(), strict=True)))


def density_figure(view: View, file: Arrived, one: Beside | None, by: str) -> tuple[Drawn, Described]:
    """The share of weights that is kept in each layer or component; `one` where there was something to compare."""
    mask, scopes = file.report.checked_mask(), _scopes(view, by)
    unknown = np.full(len(scopes), np.nan)
    base = base_mask(view.atlas.base(), mask.sparsity)
    levels, told = {}, "At this sparsity the atlas has no mask of the pretrained weights alone."
    if base is not None:
        told = "Pretrained alone: the largest pretrained weights at the same sparsity, found for no language."
        levels[PRETRAINED] = _shares(view, by, base.counts)
    if one is not None and one.same_level:
        levels["languages here, mean"] = _shares(view, by, one.meeting.kept.mean(axis=0))
    profile = Profile(scopes, _shares(view, by, mask.counts), unknown, unknown, levels, NAME)
    draw = layer_profile if by == "layer" else component_profile
    fig = draw(profile, "% of the weights kept", 1, view.theme)
    read = ", ".join(f"{scope_name(s)} {v:.1f} %" for s, v in zip(scopes, profile.value, strict=True))
    return fig, Described(
        name=_file_name(view, file, "upload-density", by),
        alt=f"Share of the weights that the uploaded file {file.name} keeps in each {by}: {read}.",
        how=f"Kept weights / all weights of each {by}, in per cent. {told} Atlas {view.atlas.name}, model "
        f"{view.atlas.model['name']}.",
        table=pd.DataFrame({by: scopes, NAME: profile.value, **levels}),
    )


def remarks(one: Beside) -> list[str]:
    """What to keep in mind: at which sparsity is compared, and who is not."""
    lines = [words.levels_sentence(one.mask.sparsity, one.level, one.found, one.view.catalogue.base_levels)]
    if one.view.sparsity != one.level:
        lines.append(
            f"Compared at {100 * one.level:g} % removed, the sparsity nearest to the upload's; the one in the side bar "
            "does not matter here."
        )
    lines.append(absent(one))
    return [line for line in lines if line]


def absent(one: Beside) -> str:
    """Which of the view's languages have nothing at this sparsity; empty when all have."""
    there = {*one.found.languages, *(key.language for key in one.identical)}
    names = ", ".join(plain_name(code) for code in one.view.languages if code not in there)
    return f"Not at this sparsity, so not compared: {names}." if names else ""


def _scopes(view: View, by: str) -> tuple[str, ...]:
    return tuple(scope.label for scope in view.atlas.layout.scopes(by))


def _shares(view: View, by: str, kept: np.ndarray) -> np.ndarray:
    """Per cent of the weights of each part of a kind, from numbers a matrix."""
    layout = view.atlas.layout
    return np.array(
        [100 * kept[s.matrices].sum() / layout.sizes[s.matrices].sum() for s in layout.scopes(by)],
        dtype=float,
    )


def _how(one: Beside) -> str:
    view = one.view
    seeds = ", ".join(str(seed) for seed in view.seeds)
    reference = "" if np.isfinite(one.found.reference).any() else " Pretrained alone: not known here."
    copied = " and ".join(f"{plain_name(key.language)} with seed {key.seed}" for key in one.left_out)
    without = f", without {copied}, which the upload is a copy of" if copied else ""
    return (
        f"Jaccard index = weights kept by both / weights kept by either, counted {one.part.where}, with the atlas's sub-networks at "
        f"{100 * one.level:g} % removed ({METHOD_NAMES[view.method]}, {task_name(view.task).lower()}), mean over "
        f"seeds {seeds}{without}. 95 % intervals from 400 resamples of matrices and of the atlas's seeds; how much another run "
        f"of the upload would differ is not in them, and with one run there is no neutrality.{reference} Atlas "
        f"{view.atlas.name}, model {view.atlas.model['name']}."
    )


def _file_name(view: View, file: Arrived, *what: str) -> str:
    parts = [what[0], file.token, view.atlas.name, view.task, *what[1:]]
    return "-".join(part.replace(" ", "-").replace("/", "-") for part in parts)
