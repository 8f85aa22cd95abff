"""Atlases with a known make-up, for tests and for pictures of pages: no model is trained.

Every language's weights are the pretrained ones plus drifts: one that all languages share, one of its family,
one of its own and one of its seed. The largest are kept, as magnitude pruning would.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lsn_core.analysis.tables import refresh
from lsn_core.languages import PAPER_LANGUAGES, language
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.cells import CORE, TRANSFER
from lsn_core.masks.codec import make_random_survival
from lsn_core.masks.layout import Layout, Matrix
from lsn_core.masks.ticket import BASE_KEY, Score, Ticket, TicketKey

LEVELS = tuple(round(0.1 * step, 1) for step in range(1, 10))
MODEL = {"name": "synthetic", "revision": "1", "fingerprint": "f" * 64}
SHAPES = {
    "query": (1, 1),
    "key": (1, 1),
    "value": (1, 1),
    "attention output": (1, 1),
    "feed-forward in": (4, 1),
    "feed-forward out": (1, 4),
}


def make_layout(layers: int = 6, hidden: int = 16, stacks: Sequence[str] = ("encoder",)) -> Layout:
    """The matrices of a model with these stacks, each of so many layers."""
    return Layout(
        tuple(
            Matrix(f"{stack}.{layer}.{component}", (rows * hidden, columns * hidden), stack, layer, component)
            for stack in stacks
            for layer in range(layers)
            for component, (rows, columns) in SHAPES.items()
        )
    )


def make_atlas(
    path: Path,
    languages: Sequence[str] = PAPER_LANGUAGES,
    seeds: Sequence[int] = (0, 1),
    methods: Sequence[str] = ("imp", "random"),
    base: bool = True,
    tables: bool = True,
    layout: Layout | None = None,
    task: str = "mlm",
    levels: Sequence[float] = LEVELS,
    drift: float = 1.0,
    heads: int | None = None,
) -> Atlas:
    """An atlas in `path`; the same arguments give the same one. The smaller `drift`, the more is shared.

    Called again with another task, it adds that task's tickets, which share each language's drift.
    """
    layout = layout or make_layout()
    atlas = Atlas.open_or_create(path, MODEL if heads is None else {**MODEL, "heads": heads}, layout)
    pretrained = _normal(layout.size, "pretrained")
    depth = np.concatenate(
        [np.full(m.size, 1.0 if m.layer is None else 1 + m.layer / 4) for m in layout.matrices]
    )
    if base:
        atlas.save(_ticket(BASE_KEY, layout, pretrained, (), levels))
    for code in languages:
        family = language(code).branch or language(code).family
        moved = 0.10 * _normal(layout.size, "shared") + depth * (
            0.05 * _normal(layout.size, family) + 0.05 * _normal(layout.size, code)
        )
        for seed in seeds:
            own = 0.06 * _normal(layout.size, f"{code}/{seed}" + (f"/{task}" if task != "mlm" else ""))
            weights = pretrained + drift * (moved + own)
            imp = _ticket(
                TicketKey(task, code, "imp", seed), layout, weights, _scores(code, seed, levels, 0.0), levels
            )
            if "imp" in methods:
                atlas.save(imp)
            if "random" in methods:
                atlas.save(_random(imp, code, seed, levels))
    if tables and languages:
        refresh(atlas)
    return atlas


def _ticket(
    key: TicketKey, layout: Layout, weights: np.ndarray, scores: Sequence[Score], levels: Sequence[float]
) -> Ticket:
    """The ticket that keeps the largest |weight| of the whole model at every level."""
    rank = np.argsort(np.argsort(np.abs(weights), kind="stable"), kind="stable")
    removed = [round(level * layout.size) for level in levels]
    survival = np.searchsorted(removed, rank, side="right").astype(np.uint8)
    provenance = {"model": dict(MODEL), "recipe": {"method": key.method}}
    return Ticket(key, layout, tuple(levels), survival, tuple(scores), provenance)


def _random(imp: Ticket, code: str, seed: int, levels: Sequence[float]) -> Ticket:
    key = TicketKey(imp.key.task, code, "random", seed)
    philox = _seed(f"random/{code}/{seed}")
    survival = make_random_survival(imp.layout, imp.kept, philox)
    scores = _scores(code, seed, levels, 0.16)
    provenance = {"model": dict(MODEL), "recipe": {"method": "random"}}
    return Ticket(key, imp.layout, imp.levels, survival, scores, provenance, philox_key=philox)


def _scores(code: str, seed: int, levels: Sequence[float], handicap: float) -> tuple[Score, ...]:
    rng = np.random.default_rng(_seed(f"scores/{code}/{seed}/{handicap}"))
    top = 0.42 - 0.01 * PAPER_LANGUAGES.index(code) if code in PAPER_LANGUAGES else 0.35
    return tuple(
        Score(
            sparsity=level,
            metric="top-1 accuracy",
            value=float(
                max(top * (1 - level**5) - handicap * level**2 + 0.005 * rng.standard_normal(), 0.01)
            ),
            count=2000,
            split="test",
        )
        for level in (0.0, *levels)
    )


def _normal(size: int, name: str) -> np.ndarray:
    return np.random.default_rng(_seed(name)).standard_normal(size, dtype=np.float32)


def _seed(name: str) -> int:
    return int.from_bytes(name.encode()[-12:], "big") % 2**63


def write_transfer(
    atlas: Atlas,
    languages: Sequence[str],
    seeds: Sequence[int] = (0, 1),
    kinds: Sequence[str] = ("mask", "zero-shot"),
    sparsity: float = 0.5,
    controls: Sequence[str] = ("dense", "random", "base"),
    task: str = "mlm",
) -> None:
    """Give the atlas a transfer table between these languages, as if their sub-networks had been trained."""
    rows = []

    def add(kind: str, source: str, control: str, target: str, seed: int, value: float) -> None:
        anchor = BASE_KEY if control == "base" else TicketKey(task, source or target, "imp", seed)
        noise = 0.004 * _normal(1, f"{kind}{source}{control}{target}{seed}")[0]
        rows.append(
            {
                **{"kind": kind, "task": task, "source_task": task, "source": source, "control": control},
                **{"target": target, "seed": seed, "sparsity": sparsity, "metric": "top-1 accuracy"},
                **{"value": float(value + noise), "count": 2000, "split": "test"},
                **{"tickets": anchor.stem, "settings": "0" * 12, "cell": f"{len(rows):032x}"},
            }
        )

    below = {"": 0.0, "dense": -0.005, "random": 0.1, "base": 0.03}
    for kind in kinds:
        for seed in seeds:
            for column, target in enumerate(languages):
                top = 0.42 - 0.01 * column
                for source in languages:
                    apart = 0.0 if source == target else 0.2 if kind == "zero-shot" else 0.02
                    add(kind, source, "", target, seed, top - apart)
                    if kind == "zero-shot":
                        for control in controls:
                            add(kind, source, control, target, seed, top - apart - below[control])
                for control in controls if kind == "mask" else ():
                    add(kind, "", control, target, seed, top - below[control])
    frame = pd.DataFrame(rows, columns=list(TRANSFER.columns)).astype(dict(TRANSFER.dtypes))
    stamps = atlas.stamps()
    used = {stem for row in rows for stem in row["tickets"].split()}
    atlas.write_table(TRANSFER.name, frame, {stem: stamps[stem] for stem in used})


def write_task_transfer(atlas: Atlas, languages: Sequence[str], task: str, source_task: str) -> None:
    """Add what sub-networks of another task score, with two seeds at 50 %, to the atlas's transfer table."""
    above = {"": 0.0, "dense": 0.03, "random": -0.1, "base": 0.001}
    found = atlas.read_table(TRANSFER.name)
    older, stamps = found if found is not None else (pd.DataFrame(columns=list(TRANSFER.columns)), {})
    rows = []
    for seed in (0, 1):
        for place, target in enumerate(languages):
            for control, more in above.items():
                anchor = BASE_KEY if control == "base" else TicketKey(source_task, target, "imp", seed)
                noise = 0.004 * _normal(1, f"task{control}{target}{seed}")[0]
                rows.append(
                    {
                        **{"kind": "task", "task": task, "source_task": source_task, "control": control},
                        **{"source": "" if control else target, "target": target, "seed": seed},
                        **{"sparsity": 0.5, "metric": "top-1 accuracy", "count": 2000, "split": "test"},
                        **{"value": float(0.38 - 0.01 * place + more + noise), "tickets": anchor.stem},
                        **{"settings": "0" * 12, "cell": f"{len(rows):031x}t"},
                    }
                )
                stamps = {**stamps, anchor.stem: atlas.stamps()[anchor.stem]}
    frame = pd.concat([older, pd.DataFrame(rows)])[list(TRANSFER.columns)].astype(dict(TRANSFER.dtypes))
    atlas.write_table(TRANSFER.name, frame, stamps)


def write_core_scores(
    atlas: Atlas,
    languages: Sequence[str],
    at_least: int,
    seeds: Sequence[int] = (0, 1),
    sparsity: float = 0.5,
    controls: Sequence[str] = ("own", "dense", "random", "base"),
    task: str = "mlm",
) -> None:
    """Give the atlas a table of what a core of these languages scores, as if it had been trained."""
    above = {"": 0.0, "own": 0.004, "dense": 0.02, "random": -0.1, "base": -0.001}
    rows = []
    for seed in seeds:
        for place, target in enumerate(languages):
            for control in ("", *controls):
                of_no_core = control in ("own", "dense")
                members = (target,) if of_no_core else tuple(languages)
                stems = sorted(TicketKey(task, code, "imp", seed).stem for code in members)
                noise = 0.004 * _normal(1, f"core{control}{target}{seed}")[0]
                size = atlas.layout.size
                rows.append(
                    {
                        **{"task": task, "members": "" if of_no_core else " ".join(languages)},
                        **{"at_least": 0 if of_no_core else at_least, "control": control},
                        **{"target": target, "seed": seed, "sparsity": sparsity},
                        "kept": size
                        if control == "dense"
                        else round((1 - sparsity) * size * (of_no_core or 0.8)),
                        **{
                            "metric": "top-1 accuracy",
                            "value": float(0.4 - 0.01 * place + above[control] + noise),
                        },
                        **{"count": 2000, "split": "test", "tickets": " ".join(stems)},
                        **{"settings": "0" * 12, "cell": f"{len(rows):032x}"},
                    }
                )
    frame = pd.DataFrame(rows, columns=list(CORE.columns)).astype(dict(CORE.dtypes))
    stamps = atlas.stamps()
    used = {stem for row in rows for stem in row["tickets"].split()}
    atlas.write_table(CORE.name, frame, {stem: stamps[stem] for stem in used})
