"""What the Overlap page shows, from the view to figures with their tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd

from lsn_core.analysis.calibration import LanguageMatrix
from lsn_core.languages import in_family_order
from lsn_core.ui import states, store
from lsn_core.ui.controls import Part
from lsn_core.ui.figures import Described
from lsn_core.ui.view import View
from lsn_core.viz import heatmap, overlap_map, ranking
from lsn_core.viz.drawing import Drawn
from lsn_core.viz.labels import plain_name, scope_name
from lsn_core.viz.measures import NEUTRALITY
from lsn_core.viz.overlap_map import cell_texts, colours, drawn, reference_marks
from lsn_core.viz.profile import HEIGHT
from lsn_core.viz.words.overlap import overlap_sentence, pair_extremes, pair_mean, parts_sentence

CLUSTER = "cluster"
LEVELS = "Weights that two sub-networks both keep, as a share of those that either keeps (the Jaccard index):"
EMBEDDED_ROOM = 425  # px, for the heatmap and what is in it where the page is a slide of 540
PAIR_TEXT = 190  # px, what stands over and under the first figure of a pair, and not beside it
BAND_WORDS = "The band beside the names shows their branch of the family tree."
_PANEL_ORDER = {
    CLUSTER: "Languages are ordered by the whole model's tree.",
    "family": "Languages are ordered by family, relatives together.",
    "alphabet": "Languages are ordered by their English names.",
}


def check(view: View, need: int) -> None:
    """Raise CannotDraw where at least `need` languages cannot be compared by the view's measure."""
    if len(view.languages) < need:
        raise states.CannotDraw(
            states.too_few_languages(view.atlas, view.task, len(view.languages), need, view.languages_chosen)
        )
    if view.measure.needs_base and view.sparsity not in view.catalogue.base_levels:
        raise states.CannotDraw(states.no_base(view.atlas, view.task, view.languages))
    if view.measure.needs_seeds and len(view.languages) - len(_single_seeded(view)) < need:
        raise states.CannotDraw(states.no_seeds(view.atlas, view.task, view.languages))


@dataclass(frozen=True)
class Level:
    """One of the numbers that a pair's overlap is judged against, as a Jaccard index."""

    name: str
    value: float
    help: str


def levels(view: View, scope: str) -> list[Level]:
    """Chance, pretrained alone, measured and same language, each a mean over the pairs or languages shown."""
    jaccard = store.matrix(view, "jaccard", scope, replicates=0)
    found = [
        Level(
            "Chance",
            _off_diagonal(store.matrix(view, "chance", scope, replicates=0)),
            "Jaccard index of two random sub-networks that keep as many weights of every matrix.",
        ),
        Level(
            "Pretrained alone",
            _off_diagonal(store.matrix(view, "reference", scope, replicates=0)),
            "Jaccard index that two languages would show if all they had in common were the sizes of the "
            "pretrained weights, which every sub-network starts from.",
        ),
        Level(
            "Two languages",
            _off_diagonal(jaccard),
            "Measured Jaccard index, mean over all pairs of the languages shown.",
        ),
        Level(
            "Same language",
            _mean(np.diagonal(jaccard.value)),
            "Measured Jaccard index of one language's sub-networks from different seeds, mean over "
            "languages: as alike as two sub-networks get here.",
        ),
    ]
    return found


def sentence(view: View, part: Part) -> str:
    """The line above the figure."""
    found = store.matrix(view, view.measure.key, part.single)
    text = overlap_sentence(
        view.measure,
        len(view.languages),
        view.sparsity,
        part.where,
        pair_mean(found.value, found.replicates),
        pair_extremes(found.languages, found.value, found.replicates, len(view.seeds)),
    )
    if part.scope is not None:
        return text
    means = {
        scope_name(scope): _off_diagonal(store.matrix(view, view.measure.key, scope, replicates=0))
        for scope in part.scopes
    }
    return f"{text} {parts_sentence(view.measure, part.by, means)}"


def languages_figure(
    view: View,
    part: Part,
    chosen: tuple[str, str] | None,
    order_by: str = CLUSTER,
    room: float | None = None,
) -> tuple[Drawn, Described]:
    """The heatmap of one scope, or one small heatmap a scope, with the languages ordered as told.

    With `room`, the heatmap of one scope is made low enough for so many pixels.
    """
    order, linkage, words = language_order(view, part.single, order_by)
    if part.scope is None:
        return _panels(view, part, order, chosen, order_by)
    fig = overlap_map.language_map(
        partial(store.matrix, view), view.measure, part.scope, order, linkage, view.theme, chosen, room
    )
    about = Described(
        name=file_name(view, "overlap", part.scope),
        alt=f"Heatmap of {view.measure.name} between {len(order)} languages {part.where}. "
        + sentence(view, part).replace("**", ""),
        how=_how(view, part, f"{words} {BAND_WORDS}"),
        table=_table(view, [part.scope], order),
    )
    return fig, about


def _panels(
    view: View, part: Part, order: tuple[str, ...], chosen: tuple[str, str] | None, order_by: str
) -> tuple[Drawn, Described]:
    found = {
        title: store.matrix(view, view.measure.key, scope, order, replicates=0)
        for title, scope in zip(_panel_titles(part.scopes), part.scopes, strict=True)
    }
    values = {title: drawn(matrix, view.measure) for title, matrix in found.items()}
    shown = colours(view.measure, np.stack([matrix.value for matrix in found.values()]))
    hover = {
        title: cell_texts(partial(store.matrix, view), view.measure, matrix)
        for title, matrix in found.items()
    }
    fig = heatmap.layer_heatmaps(order, values, hover, shown, view.theme, chosen)
    about = Described(
        name=file_name(view, "overlap", f"by-{part.by}"),
        alt=f"{len(found)} heatmaps of {view.measure.name} between {len(order)} languages. "
        + sentence(view, part).replace("**", ""),
        how=_how(
            view,
            part,
            f"All share one colour scale; columns stand in the order of the rows. {_PANEL_ORDER[order_by]} {BAND_WORDS}",
        ),
        table=_table(view, list(part.scopes), order, replicates=0),
    )
    return fig, about


def _panel_titles(scopes: tuple[str, ...]) -> list[str]:
    """Names of the parts that fit over small heatmaps: a layer's without its stack where all are of one, and
    without the word where they are of two."""
    stacks = {scope.partition(".")[0] for scope in scopes if "." in scope}
    names = [scope_name(scope) for scope in scopes]
    if not stacks:
        return names
    if len(stacks) > 1:
        return [name.replace(" layer ", " ") for name in names]
    return [f"Layer {scope.partition('.')[2]}" for scope in scopes]


def ranking_figure(view: View, part: Part, height: float) -> tuple[Drawn, Described]:
    """The most and the least alike pairs with their intervals, as many as go beside a figure of this height."""
    found = store.matrix(view, view.measure.key, part.single)
    value, low, high = (part.tolist() for part in (found.value, found.low, found.high))
    pairs = [
        ranking.RankedPair((first, second), value[a][b], low[a][b], high[a][b])
        for (a, first), (b, second) in combinations(enumerate(found.languages), 2)
    ]
    drawn = ranking.extremes(pairs, ranking.each_in(height))
    known = sum(math.isfinite(pair.value) for pair in pairs)
    marks = reference_marks(view.measure, {level.name: level.value for level in levels(view, part.single)})
    fig = ranking.ranking_figure(
        drawn, known - len(drawn), marks, view.measure.axis, view.measure.digits, view.theme
    )
    about = Described(
        name=file_name(view, "pairs", part.single),
        alt=f"The most and the least alike pairs of languages by {view.measure.name}, with 95 % intervals.",
        how=f"Weights counted {part.where}; {_seed_words(view)}; 95 % intervals from 400 resamples of seeds "
        "and matrices.",
        table=pd.DataFrame(
            [
                (plain_name(p.languages[0]), plain_name(p.languages[1]), p.value, p.low, p.high)
                for p in sorted(pairs, key=lambda p: -p.value if math.isfinite(p.value) else math.inf)
            ],
            columns=["language_a", "language_b", view.measure.key, "low", "high"],
        ),
    )
    return fig, about


def beside(height: float) -> float:
    """How high the first figure of a pair is drawn beside a heatmap of this height, in pixels."""
    return max(HEIGHT, height - PAIR_TEXT)


def file_name(view: View, what: str, scope: str) -> str:
    """Stem of a downloaded file: what it shows, of which atlas, task, sparsity, measure and scope."""
    parts = [what, view.atlas.name, view.task, f"{100 * view.sparsity:g}", view.measure.token, scope]
    return "-".join(part.replace(" ", "-").replace("/", "-") for part in parts)


def gaps(view: View) -> str:
    """Which languages have no value of the measure, and why; empty when all have."""
    single = [plain_name(code) for code in _single_seeded(view)]
    if not view.measure.needs_seeds or not single:
        return ""
    verb = "has" if len(single) == 1 else "have"
    return f"{view.measure.name} is undefined for {', '.join(single)}, which {verb} one seed here."


def language_order(
    view: View, scope: str, order_by: str = CLUSTER
) -> tuple[tuple[str, ...], np.ndarray | None, str]:
    """The languages in an order of `controls.ORDERS`, the tree over them with leaf k for language k, and words on
    the two. There is a tree in the order of the tree alone; where there can be none, that order is a fixed one."""
    if order_by == "family":
        return in_family_order(view.languages), None, "Languages are ordered by family, relatives together."
    if order_by == "alphabet":
        names = sorted(view.languages, key=plain_name)
        return tuple(names), None, "Languages are ordered by their English names."
    return overlap_map.language_order(partial(store.matrix, view), view.measure, scope)


def _single_seeded(view: View) -> list[str]:
    """The view's languages that have one of its seeds only."""
    seeds = list(view.seeds)
    return [
        code for code in view.languages if view.catalogue.seeds_of(view.task, view.method, code, seeds) < 2
    ]


def _table(view: View, scopes: list[str], order: tuple[str, ...], replicates: int = 400) -> pd.DataFrame:
    """One row a pair of languages and scope; on the diagonal one language with itself."""
    first, second = np.triu_indices(len(order))
    codes = np.array(order)
    tables = []
    for scope in scopes:
        found = store.matrix(view, view.measure.key, scope, order, replicates)
        columns = {"scope": scope, "language_a": codes[first], "language_b": codes[second]}
        for name in ("jaccard", "chance", "reference"):
            columns[name] = store.matrix(view, name, scope, order, replicates=0).value[first, second]
        for name, values in ((view.measure.key, found.value), ("low", found.low), ("high", found.high)):
            columns[name] = values[first, second]
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def _how(view: View, part: Part, ending: str) -> str:
    itself = ", which is 1 by definition" if view.measure is NEUTRALITY else " where that is not measured"
    return (
        f"{view.measure.formula}, from weights counted {'in each part' if part.scope is None else part.where}; "
        f"{_seed_words(view)}. {ending} Grey: undefined, or a language with itself{itself}. "
        f"Atlas {view.atlas.name}, model {view.atlas.model['name']}."
    )


def _seed_words(view: View) -> str:
    if len(view.seeds) == 1:
        return f"one seed ({view.seeds[0]})"
    return f"mean over pairs of seeds ({', '.join(str(seed) for seed in view.seeds)})"


def _off_diagonal(found: LanguageMatrix) -> float:
    return _mean(found.value[np.triu_indices(len(found.languages), 1)])


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")
