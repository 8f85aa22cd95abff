"""What the Overlap page shows of one pair of languages."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pandas as pd

from lsn_core.analysis.transfer import TransferMatrix
from lsn_core.ui import store
from lsn_core.ui.controls import Part
from lsn_core.ui.figures import Described
from lsn_core.ui.view import View
from lsn_core.ui.views import transfer_view
from lsn_core.ui.views.overlap_view import file_name
from lsn_core.viz.dots import Dots, dots_figure
from lsn_core.viz.drawing import Drawn
from lsn_core.viz.labels import metric_line, metric_name, plain_name
from lsn_core.viz.overlap_map import REPLICATES, Pair, estimate, pair_profile
from lsn_core.viz.profile import HEIGHT, Profile, component_profile, layer_profile
from lsn_core.viz.scores import scores_figure
from lsn_core.viz.shares import shares_figure
from lsn_core.viz.words.overlap import pair_sentence
from lsn_core.viz.words.transfer import DIGITS, pair_transfer_sentence


def sentence(view: View, part: Part, pair: Pair) -> str:
    """The pair in words, and how far its seeds agree."""
    found = store.matrix(view, view.measure.key, part.single)
    return pair_sentence(view.measure, pair, part.where, estimate(found, *pair))


def profile(view: View, pair: Pair, by: str) -> Profile:
    """The view's measure for the pair in every part of a kind, and the levels it is judged against."""
    scopes = tuple(scope.label for scope in view.atlas.layout.scopes(by))
    return pair_profile(partial(store.matrix, view), view.measure, pair, scopes)


def layers_figure(view: View, pair: Pair, height: float = HEIGHT) -> tuple[Drawn, Described]:
    """The pair's profile over the layers, so many pixels high."""
    found = profile(view, pair, "layer")
    fig = layer_profile(found, view.measure.axis, view.measure.digits, view.theme, height)
    return fig, _about(view, pair, found, "layers")


def components_figure(view: View, pair: Pair) -> tuple[Drawn, Described]:
    """The pair's profile over the components."""
    found = profile(view, pair, "component")
    fig = component_profile(found, view.measure.axis, view.measure.digits, view.theme)
    return fig, _about(view, pair, found, "components")


def weights_figure(view: View, pair: Pair, part: Part) -> tuple[Drawn, Described]:
    """How the weights fall into shared, exclusive and removed; a mean over pairs of seeds."""
    table = store.pair_table(view, pair, "total" if part.scope is None else part.by)
    rows = table[(table["scope"] == part.single) & (table["language_a"] != table["language_b"])]
    first = np.where(rows["language_a"] == pair[0], rows["count_a"], rows["count_b"]).mean()
    second = np.where(rows["language_a"] == pair[0], rows["count_b"], rows["count_a"]).mean()
    both = float(rows["intersection"].mean())
    counts = {
        "both": both,
        "first": float(first) - both,
        "second": float(second) - both,
        "neither": float((rows["size"] - rows["union"]).mean()),
    }
    jaccard = rows["jaccard"]
    spread = f"Jaccard index from {jaccard.min():.4f} to {jaccard.max():.4f} over {len(rows)} pairs of seeds"
    about = Described(
        name=file_name(view, f"weights-{pair[0]}-{pair[1]}", part.single),
        alt=f"Of {rows['size'].iloc[0]:,} weights, {counts['both']:,.0f} are kept by both languages, "
        f"{counts['first']:,.0f} by {plain_name(pair[0])} only, {counts['second']:,.0f} by "
        f"{plain_name(pair[1])} only and {counts['neither']:,.0f} by neither.",
        how=f"Weights counted {part.where}, mean over pairs of seeds; {spread}.",
        table=rows.reset_index(drop=True),
    )
    return shares_figure(pair, counts, view.theme), about


def scores_by_sparsity(view: View, pair: Pair) -> tuple[Drawn, Described] | None:
    """How well the two languages' sub-networks do by sparsity, beside random ones; None without scores."""
    table = store.scores(view)
    table = table[table["language"].isin(pair) & table["method"].isin([view.method, "random"])]
    table = table[table["seed"].isin(view.seeds) | (table["method"] != view.method)]
    if not len(table):
        return None
    split = "test" if "test" in set(table["split"]) else str(table["split"].iloc[0])
    metric = str(table["metric"].iloc[0])
    table = table[(table["split"] == split) & (table["metric"] == metric)].copy()
    control = (table["method"] == "random") & (view.method != "random")
    table["name"] = [
        plain_name(code) + (", random" if random else "")
        for code, random in zip(table["language"], control, strict=True)
    ]
    table["language_rank"] = [pair.index(code) for code in table["language"]]
    table["control"] = control
    table = table.sort_values(["control", "language_rank", "seed", "sparsity"])
    about = Described(
        name=file_name(view, f"scores-{pair[0]}-{pair[1]}", "total"),
        alt=f"{metric_line(metric)} by share of weights removed for {plain_name(pair[0])} and {plain_name(pair[1])}, "
        "beside random sub-networks.",
        how=f"{metric_line(metric)} on {split} data, each sub-network trained from the same start; at 0 % the whole "
        f"model. {'Random: as many weights in every matrix, drawn by lot. ' if control.any() else ''}Whiskers: lowest "
        "and highest seed.",
        table=table[["task", "language", "method", "seed", "sparsity", "metric", "value", "count", "split"]],
    )
    return scores_figure(table, metric_name(metric), view.theme), about


def transfer(view: View, pair: Pair) -> TransferMatrix:
    """The transfer between the two, of their masks where that was measured. Raises CannotDraw where none was."""
    rows = transfer_view.rows(view)
    alone = dataclasses.replace(view, languages=pair)
    return transfer_view.select(alone, rows, transfer_view.kinds(rows)[0])


def transfer_words(found: TransferMatrix, pair: Pair) -> str:
    """Both directions in words."""
    return pair_transfer_sentence(found, pair)


def transfer_figure(view: View, found: TransferMatrix, pair: Pair) -> tuple[Drawn, Described]:
    """What each of the two scores with its own sub-network and with the other's."""
    value, own = found.value, np.diagonal(found.value)
    drawn = []
    for target, source in (pair, pair[::-1]):
        row, column = (found.languages.index(code) for code in (source, target))
        for whose, place, score in (
            ("its own", (column, column), float(own[column])),
            (f"{plain_name(source)}'s", (row, column), float(value[row, column])),
        ):
            seeds = {seed: float(each[place]) for seed, each in zip(found.seeds, found.by_seed, strict=True)}
            drawn.append(Dots(f"{plain_name(target)} with {whose}", score, seeds))
    names = f"{plain_name(pair[0])} and {plain_name(pair[1])}"
    about = Described(
        name=file_name(view, f"transfer-{pair[0]}-{pair[1]}", found.kind),
        alt=f"{metric_line(found.metric)} of {names}, each with its own sub-network and with the other's: "
        + ", ".join(f"{row.name} {row.value:.{DIGITS}f}" for row in drawn if np.isfinite(row.value))
        + ".",
        how=f"{metric_line(found.metric)} on test data of the language named first, with the "
        "sub-network of the language named second, "
        + ("trained on the first." if found.kind == "mask" else "trained on the second.")
        + " Not measured: left out.",
        table=pd.DataFrame(
            [
                {"row": row.name, "value": row.value}
                | {f"seed_{seed}": each for seed, each in row.by_seed.items()}
                for row in drawn
            ]
        ),
    )
    return dots_figure(drawn, metric_name(found.metric), DIGITS, view.theme), about


def _about(view: View, pair: Pair, found: Profile, what: str) -> Described:
    names = f"{plain_name(pair[0])} and {plain_name(pair[1])}"
    parts = [
        f"{scope} {value:.{view.measure.digits}f}"
        for scope, value in zip(found.scopes, found.value, strict=True)
    ]
    return Described(
        name=file_name(view, f"{what}-{pair[0]}-{pair[1]}", "each"),
        alt=f"{view.measure.name} of {names} over {what}: {', '.join(parts)}.",
        how=f"{view.measure.name} with weights counted in each of the {what}; 95 % intervals from "
        f"{REPLICATES} resamples of seeds and matrices.",
        table=pd.DataFrame(
            {"scope": found.scopes, view.measure.key: found.value, "low": found.low, "high": found.high}
            | {name.replace(" ", "_"): values for name, values in found.levels.items()}
        ),
    )
