"""The card of an atlas: what it holds, how it was made and what it shows, in words and one table a task.

Everything is computed from the tickets, whatever it says; a number that was not measured is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from lsn_core.analysis.calibration import language_matrix
from lsn_core.analysis.counts import load_counts
from lsn_core.analysis.tables import scores_table
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.files import atomic_write_bytes
from lsn_core.masks.ticket_file import TicketHeader

CARD_FILE = "CARD.md"
SHOWN_LEVELS = (0.5, 0.8)


def write_card(atlas: Atlas) -> None:
    """Write `CARD.md` into the atlas's folder, from the tickets that are intact."""
    atomic_write_bytes(atlas.path / CARD_FILE, "\n".join(_lines(atlas)).encode())


def _lines(atlas: Atlas) -> Iterator[str]:
    model = atlas.model
    headers = [header for header in atlas.headers() if header.key.method != "base"]
    scores = scores_table(atlas)
    yield f"# Atlas `{atlas.name}`"
    yield ""
    yield (
        f"Base model `{model['name']}` (revision {model['revision']}, fingerprint "
        f"`{model['fingerprint'][:12]}`): {atlas.layout.size:,} prunable weights in "
        f"{len(atlas.layout.matrices)} matrices. {len(headers)} tickets beside the base ticket."
    )
    for task in sorted({header.key.task for header in headers}):
        mine = [header for header in headers if header.key.task == task]
        yield from ("", f"## Task `{task}`", "")
        yield from _how_made(mine)
        yield from ("", *_score_lines(scores[scores["task"] == task], mine))
        yield from ("", *_overlap_lines(atlas, task, mine))
    yield ""


def _how_made(headers: Sequence[TicketHeader]) -> Iterator[str]:
    for method in sorted({header.key.method for header in headers}):
        made = [header for header in headers if header.key.method == method]
        about = made[0].provenance
        recipe = about.get("recipe", {})
        training = recipe.get("training", {})
        seconds = sum(header.provenance.get("seconds", 0.0) for header in made)
        seeds = sorted({header.key.seed for header in made})
        yield (
            f"- `{method}`: {len({h.key.language for h in made})} languages, seeds "
            f"{', '.join(map(str, seeds))}, levels {made[0].levels[0]:.0%} to {made[0].levels[-1]:.0%}; text "
            f"`{about.get('data', {}).get('name', '?')}`; {training.get('steps', '?')} steps a round, batch "
            f"{training.get('batch_size', '?')}, learning rate {training.get('learning_rate', '?')}, "
            f"{training.get('precision', '?')}, {about.get('device', '?')}; {seconds / 60:.0f} process-minutes."
        )


def _score_lines(scores: pd.DataFrame, headers: Sequence[TicketHeader]) -> Iterator[str]:
    if scores.empty:
        yield "No scores were measured."
        return
    metric = headers[0].scores[0].metric
    scores = scores[scores["metric"] == metric]
    items = int(scores["count"].median())
    levels = [level for level in SHOWN_LEVELS if np.isclose(scores["sparsity"], level).any()]
    methods = [m for m in ("imp", "oneshot", "random") if (scores["method"] == m).any()]
    columns = [("dense", methods[0], 0.0)] + [
        (f"{method} {level:.0%}", method, level) for level in levels for method in methods
    ]
    yield (
        f"Score: {metric} on the test split, about {items:,} items a language; mean over seeds, with the "
        "lowest and highest in brackets. A percentage is the sparsity, the share of weights removed."
    )
    yield ""
    yield "| language | " + " | ".join(name for name, _, _ in columns) + " |"
    yield "| --- " * (len(columns) + 1) + "|"
    means: dict[str, list[float]] = {name: [] for name, _, _ in columns}
    for language in dict.fromkeys(scores["language"]):
        cells = []
        for name, method, level in columns:
            values = _values(scores, language, method, level)
            means[name].append(float(values.mean()) if len(values) else np.nan)
            cells.append(_cell(values))
        yield f"| {language} | " + " | ".join(cells) + " |"
    yield "| **mean** | " + " | ".join(f"{np.nanmean(means[name]):.3f}" for name, _, _ in columns) + " |"
    yield ""
    yield from _verdicts(means, levels, methods)


def _values(scores: pd.DataFrame, language: str, method: str, level: float) -> np.ndarray:
    chosen = (
        (scores["language"] == language)
        & (scores["method"] == method)
        & np.isclose(scores["sparsity"], level)
    )
    return scores.loc[chosen, "value"].to_numpy()


def _cell(values: np.ndarray) -> str:
    if not len(values):
        return ""
    spread = f" ({values.min():.3f}–{values.max():.3f})" if len(values) > 1 else ""
    return f"{values.mean():.3f}{spread}"


def _verdicts(
    means: dict[str, list[float]], levels: Sequence[float], methods: Sequence[str]
) -> Iterator[str]:
    """Say plainly, level by level, in how many languages `imp` beats each control."""
    if "imp" not in methods:
        return
    dense = np.array(means["dense"])
    for level in levels:
        imp = np.array(means[f"imp {level:.0%}"])
        yield (
            f"- At {level:.0%}, `imp` keeps {np.nanmean(imp) / np.nanmean(dense):.0%} of the dense score on average."
        )
        for control in methods:
            if control != "imp":
                other = np.array(means[f"{control} {level:.0%}"])
                both = ~np.isnan(imp) & ~np.isnan(other)
                yield (
                    f"- At {level:.0%}, `imp` scores above `{control}` in {int((imp > other)[both].sum())} of "
                    f"{int(both.sum())} languages (mean difference {np.mean((imp - other)[both]):+.3f})."
                )


def _overlap_lines(atlas: Atlas, task: str, headers: Sequence[TicketHeader]) -> Iterator[str]:
    imp = [header for header in headers if header.key.method == "imp"]
    languages = {header.key.language for header in imp}
    levels = [level for level in SHOWN_LEVELS if any(np.isclose(level, h.levels).any() for h in imp)]
    if len(languages) < 2 or not levels:
        return
    yield "Overlap between languages (`imp`, all matrices): mean over language pairs, [lowest, highest]."
    yield ""
    yield "| sparsity | Jaccard | by chance | by pretrained magnitudes | same language, other seed | neutrality |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for level in levels:
        counts = load_counts(atlas, level, task)
        cells = []
        for measure in ("jaccard", "chance", "reference", "ceiling", "neutrality"):
            matrix = language_matrix(counts, "jaccard" if measure == "ceiling" else measure)
            n = len(matrix.languages)
            values = np.diag(matrix.value) if measure == "ceiling" else matrix.value[np.triu_indices(n, 1)]
            values = values[~np.isnan(values)]
            cells.append(
                f"{values.mean():.3f} [{values.min():.3f}, {values.max():.3f}]"
                if len(values)
                else "not measured"
            )
        yield f"| {level:.0%} | " + " | ".join(cells) + " |"
