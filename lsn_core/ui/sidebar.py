"""The controls that every page shares."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import streamlit as st

from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas
from lsn_core.ui import states, store
from lsn_core.ui.address import Address
from lsn_core.ui.view import View
from lsn_core.viz.labels import METHOD_NAMES, language_line, task_name
from lsn_core.viz.measures import MEASURES, default_measure
from lsn_core.viz.theme import THEMES

METHOD_HELP = (
    "How the weights to keep were chosen. Iterative: train, remove a tenth of the smallest weights, put "
    "the rest back to where it was, again and again. One-shot: train once, remove at once. Random: which "
    "weights stay is drawn by lot, as a control."
)
SPARSITY_HELP = (
    "The share of the weights that is removed. The weights that are left are the language's sub-network."
)
SEED_HELP = (
    "A seed fixes all chance in training. Two runs of one language that differ in the seed alone show how "
    "much two sub-networks differ for no reason at all. None chosen: all of them."
)


def sidebar(root: Path, address: Address, heeds: Collection[str]) -> View | states.Trouble:
    """Draw the controls that the page heeds and say what all are set to, or what keeps them from being drawn."""

    def draw(control: Callable[..., Any], *args: Any, key: str, **settings: Any) -> None:
        if key in heeds:
            # Kept also where it is not drawn: Streamlit would forget a control that a page lacks.
            control(*args, key=key, persist_state="session", **settings)

    folders = store.atlas_folders(root)
    if not folders:
        return states.no_atlas(root)
    name = address.choose("atlas", {n: n for n in folders}, store.default_atlas(folders), "the atlas")
    st.selectbox("Atlas", list(folders), key="atlas", help="A folder of sub-networks found in one model.")
    try:
        atlas = store.open_atlas(folders[name])
    except LsnError as error:
        return states.unreadable(name, folders[name], str(error))
    catalogue = store.read_catalogue(atlas)
    st.caption(_about(atlas))
    if not catalogue.tasks:
        return states.no_tickets(atlas)

    tasks = catalogue.tasks
    task = address.choose("task", {t: t for t in tasks}, "mlm" if "mlm" in tasks else tasks[0], "the task")
    draw(st.selectbox, "Task", tasks, key="task", format_func=task_name)

    methods = catalogue.methods(task)
    method = address.choose("method", {m: m for m in methods}, methods[0], "the method")
    if len(methods) > 1:
        draw(
            st.selectbox,
            "Method",
            methods,
            key="method",
            format_func=lambda m: METHOD_NAMES[m].capitalize(),
            help=METHOD_HELP,
        )

    levels = {f"{100 * level:g}": level for level in catalogue.levels(task, method)}
    middle = min(levels, key=lambda token: abs(levels[token] - 0.5))
    sparsity = address.choose("sparsity", levels, middle, "the sparsity")
    if len(levels) > 1:
        draw(
            st.select_slider,
            "Sparsity",
            list(levels.values()),
            key="sparsity",
            format_func=_percent,
            help=SPARSITY_HELP,
        )

    seeds = catalogue.seeds(task, method)
    some_seeds = address.choose_many("seeds", {str(seed): seed for seed in seeds}, "the seeds") or seeds
    known = catalogue.languages(task, method, sparsity, some_seeds)
    chosen = address.choose_many("languages", {code: code for code in known}, "the languages")
    draw(
        st.multiselect,
        "Languages",
        known,
        key="languages",
        format_func=language_line,
        placeholder=f"All {len(known)}",
        help="None chosen: all of them.",
    )

    measures = {measure.token: measure for measure in MEASURES}
    default = default_measure(bool(catalogue.base_levels), len(some_seeds))
    measure = address.choose("measure", measures, default.token, "the measure")
    draw(
        st.selectbox, "Measure", MEASURES, key="measure", format_func=lambda m: m.name, help=_measures_help()
    )
    if len(seeds) > 1:
        draw(st.multiselect, "Seeds", seeds, key="seeds", placeholder=f"All {len(seeds)}", help=SEED_HELP)

    return View(
        atlas=atlas,
        folders=folders,
        stamp=store.stamp(atlas),
        catalogue=catalogue,
        task=task,
        method=method,
        sparsity=sparsity,
        languages=tuple(code for code in known if code in chosen) or tuple(known),
        languages_chosen=bool(chosen),
        seeds=tuple(some_seeds),
        measure=measure,
        theme=THEMES[st.context.theme.type or "light"],
    )


def _about(atlas: Atlas) -> str:
    text = f"Model {atlas.model['name']}: {atlas.layout.size:,} weights that can be removed."
    return text if atlas.has_bits else f"{text} Tables only: the masks themselves are not in this atlas."


def _percent(level: float) -> str:
    return f"{100 * level:g} %"


def _measures_help() -> str:
    return "\n\n".join(f"**{measure.name}.** {measure.help}" for measure in MEASURES)
