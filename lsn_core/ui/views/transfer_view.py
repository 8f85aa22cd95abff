"""What the Transfer page shows, from the transfer table to figures with their tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lsn_core.analysis.calibration import LanguageMatrix
from lsn_core.analysis.statistics import correlation_interval, transfer_mantel
from lsn_core.analysis.transfer import TransferMatrix, transfer_matrix
from lsn_core.analysis.words import over_seeds
from lsn_core.languages import in_paper_order
from lsn_core.masks.ticket import SPARSITY_TOLERANCE
from lsn_core.ui import states, store
from lsn_core.ui.figures import Described
from lsn_core.ui.view import View
from lsn_core.ui.views import overlap_view
from lsn_core.viz import heatmap
from lsn_core.viz.dots import Dots, Marked, dots_figure, scatter_figure
from lsn_core.viz.drawing import Drawn
from lsn_core.viz.labels import metric_line, metric_name, plain_name, signed
from lsn_core.viz.words.transfer import (
    CONTROL_NAMES,
    DIGITS,
    FEWEST_TO_TEST,
    FINE,
    cell_sentence,
    donors_sentence,
    link_sentence,
    transfer_sentence,
)

METHOD = "imp"  # the sub-networks whose transfer is measured
KIND_WORDS = {"mask": "the transfer of masks", "zero-shot": "zero-shot transfer"}
CONTROL_ROWS = {"dense": "Unpruned model", "random": "Random", "base": "Pretrained alone"}
OWN, SCORE = "own", "score"

Cell = tuple[str, str]


def rows(view: View) -> pd.DataFrame:
    """The transfer between languages that was measured for the view's task; CannotDraw without any."""
    table, there = store.transfer(view.atlas)
    mine = table[(table["task"] == view.task) & table["kind"].isin(list(KIND_WORDS))]
    if mine.empty:
        outdated = there and table.empty and view.atlas.has_bits
        raise states.CannotDraw(states.no_transfer(view.atlas, view.task, view.sparsity, outdated))
    return mine


def kinds(table: pd.DataFrame) -> list[str]:
    """The kinds of transfer that the rows hold."""
    there = set(table["kind"])
    return [kind for kind in KIND_WORDS if kind in there]


def select(view: View, table: pd.DataFrame, kind: str) -> TransferMatrix:
    """The transfer of a kind at the view's sparsity, its languages in the order that they are drawn in.

    Raises CannotDraw, with a way out, where the side bar leaves none.
    """
    mine = table[table["kind"] == kind]
    near = mine[(mine["sparsity"] - view.sparsity).abs() <= SPARSITY_TOLERANCE]
    if near.empty:
        raise states.CannotDraw(_elsewhere(view, mine, kind))
    measured = in_paper_order(set(near["target"]) | (set(near["source"]) - {""}))
    languages = [code for code in view.languages if code in measured]
    seeds = sorted(set(near["seed"]) & set(view.seeds))
    if len(languages) < 2 or not seeds:
        names = ", ".join(plain_name(code) for code in measured)
        numbers = ", ".join(str(seed) for seed in sorted(set(near["seed"])))
        raise states.CannotDraw(
            states.transfer_elsewhere(KIND_WORDS[kind], f"between {names}, with seed {numbers}")
        )
    order, _, _ = overlap_view.language_order(overlap_side(view, languages), "total")
    return transfer_matrix(near, kind, view.task, view.sparsity, languages=order, seeds=seeds)


def shows(found: TransferMatrix) -> list[str]:
    """What the cells can be compared with: the target's own score, the controls that there are, nothing."""
    there = [name for name in found.controls if np.isfinite(found.difference(name)).any()]
    own = [OWN] if np.isfinite(_apart(found.loss())).any() else []
    return [*own, *there, SCORE]


def notes(view: View, found: TransferMatrix) -> str:
    """What of the view is not in the figures, and why; empty when all of it is."""
    missing = [plain_name(code) for code in view.languages if code not in found.languages]
    seeds = [str(seed) for seed in view.seeds if seed not in found.seeds]
    said = []
    if missing:
        said.append(f"Not measured here: {', '.join(missing)}.")
    if seeds:
        said.append(f"Not measured with seed {', '.join(seeds)}.")
    if view.method != METHOD:
        said.append("Transfer is that of the sub-networks of iterative pruning, whatever the side bar says.")
    return " ".join(said)


def sentence(found: TransferMatrix) -> str:
    """The line above the heatmap."""
    return transfer_sentence(found)


def map_figure(view: View, found: TransferMatrix, show: str, chosen: Cell | None) -> tuple[Drawn, Described]:
    """Source by target: the score, or its difference to the target's own or to a control."""
    values = shown_values(found, show)
    texts = {}
    if show == SCORE:
        colours = heatmap.colours(metric_name(found.metric), values, DIGITS, (0.0, 1.0))
    else:
        words = "target's own" if show == OWN else CONTROL_ROWS[show].lower()
        colours = heatmap.around_zero(
            f"{metric_name(found.metric)} − {words}", values, DIGITS, found.seed_noise()
        )
    if show == OWN:
        texts = {(place, place): "own" for place in range(len(found.languages))}
    fig = heatmap.directed_heatmap(
        found.languages,
        values,
        _hover(found),
        colours,
        view.theme,
        "source: sub-network of",
        "target: scored on",
        chosen,
        texts,
    )
    about = Described(
        name=file_name(view, found, f"transfer-{show}"),
        alt=f"Heatmap of {colours.title}, {len(found.languages)} source languages by as many targets. "
        + sentence(found).replace("**", ""),
        how=f"{_training_words(found)} Row: the language whose sub-network it is; column: the language it is "
        f"scored on; not symmetric. On the diagonal, each language with its own. {_shown_words(found, show)} {_seed_words(found)}.{_colour_words(found, show)} Languages are in the order of the "
        f"tree of what they share. Grey with a cross: not measured. Atlas {view.atlas.name}, model {view.atlas.model['name']}.",
        table=table(found),
    )
    return fig, about


def levels_figure(view: View, found: TransferMatrix, chosen: Cell | None) -> tuple[Drawn, Described]:
    """Own, another's, dense, random and pretrained alone: for one cell, or the average over all."""
    drawn = levels(found, chosen)
    fig = dots_figure(drawn, metric_name(found.metric), FINE, view.theme)
    what = " → ".join(plain_name(code) for code in chosen) if chosen else "all pairs, on average"
    about = Described(
        name=file_name(view, found, "levels" + (f"-{chosen[0]}-{chosen[1]}" if chosen else "")),
        alt=f"{metric_line(found.metric)} for {what}: "
        + ", ".join(f"{row.name} {row.value:.{FINE}f}" for row in drawn if np.isfinite(row.value))
        + ".",
        how=f"{metric_line(found.metric)} for {what}. {_seed_words(found)}."
        + (
            " The rings are over the pairs that all seeds have."
            if not chosen and len(found.seeds) > 1
            else ""
        ),
        table=_dots_table(drawn, "level", found.metric),
    )
    return fig, about


def levels(found: TransferMatrix, chosen: Cell | None) -> list[Dots]:
    """A row for each network that a pair's score is judged by, over the pairs that were measured."""
    learned = "" if found.kind == "mask" else ", source-trained"
    cubes = {
        "Own sub-network": found.own,
        f"Another's{learned}": found.by_seed,
        **{f"{CONTROL_ROWS[name]}{learned}": cube for name, cube in found.controls.items()},
    }
    if chosen is None:
        averages = {name: found.between_languages(cube) for name, cube in cubes.items()}
        return [
            Dots(name, average.value, average.by_seed, f"{average.count} pairs")
            for name, average in averages.items()
        ]
    source, target = (found.languages.index(code) for code in chosen)
    values = {name: cube[:, source, target] for name, cube in cubes.items()}
    return [
        Dots(name, _mean(each), dict(zip(found.seeds, each.tolist(), strict=True)))
        for name, each in values.items()
    ]


def donors(found: TransferMatrix) -> list[Dots]:
    """For each source the mean difference to the targets' own, best first; with that of each seed where all
    seeds have the same pairs."""
    means = found.donors()
    codes: list[str] = means.index.tolist()
    each = {seed: found.of_seed(seed).donors() for seed in found.seeds if found.complete}
    targets = pd.Series(np.isfinite(_apart(found.loss())).sum(axis=1), index=list(found.languages))
    return [
        Dots(
            plain_name(code),
            float(mean),
            {seed: float(of_seed[code]) for seed, of_seed in each.items() if code in of_seed},
            f"over {targets[code]} {'target' if targets[code] == 1 else 'targets'}",
        )
        for code, mean in zip(codes, means, strict=True)
    ]


def donors_figure(view: View, found: TransferMatrix) -> tuple[Drawn, Described]:
    """The sources, best donor first."""
    drawn = donors(found)
    title = "score − target's own, mean over targets"
    about = Described(
        name=file_name(view, found, "donors"),
        alt=f"Sources by {title}: "
        + ", ".join(f"{row.name} {signed(row.value, FINE)}" for row in drawn)
        + ".",
        how="For each source, how much its sub-network scores above or below the targets' own, mean over the "
        f"targets other than itself; best first. Rings are drawn where every seed has the same pairs. {_seed_words(found)}.",
        table=_dots_table(drawn, "source", "difference_to_own"),
    )
    return dots_figure(drawn, title, FINE, view.theme, differences=True), about


def overlap_side(view: View, languages: Sequence[str]) -> View:
    """The view of the overlaps that the transfer is held against."""
    return dataclasses.replace(view, method=METHOD, languages=tuple(languages))


def overlap_of(view: View, found: TransferMatrix) -> LanguageMatrix:
    """The view's measure for the transfer's languages; CannotDraw where it is undefined."""
    side = overlap_side(view, found.languages)
    overlap_view.check(side, need=2)
    return store.matrix(side, view.measure.key, "total", replicates=0)


def link_words(view: View, found: TransferMatrix, overlap: LanguageMatrix) -> str:
    """Whether overlap and transfer go together, in words with the test."""
    if len(found.languages) < FEWEST_TO_TEST:
        return link_sentence(view.measure.name, None, None)
    loss = found.loss()
    test = transfer_mantel(overlap.value, loss)
    interval = correlation_interval(overlap.value, loss, directed=True)
    return link_sentence(view.measure.name, test, interval)


def scatter(
    view: View, found: TransferMatrix, overlap: LanguageMatrix, chosen: Cell | None
) -> tuple[Drawn, Described]:
    """Every ordered pair: overlap against what the target loses."""
    loss = found.loss()
    points = [
        Marked((source, target), float(overlap.value[a, b]), float(loss[a, b]))
        for a, source in enumerate(found.languages)
        for b, target in enumerate(found.languages)
        if a != b
    ]
    measure = view.measure
    fig = scatter_figure(
        points, (measure.axis, "score − target's own"), (measure.digits, DIGITS), view.theme, chosen
    )
    about = Described(
        name=file_name(view, found, f"link-{measure.token}"),
        alt=f"Scatter of {measure.name} against the score less the target's own. "
        + link_words(view, found, overlap).replace("**", ""),
        how=f"Each point is an ordered pair; both directions of a pair have the same {measure.axis}, the measure that "
        "is chosen in the side bar. The test permutes languages, so that the pairs' dependence is kept; r is "
        f"Pearson's, its interval, where there is one, from 2,000 draws of languages. {_seed_words(found)}.",
        table=pd.DataFrame(
            [(*point.cell, point.x, point.y) for point in points],
            columns=["source", "target", measure.key, "difference_to_own"],
        ),
    )
    return fig, about


def cell_words(found: TransferMatrix, chosen: Cell) -> str:
    """The chosen cell in words."""
    return cell_sentence(found, chosen)


def donor_words(found: TransferMatrix) -> str:
    """The best and the worst donor in words."""
    return donors_sentence(found)


def shown_values(found: TransferMatrix, show: str) -> np.ndarray:
    """What the heatmap shows, (n, n), NaN where it was not measured."""
    if show == SCORE:
        return found.value
    return found.loss() if show == OWN else found.difference(show)


def table(found: TransferMatrix) -> pd.DataFrame:
    """One row a source and target: scores, means over seeds, and differences, each over the seeds it has."""
    scores = {"score": found.value, "own": _column_means(found.own)}
    scores |= {name: found.control(name) for name in found.controls}
    scores |= {"difference_to_own": found.loss()}
    scores |= {f"difference_to_{name}": found.difference(name) for name in found.controls}
    seeds = (~np.isnan(found.by_seed)).sum(axis=0)
    return pd.DataFrame(
        [
            {"source": source, "target": target, "metric": found.metric, "seeds": int(seeds[a, b])}
            | {name: float(values[a, b]) for name, values in scores.items()}
            for a, source in enumerate(found.languages)
            for b, target in enumerate(found.languages)
        ]
    )


def file_name(view: View, found: TransferMatrix, what: str) -> str:
    """Stem of a downloaded file: what it shows, of which atlas, task, sparsity and kind."""
    parts = [what, view.atlas.name, view.task, f"{100 * found.sparsity:g}", found.kind]
    return "-".join(part.replace(" ", "-").replace("/", "-") for part in parts)


def _elsewhere(view: View, mine: pd.DataFrame, kind: str) -> states.Trouble:
    """The levels that have this kind of transfer, with a button for each that the side bar offers."""
    levels = sorted({round(float(level), 9) for level in mine["sparsity"]})
    offered = view.catalogue.levels(view.task, view.method)
    ways = [
        states.Way(f"Show {100 * level:g} %", "sparsity", choice)
        for level in levels
        for choice in offered
        if abs(choice - level) <= SPARSITY_TOLERANCE
    ]
    return states.no_transfer_at(view.atlas, view.task, view.sparsity, kind, KIND_WORDS[kind], levels, ways)


def _hover(found: TransferMatrix) -> list[list[str]]:
    own, loss = _column_means(found.own), found.loss()
    texts = []
    for a, source in enumerate(found.languages):
        row = []
        for b, target in enumerate(found.languages):
            title = plain_name(source) if a == b else f"{plain_name(source)} → {plain_name(target)}"
            lines = [f"<b>{title}</b>", f"{metric_name(found.metric)}: {_number(found.value[a, b])}"]
            if a != b:
                lines.append(f"target's own: {_number(own[a, b])}")
                if np.isfinite(loss[a, b]):
                    lines.append(f"difference: {signed(loss[a, b], DIGITS)}")
            for name in found.controls:
                value = found.control(name)[a, b]
                if np.isfinite(value):
                    lines.append(f"{CONTROL_NAMES[name]}: {_number(value)}")
            row.append("<br>".join(lines))
        texts.append(row)
    return texts


def _dots_table(drawn: Sequence[Dots], first: str, value: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {first: row.name, value: row.value} | {f"seed_{seed}": each for seed, each in row.by_seed.items()}
            for row in drawn
        ]
    )


def _training_words(found: TransferMatrix) -> str:
    if found.kind == "mask":
        return (
            f"{metric_line(found.metric)} on test data of the target, after the source's "
            "sub-network was trained on the target's text from the pretrained weights."
        )
    return (
        f"{metric_line(found.metric)} on test data of the target, after the source's "
        "sub-network was trained on the source's text; the target's text was not seen."
    )


def _shown_words(found: TransferMatrix, show: str) -> str:
    if show == SCORE:
        return "The diagonal is a language's own sub-network on itself."
    if show == OWN:
        return "Shown is the score less that of the target's own sub-network, trained on the target."
    learner = "target" if found.kind == "mask" else "source"
    return f"Shown is the score less that of {CONTROL_NAMES[show]}, trained on the {learner} likewise."


def _colour_words(found: TransferMatrix, show: str) -> str:
    noise = found.seed_noise()
    if show == SCORE or not np.isfinite(noise):
        return ""
    return f" Colours reach at least as far as two seeds of one language differ ({noise:.{FINE}f})."


def _seed_words(found: TransferMatrix) -> str:
    return over_seeds(found.seeds, " where measured")


def _apart(values: np.ndarray) -> np.ndarray:
    return np.where(np.eye(len(values), dtype=bool), np.nan, values)


def _column_means(cube: np.ndarray) -> np.ndarray:
    """Mean over seeds of what was measured, (n, n)."""
    return np.array([[_mean(cube[:, a, b]) for b in range(cube.shape[2])] for a in range(cube.shape[1])])


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _number(value: float) -> str:
    return f"{value:.{DIGITS}f}" if np.isfinite(value) else "not measured"
