"""Transfer in sentences: how well a language's sub-network serves another, how firmly that is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lsn_core.analysis.statistics import CorrelationInterval, MantelTest
from lsn_core.analysis.transfer import Average, TransferMatrix
from lsn_core.viz.labels import p_value, plain_name, signed

DIGITS = 3  # of a score and of a difference of scores, where each is one of many, as in the cells of a map
FINE = 4  # of those in sentences and of means over many pairs, which lie closer together
FEWEST_TO_TEST = 4  # languages; the orders of three are so few that no p is below 0.05
SHOWN = 0.05  # p up to which a link is said to be shown
CONTROL_NAMES = {
    "dense": "the unpruned model",
    "random": "random sub-networks",
    "base": "the pretrained weights alone",
}


def transfer_sentence(found: TransferMatrix) -> str:
    """Markdown for the line above the heatmap: what a target loses on average, beside noise and controls."""
    loss = found.between_languages(found.by_seed - found.own)
    start = f"With {100 * found.sparsity:g} % of the weights removed, "
    if not np.isfinite(loss.value):
        return f"{start}no language's own sub-network was scored beside another's, so no loss can be given."
    who, whose = (
        ("a language served by another language's sub-network", "its own sub-network")
        if found.kind == "mask"
        else ("another language's sub-network, without any training on the target,", "the target's own")
    )
    pairs = "one pair" if loss.count == 1 else f"{loss.count} pairs of a source and a target"
    noise = found.seed_noise()
    text = f"{start}{who} scores on average **{amount(loss.value, FINE)}** {whose}{seeds_in_words(loss)}, over {pairs}."
    if np.isfinite(noise):
        text += (
            f" For scale: two seeds of a language's own sub-network differ by {noise:.{FINE}f} on average."
        )
    return " ".join(filter(None, (text, _controls(found), _extremes(found, noise))))


def amount(difference: float, digits: int) -> str:
    """A difference in words: "0.012 below"."""
    if round(difference, digits) == 0:
        return f"{0:.{digits}f} from"
    return f"{abs(difference):.{digits}f} {'below' if difference < 0 else 'above'}"


def seeds_in_words(average: Average) -> str:
    """In brackets, what each seed says; empty where seeds cannot be compared."""
    known = {seed: value for seed, value in average.by_seed.items() if np.isfinite(value)}
    if len(average.by_seed) == 1:
        return " (one seed: how much of that is noise is unknown)"
    if len(known) < 2:
        return " (no pair was measured with all seeds)"
    over = "" if average.shared == average.count else f"; {average.shared} pairs have all seeds"
    if len(known) > 3:
        low, high = min(known.values()), max(known.values())
        return f" ({signed(low, FINE)} to {signed(high, FINE)} over {len(known)} seeds{over})"
    each = (f"{signed(value, FINE)} with seed {seed}" for seed, value in known.items())
    return f" ({', '.join(each)}{over})"


def cell_sentence(found: TransferMatrix, cell: tuple[str, str]) -> str:
    """Markdown for one source and target: its score beside the target's own and the controls."""
    source, target = (plain_name(code) for code in cell)
    place = _place(found, cell)
    score, own = found.value[place], _mean(found.own[:, place[0], place[1]])
    if not np.isfinite(score):
        return f"How well the sub-network of {source} serves {target} was not measured."
    trained = target if found.kind == "mask" else source
    text = (
        f"Trained on {trained}, the sub-network of {source} scores **{score:.{FINE}f}** on {target}"
        f"{_seeds_of(found.by_seed[:, place[0], place[1]])}"
    )
    difference = found.loss()[place]
    if np.isfinite(difference):
        spread = _seeds_of(found.own[:, place[0], place[1]])
        text += (
            f", {amount(difference, FINE)} {target}'s own sub-network, which scores {own:.{FINE}f}{spread}"
            + (f" trained on {target}" if found.kind != "mask" else "")
        )
    controls = [
        f"{CONTROL_NAMES[name]} {value:.{FINE}f}{_seeds_of(cube[:, place[0], place[1]])}"
        for name, cube in found.controls.items()
        if np.isfinite(value := _mean(cube[:, place[0], place[1]]))
    ]
    beside = f" Beside it, trained on {trained}: {', '.join(controls)}." if controls else ""
    return f"{text}.{beside}"


def pair_transfer_sentence(found: TransferMatrix, pair: tuple[str, str]) -> str:
    """Markdown on how well the sub-networks of two languages serve each other, in both directions."""
    said = []
    for source, target in (pair, pair[::-1]):
        place = _place(found, (source, target))
        score, difference = found.value[place], found.loss()[place]
        names = f"{plain_name(source)} → {plain_name(target)}"
        if not np.isfinite(score):
            said.append(f"{names}: not measured")
        elif not np.isfinite(difference):
            said.append(f"{names}: **{score:.{DIGITS}f}**")
        else:
            said.append(
                f"{names}: **{score:.{DIGITS}f}**, {amount(difference, DIGITS)} {plain_name(target)}'s own sub-network"
            )
    noise = found.seed_noise()
    scale = (
        f" Two seeds of one sub-network differ by {noise:.{DIGITS}f} on average."
        if np.isfinite(noise)
        else ""
    )
    how = (
        "One language's sub-network trained and scored on the other"
        if found.kind == "mask"
        else "One language's sub-network, trained on that language, scored on the other"
    )
    return f"{how}. {'; '.join(said)}.{scale}"


def donors_sentence(found: TransferMatrix) -> str:
    """Markdown on which languages' sub-networks serve the others best; empty with fewer than two."""
    means = found.donors()
    if len(means) < 2:
        return ""
    best, worst = means.index[0], means.index[-1]
    text = (
        f"The sub-network of **{plain_name(best)}** serves the others best ({signed(means.iloc[0], FINE)} on average, "
        f"against their own), that of {plain_name(worst)} worst ({signed(means.iloc[-1], FINE)})."
    )
    if len(found.seeds) == 1:
        return f"{text} With one seed, how firm that is is unknown."
    if not found.complete:
        return f"{text} Not every seed has every pair, so the seeds cannot be held against each other."
    first = [found.of_seed(seed).donors() for seed in found.seeds]
    if all(each.index[0] == best for each in first):
        return f"{text} It is the best with every seed."
    return f"{text} The seeds do not agree on the best."


def link_sentence(measure: str, test: MantelTest | None, interval: CorrelationInterval | None) -> str:
    """Markdown on whether overlap and transfer go together; `test` is None with too few languages."""
    if test is None or interval is None:
        return (
            f"Whether {measure} and transfer go together is not tested: that needs at least {FEWEST_TO_TEST} "
            "languages."
        )
    if not np.isfinite(test.correlation):
        return f"{measure} or the loss is the same for all pairs, so that no link between them can be seen."
    drawn = f"{'all ' if test.exact else ''}{test.permutations:,} permutations of {test.languages} languages"
    numbers = f"Pearson's r = {signed(test.correlation, 2)}, p = {p_value(test.p_value)}"
    if np.isfinite(interval.low):
        numbers += f", 95 % interval {signed(interval.low, 2)} to {signed(interval.high, 2)}"
    numbers += f"; Mantel test over {test.pairs} ordered pairs, {drawn}"
    if test.p_value > SHOWN:
        return f"That languages which share more serve each other better is **not shown** ({numbers})."
    way = "better" if test.correlation > 0 else "worse"
    return f"Languages that share more serve each other **{way}** ({numbers})."


def _controls(found: TransferMatrix) -> str:
    """What the controls lose against the target's own sub-network, over the same pairs."""
    averages = {name: found.between_languages(cube - found.own) for name, cube in found.controls.items()}
    parts = [
        f"{CONTROL_NAMES[name]} {signed(average.value, FINE)}"
        for name, average in averages.items()
        if np.isfinite(average.value)
    ]
    if not parts:
        return ""
    trained = "" if found.kind == "mask" else ", trained on the source"
    return f"Other networks{trained}, against the target's own sub-network: {', '.join(parts)}."


def _extremes(found: TransferMatrix, noise: float) -> str:
    """The pairs that lose least and most, and whether that is more than two seeds differ by."""
    loss = found.loss()
    np.fill_diagonal(loss, np.nan)
    if np.isfinite(loss).sum() < 2:
        return ""
    best, worst = (np.unravel_index(pick(loss), loss.shape) for pick in (np.nanargmax, np.nanargmin))
    names = [
        f"{plain_name(found.languages[a])} → {plain_name(found.languages[b])} ({signed(loss[a, b], FINE)})"
        for a, b in (best, worst)
    ]
    doubt = ", both within what two seeds differ by" if np.nanmax(np.abs(loss)) <= noise else ""
    return f"Best served: {names[0]}; worst: {names[1]}{doubt}."


def _place(found: TransferMatrix, cell: tuple[str, str]) -> tuple[int, int]:
    return found.languages.index(cell[0]), found.languages.index(cell[1])


def _seeds_of(values: np.ndarray) -> str:
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return ""
    low, high = f"{known.min():.{FINE}f}", f"{known.max():.{FINE}f}"
    return f" ({f'{low} to {high}' if low != high else 'the same'} over {len(known)} seeds)"


def _mean(values: Sequence[float] | np.ndarray) -> float:
    known = np.asarray(values)[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
