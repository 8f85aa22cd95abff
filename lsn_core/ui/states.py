"""What a page shows when there is nothing to show: what is missing, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from lsn_core.masks.atlas import Atlas, Problem


@dataclass(frozen=True)
class Way:
    """A button that sets the control `key` to `value`, so that there is something to see."""

    label: str
    key: str
    value: Any


@dataclass(frozen=True)
class Trouble:
    """Why a page cannot be drawn: a heading, a sentence or two, commands that mend it, and ways out."""

    heading: str
    text: str
    commands: tuple[str, ...] = ()
    ways: tuple[Way, ...] = ()


class CannotDraw(Exception):
    """Ends a page's script; the frame shows the trouble."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.heading)
        self.trouble = trouble


def no_atlas(root: Path) -> Trouble:
    """No atlas under the root."""
    return Trouble(
        "No atlas yet",
        f"An atlas holds the sub-networks that were found in one model. There is none in `{root.name}/`. "
        "Make the small demonstration, which takes a few minutes, or discover sub-networks in a model of "
        "yours:",
        (
            "make demo",
            "python -m lsn_core discover --model demo --task mlm --languages en fr sw zh --seeds 0 1 "
            f"--atlas {root.name}/first",
        ),
    )


def no_tickets(atlas: Atlas) -> Trouble:
    """An atlas with nothing in it."""
    return Trouble(
        "This atlas is empty",
        f"Atlas `{atlas.name}` is there, but holds no sub-network of any language. Discover some:",
        (_discover(atlas, "mlm", ("en", "fr", "sw", "zh"), "--seeds 0 1"),),
    )


def unreadable(name: str, folder: Path, message: str) -> Trouble:
    """An atlas whose description cannot be read."""
    message = without_folder(message, folder)
    return Trouble(
        "This atlas cannot be read",
        f"{message[:1].upper()}{message[1:]}. Choose another atlas than `{name}` in the side bar, or fetch "
        "it again.",
    )


def too_few_languages(atlas: Atlas, task: str, have: int, need: int, chosen: bool) -> Trouble:
    """Not enough languages to compare; `chosen` says that the side bar leaves some out."""
    count = {0: "no language", 1: "one language", 2: "two languages"}.get(have, f"{have} languages")
    if chosen:
        return Trouble(
            "Choose more languages",
            f"Here at least {need} languages are compared, and the side bar leaves {count}. Add some there, "
            "or clear the choice to see all.",
            ways=(Way("Show all languages", "languages", []),),
        )
    return Trouble(
        f"Only {count} here",
        f"Here at least {need} languages are compared; atlas `{atlas.name}` has {count} for this task. "
        "Discover more:",
        (_discover(atlas, task, ("en", "fr", "sw", "zh"), "--seeds 0 1"),),
    )


def no_seeds(atlas: Atlas, task: str, languages: Sequence[str]) -> Trouble:
    """Neutrality asked for, with one seed a language."""
    return Trouble(
        "Neutrality is not defined here",
        "Neutrality compares two languages with one language against itself, found again with another "
        "seed. With one seed a language there is nothing to compare with, and no number is made up. "
        "Choose another measure in the side bar, select all seeds, or discover a second seed:",
        (_discover(atlas, task, languages, "--seeds 0 1"),),
    )


def no_base(atlas: Atlas, task: str, languages: Sequence[str]) -> Trouble:
    """A measure that needs the base masks, in an atlas without them."""
    return Trouble(
        "Nothing to compare with",
        "This measure needs the masks of the pretrained weights alone (method `base`), which this atlas "
        "lacks at this sparsity. Choose another measure in the side bar, or add them in a few seconds:",
        (_discover(atlas, task, languages, "--method base"),),
    )


def no_masks(atlas: Atlas, task: str, languages: Sequence[str]) -> Trouble:
    """Masks are needed, in an atlas that ships its tables alone."""
    return Trouble(
        "The masks are not here",
        f"Which weights are kept is read from the masks, and atlas `{atlas.name}` holds tables only. Choose another atlas in the side bar, put its tickets into "
        f"`masks/{atlas.name}/tickets/`, or discover them again:",
        (_discover(atlas, task, languages, "--seeds 0 1"),),
    )


def no_masks_beside(atlas: Atlas) -> Trouble:
    """An upload cannot be compared, in an atlas that ships its tables alone."""
    return Trouble(
        "The masks are not here",
        f"An upload is compared weight by weight with the masks of the atlas, and atlas `{atlas.name}` holds tables "
        f"only. Choose another atlas in the side bar, or put its tickets into `masks/{atlas.name}/tickets/`.",
    )


def no_common_seed(atlas: Atlas, task: str, languages: Sequence[str], missing: Mapping[int, str]) -> Trouble:
    """No seed that all languages have; `missing` names, for each seed, the languages without it."""
    lacking = "; ".join(f"seed {seed}: {names}" for seed, names in missing.items())
    return Trouble(
        "No seed that all languages have",
        "A core is counted over one sub-network of each language, all of one seed. Here every seed lacks some "
        f"({lacking}). Choose other seeds or fewer languages in the side bar, or discover what is missing:",
        (_discover(atlas, task, languages, f"--seeds {' '.join(str(seed) for seed in missing)}"),),
    )


def no_reference(atlas: Atlas, task: str, languages: Sequence[str]) -> Trouble:
    """A figure that is drawn against the base masks, which the atlas lacks."""
    return Trouble(
        "Nothing to compare the parts with",
        "Where the core is larger or smaller than the pretrained weights alone would make it is seen against "
        "their masks (method `base`), which this atlas lacks at this sparsity. Add them in a few seconds:",
        (_discover(atlas, task, languages, "--method base"),),
    )


def too_many_languages(have: int, most: int) -> Trouble:
    """More languages than their sets can be counted of."""
    return Trouble(
        "Too many languages for a set view",
        f"Sets are counted of {most} languages at most, and here are {have}. Choose fewer in the side bar.",
    )


def no_sets(where: str) -> Trouble:
    """No weight that some languages keep and others remove."""
    return Trouble(
        "No such set here",
        f"There is no set of this kind that keeps a weight {where} which the others remove.",
    )


def no_core_score(
    atlas: Atlas,
    task: str,
    sparsity: float,
    k: int,
    languages: Sequence[str],
    there: Sequence[str],
    ways: Sequence[Way],
) -> Trouble:
    """A core that was not trained; `there` says which were. `languages` are those chosen, none for all."""
    text = (
        "How much of the model's skill is in the weights that many languages share is found by training them "
        f"alone, on each language, from the pretrained weights. In atlas `{atlas.name}` that has not been done "
        "for this core"
    )
    if there:
        text += f", though it has for that of {'; '.join(there)}"
    if not atlas.has_bits:
        return Trouble("Not measured yet", f"{text}. The masks that it needs are not here.", (), tuple(ways))
    chosen = f" --languages {' '.join(languages)}" if languages else ""
    command = (
        f"python -m lsn_core core --atlas masks/{atlas.name} --task {task} --sparsity {sparsity:g} "
        f"--at-least {k} --score{chosen}"
    )
    return Trouble("Not measured yet", f"{text}. Measure it:", (command,), tuple(ways))


def core_score_of_other_seeds(seeds: Sequence[int]) -> Trouble:
    """The core was scored, with none of the seeds chosen."""
    return Trouble(
        "Not measured with these seeds",
        f"This core was trained and scored with seed {', '.join(map(str, seeds))}. Choose it in the side bar, or "
        "clear the choice of seeds.",
    )


def core_of_another_method(method: str) -> Trouble:
    """Scores of cores are there for one method alone."""
    return Trouble(
        "Only cores of iterative pruning are scored",
        "The side bar shows sub-networks of another method.",
        ways=(Way("Show iterative pruning", "method", method),),
    )


def no_tree(message: str) -> Trouble:
    """Distances that no tree can be made from."""
    return Trouble(
        "No tree here",
        f"{message[:1].upper()}{message[1:]}. Choose the measure Jaccard, another part of the model, or "
        "fewer languages.",
    )


def no_transfer(atlas: Atlas, task: str, sparsity: float, outdated: bool) -> Trouble:
    """No transfer of the task; `outdated` says that there is a table, of other sub-networks than are here."""
    text = (
        "How well one language's sub-network serves another is found by training it on the other's text, "
        f"pair by pair. In atlas `{atlas.name}` that has not been done for this task"
    )
    if outdated:
        text += " with the sub-networks that are in it now, only with earlier ones"
    if not atlas.has_bits:
        return Trouble(
            "No transfer here",
            f"{text}, and the atlas holds tables only: it has to be done where the masks are.",
        )
    return Trouble("No transfer here", f"{text}. Measure it:", (_transfer(atlas, task, sparsity),))


def no_task_transfer(
    atlas: Atlas, task: str, others: Sequence[str], sparsity: float, ways: Sequence[Way]
) -> Trouble:
    """No transfer between tasks at this sparsity, in an atlas with several tasks."""
    commands = [f"{_transfer(atlas, task, sparsity, 'task')} --source-task {other}" for other in others]
    return Trouble(
        "No transfer between tasks here",
        "Whether the sub-network that a language has for one task also serves another is found by training it for "
        "that one. That has not been done here"
        + (". Measure it:" if atlas.has_bits else ", and the atlas holds tables only."),
        tuple(commands) if atlas.has_bits else (),
        tuple(ways),
    )


def no_transfer_at(
    atlas: Atlas,
    task: str,
    sparsity: float,
    kind: str,
    what: str,
    levels: Sequence[float],
    ways: Sequence[Way],
) -> Trouble:
    """Transfer was measured, at other sparsities only; `what` is the kind of transfer in words."""
    there = " and ".join(f"{100 * level:g} %" for level in levels)
    return Trouble(
        f"No transfer at {100 * sparsity:g} %",
        f"In atlas `{atlas.name}` {what} was measured with {there} of the weights removed. Look there"
        + (", or measure it here:" if atlas.has_bits else "."),
        (_transfer(atlas, task, sparsity, kind),) if atlas.has_bits else (),
        tuple(ways),
    )


def transfer_elsewhere(what: str, there: str) -> Trouble:
    """The side bar leaves nothing of the transfer that was measured; `there` says what was."""
    return Trouble(
        "Choose more in the side bar",
        f"At this sparsity {what} was measured {there}. Choose at least two of these languages and one of "
        "these seeds, or clear the choice to see all.",
    )


def unforeseen(message: str, folder: Path) -> Trouble:
    """Anything else that keeps a page from being drawn."""
    message = without_folder(message, folder)
    return Trouble("This cannot be shown", f"{message[:1].upper()}{message[1:]}.")


def note_old_tables() -> None:
    """Say that the tables lag behind the masks, which makes pages slower but not wrong."""
    st.info(
        "The tables of this atlas were made from other sub-networks than are in it now, so the numbers here "
        "are counted anew from the masks. `discover` renews the tables when it ends."
    )


def show_command(command: str) -> None:
    """A command to be copied. As "batch" its options are told apart, hyphens and all, so that lines break between
    them."""
    st.code(command, language="batch", wrap_lines=True)


def show(trouble: Trouble, name: str = "trouble") -> None:
    """Draw it; where a page has several, each needs a name of its own."""
    with st.container(border=True, key=name):
        st.header(trouble.heading, anchor=False)
        st.markdown(trouble.text)
        for command in trouble.commands:
            show_command(command)
        if trouble.ways:
            with st.container(horizontal=True, key=f"{name}_ways"):
                for way in trouble.ways:
                    st.button(way.label, on_click=_take, args=(way,), key=f"way_{way.key}_{way.value}")


def warn(problems: Sequence[Problem], atlas: Path) -> None:
    """Name the files that cannot be used; the page goes on without them."""
    if not problems:
        return
    files = [f"- `{problem.path.name}`: {without_folder(problem.message, atlas)}" for problem in problems[:5]]
    more = f"\n- and {len(problems) - 5} more" if len(problems) > 5 else ""
    count = "One file of this atlas is" if len(problems) == 1 else f"{len(problems)} files of this atlas are"
    st.warning(
        f"{count} left out, because it cannot be trusted.\n\n"
        + "\n".join(files)
        + more
        + f"\n\n`python -m lsn_core verify masks/{atlas.name}` checks every file; running `discover` again "
        "makes the missing ones anew.",
    )


def sentence(message: str) -> str:
    """The message of an error as a sentence."""
    return f"{message[:1].upper()}{message[1:]}".rstrip(".") + "."


def without_folder(message: str, folder: Path) -> str:
    """The message without the folder of the atlas, which is the server's business."""
    return message.replace(f"{folder}/", "")


def _take(way: Way) -> None:
    st.session_state[way.key] = way.value


def _discover(atlas: Atlas, task: str, languages: Sequence[str], rest: str) -> str:
    return (
        f"python -m lsn_core discover --model {atlas.model['name']} --task {task} "
        f"--languages {' '.join(languages)} {rest} --atlas masks/{atlas.name}"
    )


def _transfer(atlas: Atlas, task: str, sparsity: float, kind: str = "mask") -> str:
    return f"python -m lsn_core transfer --atlas masks/{atlas.name} --task {task} --sparsity {sparsity:g}" + (
        f" --kind {kind}" if kind != "mask" else ""
    )
