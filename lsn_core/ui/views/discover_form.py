"""What a visitor may ask a discovery for, and whether that can be: before anything is started."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lsn_core.data.opening import open_source
from lsn_core.discovery.config import Recipe, Training, default_scope
from lsn_core.discovery.plan import Estimate, Plan, estimate, trained_methods, usable_cores, wanted
from lsn_core.discovery.presets import PRESETS, Preset
from lsn_core.errors import LsnError
from lsn_core.languages import PAPER_LANGUAGES, in_paper_order
from lsn_core.masks.atlas import ATLAS_FILE, Atlas
from lsn_core.masks.ticket import TicketKey
from lsn_core.ui import states, store
from lsn_core.viz.labels import TASKS, task_name

MODELS_VARIABLE = "LSN_MODELS"
"""Folders of models that visitors may choose by name (that of the folder), with a colon between them."""
DATA_VARIABLE = "LSN_DATA"
"""Folders of text or labelled data that visitors may choose by name, with a colon between them."""

DEMO = "demo"
METHODS = {
    "imp": "Iterative pruning",
    "oneshot": "One-shot pruning",
    "random": "Random control",
    "base": "Pretrained weights alone",
}
NO_PRESET, FITTING = "none", "fitting"
CRITERION_NAMES = {
    "magnitude": "The smallest weights (magnitude)",
    "magnitude-change": "Those that training moved least (magnitude-change)",
    "taylor": "Those whose removal costs least, by gradient (taylor)",
    "wanda": "The smallest weight × input (wanda)",
}
SCOPE_NAMES = {
    FITTING: "All together; with a decoder, each stack alone",
    "global": "All together (global)",
    "stack": "Each stack alone (stack)",
    "layer": "Each layer alone (layer)",
    "matrix": "Each matrix alone (matrix)",
}
MOST_EPOCHS = 100
RATES = ("1e-05", "2e-05", "5e-05", "0.0001", "0.0002", "0.0005", "0.001")
SEEDS = tuple(range(10))
MOST_STEPS = 100_000
_EMBEDDED = {"mlm": "cldr", "ner": "cldr", "nli": "cldr"}
_ON_HUB = {"mlm": "hub:wikipedia", "ner": "hub:wikiann", "nli": "hub:xnli"}
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)
_ATLAS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True)
class Offers:
    """What there is to choose from.

    `models` and `folders` (of data) map the names that visitors see to what the command line is given; `atlases`
    maps the atlases under `root`, by name, to themselves. With `any_model`, another name of the hub may be typed.
    """

    root: Path
    models: Mapping[str, str]
    folders: Mapping[str, str]
    atlases: Mapping[str, Atlas]
    any_model: bool

    @property
    def tasks(self) -> list[str]:
        """Tasks that there is data for."""
        return [task for task in ("mlm", "ner", "nli", "pos") if self.data(task)]

    def data(self, task: str) -> dict[str, str]:
        """The sources for a task, as `folders`."""
        known = [source for table in (_EMBEDDED, _ON_HUB) if (source := table.get(task))]
        return {source: source for source in known} | dict(self.folders)


@dataclass(frozen=True)
class Choices:
    """What is asked for: `model` and `data` as the command line takes them.

    With `epochs`, a round is so many passes over the text in place of `steps`. `preset` decides what stands on the
    form nowhere.
    """

    model: str
    task: str
    data: str
    languages: tuple[str, ...]
    seeds: tuple[int, ...]
    method: str
    rounds: int
    steps: int
    rate: str
    atlas: str
    criterion: str = "magnitude"
    scope: str = FITTING
    epochs: int = 0
    preset: str = NO_PRESET

    @property
    def training(self) -> Training:
        """How a network is trained in a round; the steps are those on the form, also where epochs come first."""
        known = {} if self.preset == NO_PRESET else PRESETS[self.preset].training
        return Training(**known | {"steps": self.steps, "learning_rate": float(self.rate)})

    @property
    def keys(self) -> list[TicketKey]:
        """The tickets that are asked for; none where the pretrained weights alone are."""
        return wanted(self.task, trained_methods([self.method]), self.languages, self.seeds)

    def command(self, root: Path) -> list[str]:
        """What follows ``python -m lsn_core``, in the folder above that of the atlases."""
        options = {
            "--model": [self.model],
            "--task": [self.task],
            "--languages": self.languages,
            "--data": [self.data],
            "--method": [self.method],
            "--seeds": [str(seed) for seed in self.seeds],
            "--rounds": [str(self.rounds)],
            **({"--epochs": [str(self.epochs)]} if self.epochs else {"--steps": [str(self.steps)]}),
            "--learning-rate": [self.rate],
            "--atlas": [f"{root.name}/{self.atlas}"],
        }
        if self.preset != NO_PRESET:
            options = {"--preset": [self.preset], **options}
        if self.criterion != "magnitude":
            options["--criterion"] = [self.criterion]
        if self.scope != FITTING:
            options["--scope"] = [self.scope]
        return ["discover", *(word for name, values in options.items() for word in (name, *values))]


@dataclass(frozen=True)
class Cost:
    """What the choices will cost; `time` is None while nothing is known to judge it by."""

    plan: Plan
    time: Estimate | None


@dataclass
class Verdict:
    """What stands against the choices, by control (at most a sentence each), and the cost where it can be told."""

    wrong: dict[str, str] = field(default_factory=dict)
    cost: Cost | None = None


def offers(root: Path, any_model: bool) -> Offers:
    """What may be chosen, as the folder of atlases and the server's variables say."""
    atlases: dict[str, Atlas] = {}
    for name, folder in store.atlas_folders(root).items():
        try:
            atlases[name] = store.open_atlas(folder)
        except LsnError:
            continue  # the side bar says so, and writing to it is refused below
    models = {DEMO: DEMO}
    everywhere = (atlas.model_everywhere for atlas in atlases.values())
    models |= {name: name for name in everywhere if name is not None}
    return Offers(root, models | _folders(MODELS_VARIABLE), _folders(DATA_VARIABLE), atlases, any_model)


def preset_name(name: str) -> str:
    """A preset in a list."""
    if name == NO_PRESET:
        return "None"
    preset = PRESETS[name]
    return f"{TASKS[preset.task].capitalize()}, {preset.model} ({name})"


def preset_words(preset: Preset) -> str:
    """What a preset decides that stands on the form nowhere, and what to know about it."""
    settings = preset.training
    return (
        f"Batches of {settings['batch_size']} texts of up to {settings['max_length']} pieces, up to "
        f"{settings['train_lines']:,} texts a language; {preset.note}. Made for a GPU. What you "
        "change in the form comes first."
    )


def filled_in(preset: Preset) -> dict[str, object]:
    """The controls of the form, by their names in the address, that a preset sets, and what to."""
    rate = next(rate for rate in RATES if float(rate) == preset.learning_rate)
    length = (
        {"run_epochs": 0, "run_steps": preset.steps}
        if preset.steps
        else {"run_epochs": int(preset.epochs or 0)}
    )
    return {
        "run_model": preset.model,
        "run_task": preset.task,
        "run_data": preset.data,
        "run_languages": list(preset.languages),
        "run_rounds": preset.rounds,
        "run_rate": rate,
        **length,
    }


def languages_of(task: str, data: str) -> tuple[str, ...]:
    """The languages to choose from in a source; of the embedded text and the hub, the paper's.

    Raises LsnError when a folder cannot be read.
    """
    if data == "cldr":
        return PAPER_LANGUAGES
    if data.startswith("hub:"):
        # The languages of a set that is not fetched are known for some sets alone.
        known = _source_languages(data) or PAPER_LANGUAGES
        return tuple(code for code in PAPER_LANGUAGES if code in known)
    return in_paper_order(open_source(data).languages(kind_of(task)))


def kind_of(task: str) -> str:
    """The kind of items that a task learns from; the tasks themselves need PyTorch to be asked."""
    return "text" if task == "mlm" else task


def judge(choices: Choices, given: Offers) -> Verdict:
    """Whether a discovery can be started with these choices, and what it will cost."""
    found = Verdict()
    wrong = found.wrong
    if not choices.model or choices.model not in given.models.values():
        if not given.any_model or not _HUB_NAME.fullmatch(choices.model):
            wrong["model"] = "Give the name of a model on the hub, such as xlm-roberta-base."
        # A name that is a folder where the run starts would be opened as one.
        elif os.path.lexists(given.root.absolute().parent / choices.model):
            wrong["model"] = f"“{choices.model}” is a folder of this server, not a model of the hub."
    if not choices.languages and choices.method != "base":
        wrong["languages"] = "Choose at least one language."
    if not choices.seeds and choices.method != "base":
        wrong["seeds"] = "Choose at least one seed."
    try:
        data = open_source(choices.data).name
    except LsnError as error:
        wrong["data"] = states.sentence(str(error))
        return found
    recipe = Recipe(
        choices.task, choices.method, data, choices.rounds, choices.criterion, training=choices.training
    )
    atlas = given.atlases.get(choices.atlas)
    if refused := _atlas_refused(choices, given):
        wrong["atlas"] = refused
    elif atlas is not None and not choices.epochs:  # how many steps they are is known when the text is read
        scope = default_scope(atlas.layout) if choices.scope == FITTING else choices.scope
        try:
            for key in choices.keys:
                one = replace(recipe, method=key.method, scope=scope)
                atlas.check_recipe(key, one.to_dict())
        except LsnError:
            wrong["atlas"] = (
                f"Atlas “{choices.atlas}” holds sub-networks for {task_name(choices.task)} made with other settings, "
                "with which these could not be compared; give another name, or the same settings."
            )
    keys = choices.keys
    looked_at = None if "atlas" in wrong else atlas
    missing = tuple(key for key in keys if looked_at is None or not looked_at.has(key))
    plan = Plan(len(keys), missing, recipe)
    name = model_name(choices.model)
    earlier = [h for a in given.atlases.values() if a.model["name"] == name for h in a.headers()]
    time = estimate(plan, earlier, usable_cores()) if plan.steps and not choices.epochs else None
    found.cost = Cost(plan, time)
    return found


def model_name(model: str) -> str:
    """The name that an atlas knows a model by: of a folder, the folder's own."""
    return Path(model).name if os.path.isabs(model) or model.startswith(".") else model


def _atlas_refused(choices: Choices, given: Offers) -> str:
    """Why the tickets cannot go to the atlas of this name; empty when they can."""
    name = choices.atlas
    if not _ATLAS_NAME.fullmatch(name):
        return "Give a name of letters, digits, - and _, at most 40 of them; it becomes a folder."
    folder = given.root / name
    atlas = given.atlases.get(name)
    if atlas is not None and atlas.path.absolute() != folder.absolute():
        return f"Atlas “{name}” lies elsewhere and is not written to; give another name."
    if atlas is None and os.path.lexists(folder):
        damaged = (folder / ATLAS_FILE).exists()
        what = "an atlas that cannot be read" if damaged else "a folder that is no atlas"
        return f"“{name}” is {what}; give another name."
    if atlas is not None and atlas.model["name"] != model_name(choices.model):
        return f"Atlas “{name}” is of another model, {atlas.model['name']}; give another name."
    return ""


def _folders(variable: str) -> dict[str, str]:
    """Name to path of the folders that a variable lists; what is no folder is left out."""
    listed = [Path(part) for part in os.environ.get(variable, "").split(os.pathsep) if part.strip()]
    return {path.resolve().name: str(path.absolute()) for path in listed if path.is_dir()}


def _source_languages(data: str) -> tuple[str, ...]:
    from lsn_core.data.hub import HUB_DATASETS

    return HUB_DATASETS[data.removeprefix("hub:")].languages
