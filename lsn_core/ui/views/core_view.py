"""What the Neutral core page shows, from the view to figures with their tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import numpy as np
import pandas as pd
import streamlit as st

from lsn_core.analysis.cores import Membership, core_table, exclusive_table, membership_table
from lsn_core.analysis.words import keepers_words, over_seeds
from lsn_core.masks.ticket import TicketKey
from lsn_core.ui import states, store
from lsn_core.ui.controls import Part
from lsn_core.ui.figures import Described
from lsn_core.ui.view import View
from lsn_core.viz import core as figures
from lsn_core.viz.drawing import Drawn
from lsn_core.viz.labels import SEED_LINES, plain_name, scope_name
from lsn_core.viz.places import layer_mark
from lsn_core.viz.words import core as words
from lsn_core.viz.words.anatomy import place_name

NO_LAYER = "none"
EVERY_LAYER, EVERY_COMPONENT = "all", "all"


@dataclass(frozen=True, eq=False)
class Core:
    """The weights kept by at least `k` of the view's languages, counted once for each of `seeds`.

    The tables have a row a seed and what is counted, and are worked out once.
    """

    view: View
    part: Part
    k: int
    seeds: tuple[int, ...]
    found: tuple[Membership, ...]

    @property
    def n(self) -> int:
        """How many languages."""
        return len(self.view.languages)

    @property
    def has_reference(self) -> bool:
        """Whether the pretrained weights alone are known."""
        return self.found[0].reference_kept is not None

    @cached_property
    def keepers(self) -> pd.DataFrame:
        """By exactly how many languages weights of the part are kept, as in `cores.membership_table`."""
        tables = [membership_table(found, (self.part.by,)) for found in self.found]
        return _each_seed(self, [table[table["scope"] == self.part.single] for table in tables])

    @cached_property
    def alone(self) -> pd.DataFrame:
        """The weights of the part that one language alone keeps, as in `cores.exclusive_table`."""
        tables = [exclusive_table(found, (self.part.by,)) for found in self.found]
        return _each_seed(self, [table[table["scope"] == self.part.single] for table in tables])

    @cached_property
    def sizes(self) -> pd.DataFrame:
        """The core in each part of the kind that is looked at, as in `cores.core_table`."""
        return _each_seed(self, [core_table(found, self.k, self.part.by) for found in self.found])

    @cached_property
    def places(self) -> pd.DataFrame:
        """One row a seed, layer and component, each with "all" too; `difference` in percentage points of `kept`."""
        return _places_table(self)

    @property
    def who(self) -> str:
        """Those who keep a weight of the core, in words."""
        return keepers_words(self.k, self.n)


def check(view: View) -> None:
    """Raise CannotDraw where there is no core to count: too few languages, no masks, no seed in common."""
    if len(view.languages) < 2:
        raise states.CannotDraw(
            states.too_few_languages(view.atlas, view.task, len(view.languages), 2, view.languages_chosen)
        )
    if not view.atlas.has_bits:
        raise states.CannotDraw(states.no_masks(view.atlas, view.task, view.languages))
    missing = lacking(view)
    if all(missing.values()):
        raise states.CannotDraw(
            states.no_common_seed(
                view.atlas,
                view.task,
                view.languages,
                {seed: _names(codes) for seed, codes in missing.items()},
            )
        )


def lacking(view: View) -> dict[int, list[str]]:
    """For each of the view's seeds, the languages that have no sub-network of it at the view's sparsity."""
    levels = view.catalogue.tickets
    return {
        seed: [
            code
            for code in view.languages
            if view.sparsity not in levels.get(TicketKey(view.task, code, view.method, seed), ())
        ]
        for seed in view.seeds
    }


def count(view: View, part: Part, k: int) -> Core:
    """The core, for every seed that all the languages have."""
    seeds = tuple(seed for seed, missing in lacking(view).items() if not missing)
    with reading() as progress:
        return Core(view, part, k, seeds, tuple(store.members(view, seed, progress) for seed in seeds))


@contextmanager
def reading() -> Iterator[Callable[[int, int], None]]:
    """A place on the page that shows how many sub-networks have been read, as long as they are."""
    place = st.empty()

    def show(done: int, total: int) -> None:
        place.progress(done / total, f"Reading sub-network {done + 1} of {total} …")

    try:
        yield show
    finally:
        place.empty()


def sentence(core: Core) -> str:
    """The line above the figures."""
    table = core.sizes
    rows = table[table["scope"] == core.part.single]
    alone = core.alone
    size = words.CoreSize(
        n=core.n,
        k=core.k,
        kept=float(rows["kept"].mean()),
        alike=alone["kept"].nunique() == 1,
        core=rows["core"].to_numpy(dtype=float),
        reference=rows["reference"].to_numpy(),
        chance=rows["independence"].to_numpy(),
    )
    return words.core_sentence(size, core.view.sparsity, core.part.where)


def notes(core: Core) -> list[str]:
    """What to keep in mind: one k is not the whole, and which seeds are left out."""
    lines = []
    if core.has_reference:
        table = core.keepers
        exactly = (table["weights"] - table["reference"] * _size(core)).to_numpy()
        by_seed = exactly.reshape(len(core.seeds), core.n + 1)
        at_least = np.cumsum(by_seed[:, ::-1], axis=1)[:, ::-1]
        lines.append(words.every_k_sentence(core.n, at_least[:, 1:]))
    for seed, missing in lacking(core.view).items():
        if missing:
            lines.append(
                f"Seed {seed} is left out: there is no sub-network of it for {_names(missing)}. Leave these "
                "languages out in the side bar to use it."
            )
    return lines


def bars(core: Core) -> tuple[Drawn, Described]:
    """By exactly how many languages weights are kept."""
    table = core.keepers
    percent = _over_seeds(core, table, "k", 100.0, "share", 100.0)
    weights = table.groupby("k")["weights"].mean().to_numpy()
    fig = figures.keepers_figure(percent, weights, core.k, core.view.theme)
    read = ", ".join(f"{k}: {figures.bar_number(share)} %" for k, share in enumerate(percent.value))
    about = Described(
        name=_file_name(core, "core"),
        alt=f"Bars of the share of weights {core.part.where} that exactly so many of {core.n} languages keep. "
        f"{read}. {_plain(sentence(core))}",
        how=f"Every weight {core.part.where} is counted once, by how many of the {core.n} languages keep it, "
        f"so that the bars add up to 100 % of all weights there. One sub-network keeps {_kept_share(core)} of them, "
        f"and the sentence above counts in per cent of that. {over_seeds(core.seeds, SEED_LINES)}. Pretrained weights alone: what would be if "
        "all that the languages had in common were the sizes of the pretrained weights. Chance: if they had "
        f"nothing in common. {_source(core)}",
        table=table,
    )
    return fig, about


def alone_sentence(core: Core) -> str:
    """The line above the weights that one language alone keeps."""
    table = core.alone
    means = table.groupby("language", sort=False)["exclusive"].mean()
    counts = {code: float(means.loc[code]) for code in core.view.languages}
    return words.alone_sentence(
        counts, float(table["kept"].mean()), table["reference"].tolist(), core.part.where
    )


def alone(core: Core) -> tuple[Drawn, Described]:
    """The weights that each language alone keeps."""
    table = core.alone
    weights = _over_seeds(core, table, "language", 1.0, "exclusive", 1.0)
    shared = float(table["shared"].mean())
    fig = figures.alone_figure(core.view.languages, weights, shared, core.view.theme)
    about = Described(
        name=_file_name(core, "core-alone"),
        alt=f"Bars of the weights that each language alone keeps. {_plain(alone_sentence(core))}",
        how=f"Weights {core.part.where} that one language keeps and all others remove. {over_seeds(core.seeds, SEED_LINES)}. "
        "Trained again with another seed, a language keeps partly other weights, so that some of these are "
        f"its own by accident. {_source(core)}",
        table=table,
    )
    return fig, about


def places_sentence(core: Core) -> str:
    """The line above the map of layers and components."""
    table = core.places
    single = table[(table["layer"] != EVERY_LAYER) & (table["component"] != EVERY_COMPONENT)]
    names = pd.Series(map(place_name, single["layer"], single["component"]), index=single.index)
    values = {str(name): rows.to_numpy() for name, rows in single.groupby(names, sort=False)["difference"]}
    whole = table[(table["layer"] == EVERY_LAYER) & (table["component"] == EVERY_COMPONENT)]
    return words.places_sentence(core.who, values, whole["difference"].to_numpy())


def places(core: Core) -> tuple[Drawn, Described]:
    """Layers by components: the core less what the pretrained weights alone would make it."""
    table = core.places
    mean = table.groupby(["layer", "component"], sort=False)["difference"].mean()
    layers, components = (list(dict.fromkeys(table[name])) for name in ("layer", "component"))
    layers, components = _last(layers, EVERY_LAYER), _last(components, EVERY_COMPONENT)
    grid = mean.unstack().reindex(index=layers, columns=components).to_numpy()
    rows = _by_place(table)
    hover = [[_hover(core, layer, one, rows.get((layer, one))) for one in components] for layer in layers]
    several = len({layer.partition(".")[0] for layer in layers if "." in layer}) > 1
    marks = [layer_mark(layer, several) for layer in layers]
    fig = figures.places_figure(marks, components, grid, hover, core.view.theme)
    about = Described(
        name=_file_name(core, "core-places", everywhere=True),
        alt=f"Heatmap over {len(layers) - 1} layers and {len(components) - 1} components. "
        + _plain(places_sentence(core)),
        how=f"Each cell: the weights that {core.who} keep there, in per cent of what one sub-network keeps "
        "there, less the same for the pretrained weights alone; all parts of the model, whichever is chosen "
        f"above. {over_seeds(core.seeds)}. Last row and column: all layers, all components together. Grey: the "
        f"model has no such matrix, or nothing of it is kept. {_source(core)}",
        table=table,
    )
    return fig, about


def _places_table(core: Core) -> pd.DataFrame:
    matrices = core.view.atlas.layout.matrices
    by_matrix = [core_table(found, core.k, "matrix") for found in core.found]
    table = _each_seed(core, by_matrix).drop(columns="scope")
    layers = [NO_LAYER if m.layer is None else f"{m.stack}.{m.layer}" for m in matrices]
    table.insert(1, "layer", layers * len(core.seeds))
    table.insert(2, "component", [m.component for m in matrices] * len(core.seeds))
    whole = [
        table,
        table.assign(component=EVERY_COMPONENT),
        table.assign(layer=EVERY_LAYER),
        table.assign(layer=EVERY_LAYER, component=EVERY_COMPONENT),
    ]
    found = pd.concat(whole).groupby(["seed", "layer", "component"], sort=False).sum().reset_index()
    kept = found["kept"].where(found["kept"] > 0)
    return found.assign(difference=100 * (found["core"] - found["reference"]) / kept)


def _each_seed(core: Core, tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The tables of the seeds one below another, with a column `seed` first."""
    whole = pd.concat(tables, keys=core.seeds, names=["seed"])
    return whole.reset_index(level="seed").reset_index(drop=True)


def _over_seeds(
    core: Core, table: pd.DataFrame, by: str, unit: float, column: str, expected_unit: float
) -> figures.Measured:
    """Mean, lowest and highest seed of a column for each value of `by`, and the means of what is expected."""
    groups = table.groupby(by, sort=False)
    return figures.Measured(
        value=unit * groups[column].mean().to_numpy(),
        low=unit * groups[column].min().to_numpy(),
        high=unit * groups[column].max().to_numpy(),
        reference=expected_unit * groups["reference"].mean().to_numpy(),
        chance=expected_unit * groups["independence"].mean().to_numpy(),
    )


def _size(core: Core) -> int:
    """Weights of the part that is looked at."""
    return int(core.alone["size"].iloc[0])


def _by_place(table: pd.DataFrame) -> dict[tuple[str, str], dict[str, list[float]]]:
    """The numbers of each layer and component, one a seed."""
    names = ("kept", "core", "reference", "independence", "difference")
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    columns = (table[name].tolist() for name in ("layer", "component", *names))
    for layer, component, *numbers in zip(*columns, strict=True):
        there = found.setdefault((layer, component), {name: [] for name in names})
        for name, number in zip(names, numbers, strict=True):
            there[name].append(number)
    return found


def _hover(core: Core, layer: str, component: str, rows: dict[str, list[float]] | None) -> str:
    where = {EVERY_LAYER: "All layers", NO_LAYER: "No layer"}.get(layer, scope_name(layer))
    title = f"<b>{where}, {'all components' if component == EVERY_COMPONENT else component}</b>"
    if rows is None:
        return f"{title}<br>no such matrix in this model"
    mean = {name: fmean(numbers) for name, numbers in rows.items()}
    kept = mean["kept"]
    if not kept:
        return f"{title}<br>nothing of it is kept"
    low, high = min(rows["difference"]), max(rows["difference"])
    over = f" ({words.signed(low)} to {words.signed(high)} over seeds)" if len(rows["kept"]) > 1 else ""
    return "<br>".join(
        [
            title,
            f"{words.signed(mean['difference'])} percentage points{over}",
            f"core: {mean['core']:,.0f} weights, {words.per_cent(100 * mean['core'] / kept)}",
            f"pretrained weights alone: {words.per_cent(100 * mean['reference'] / kept)}",
            f"chance: {words.per_cent(100 * mean['independence'] / kept)}",
            f"100 % is what one sub-network keeps: {kept:,.0f}",
        ]
    )


def _last(names: list[str], last: str) -> list[str]:
    return [*(name for name in names if name != last), last]


def _names(codes: list[str]) -> str:
    return ", ".join(plain_name(code) for code in codes)


def _kept_share(core: Core) -> str:
    """What one sub-network keeps of the weights of the part that is looked at."""
    return words.per_cent(100 * float(core.alone["kept"].mean()) / _size(core))


def _source(core: Core) -> str:
    return f"Atlas {core.view.atlas.name}, model {core.view.atlas.model['name']}."


def _file_name(core: Core, what: str, everywhere: bool = False) -> str:
    """Stem of a downloaded file: what it shows, of which atlas, task, sparsity, k of n, and part."""
    view = core.view
    parts = [what, view.atlas.name, view.task, view.method, f"{100 * view.sparsity:g}", f"{core.k}of{core.n}"]
    if not everywhere:
        parts.append(core.part.single)
    return "-".join(part.replace(" ", "-").replace("/", "-") for part in parts)


def _plain(markdown: str) -> str:
    return markdown.replace("**", "")
