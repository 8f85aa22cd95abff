"""`python -m benchmarks.cost [--kept]`: measure rates, and write what studies cost into `docs/scale.md`.

The rates are kept in `benchmarks/results/cost.json`; with `--kept` the page is written from them, without measuring.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import math
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForMaskedLM, BertConfig, BertForMaskedLM

from lsn_core.analysis.intersections import intersections
from lsn_core.discovery.config import Training
from lsn_core.discovery.presets import PRESETS
from lsn_core.discovery.pruning import kept_at
from lsn_core.discovery.training import Bench
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.layout import MAX_WEIGHTS
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket_file import write_ticket
from lsn_core.models.families import family_of, layout_of
from lsn_core.models.loading import LoadedModel, load_model
from lsn_core.tasks.registry import task_named

from .cost_model import Accelerator, Architecture, Rate, Step, Study, fit, largest, makespan, pairs
from .table import machine

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "benchmarks" / "results" / "cost.json"
PAGE = ROOT / "docs" / "scale.md"
START, END = "<!-- made by python -m benchmarks.cost -->", "<!-- end of what is made -->"

BATCH, LENGTH, VOCABULARY = 16, 64, 6000
SHAPES = (
    (Architecture("the embedded model's shape", 6, 128, 512, VOCABULARY, 4), 12),
    (Architecture("half of e5-small's width", 12, 192, 768, VOCABULARY, 6), 8),
    (Architecture("e5-small's shape", 12, 384, 1536, VOCABULARY, 12), 5),
    (Architecture("mBERT's shape", 12, 768, 3072, VOCABULARY, 12), 3),
)
"""What steps are measured on, with the number of steps; all with the embedded model's vocabulary."""

MBERT = Architecture("mBERT", 12, 768, 3072, 119_547, 12)
XLMR_LARGE = Architecture("XLM-R large", 24, 1024, 4096, 250_002, 16)
GPUS = (
    Accelerator("A100 80 GB (SXM)", 312e12, 2.039e12, 80e9, (0.1, 0.4), (0.06, 0.02)),
    Accelerator("H100 80 GB (SXM)", 989e12, 3.35e12, 80e9, (0.07, 0.35), (0.06, 0.02)),
)
"""Peaks of dense bf16 products and of memory as NVIDIA's data sheets have them; shares and overheads assumed."""
DEVICES = (1, 8)
SEEDS = 2
LANGUAGES = 100
HOUR, DAY = 3600.0, 24.0


@dataclass(frozen=True)
class Terms:
    """What was measured: where and when, steps, bytes of shipped tickets, and seconds a weight of the rest.

    `bytes_each` is bytes a weight and level by kind of ticket; `base_bytes` bytes a weight of base tickets, all
    levels. `prune` is one pruning step, `write` and `read` one ticket of nine levels, `pair` one pair of masks.
    """

    machine: str
    day: str
    threads: int
    steps: tuple[Step, ...]
    bytes_each: dict[str, float]
    base_bytes: dict[str, float]
    prune: float
    write: float
    read: float
    pair: float

    def write_file(self, path: Path) -> None:
        """Keep them as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read_file(cls, path: Path) -> Terms:
        """What `write_file` wrote."""
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**fields, "steps": tuple(Step(**step) for step in fields["steps"])})


def measure(threads: int) -> Terms:
    """Measure every term, on this machine and on the shipped atlases."""
    torch.set_num_threads(threads)
    steps, prune = [], math.nan
    for shape, count in SHAPES:
        seconds, prune = _step(shape, count)
        flops = 3 * shape.forward(LENGTH, True) * BATCH * LENGTH
        steps.append(Step(f"{shape.name}, {shape.prunable / 1e6:.1f} M prunable", flops, seconds))
        print(f"{steps[-1].name}: {seconds:.3f} s a step", flush=True)
    atlases = {name: Atlas.open(ROOT / "masks" / name) for name in ("e5-small", "demo")}
    write, read, pair = _tickets(atlases["e5-small"])
    return Terms(
        machine=machine(),
        day=datetime.date.today().isoformat(),
        threads=threads,
        steps=tuple(steps),
        bytes_each=bytes_each(atlases.values()),
        base_bytes={
            name: atlas.header(base.key).path.stat().st_size / atlas.layout.size
            for name, atlas in atlases.items()
            if (base := atlas.base()) is not None
        },
        prune=prune,
        write=write,
        read=read,
        pair=pair,
    )


def bytes_each(atlases: Iterable[Atlas]) -> dict[str, float]:
    """Bytes a weight and level of the shipped tickets, by atlas, task and method: the mean over languages and seeds."""
    sizes: dict[str, list[float]] = {}
    for atlas in atlases:
        for header in atlas.headers():
            if header.key.method == "base":
                continue
            name = f"{atlas.name} {header.key.task} {header.key.method}"
            size = header.path.stat().st_size / atlas.layout.size / len(header.levels)
            sizes.setdefault(name, []).append(size)
    return {name: statistics.mean(found) for name, found in sizes.items()}


def _step(shape: Architecture, count: int) -> tuple[float, float]:
    """Seconds of a training step under a mask (the median), and of pruning, a weight."""
    demo = load_model("demo", AutoModelForMaskedLM)
    torch.manual_seed(0)
    model = BertForMaskedLM(
        BertConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=shape.feed_forward,
            attn_implementation="eager",
        )
    )
    family = family_of("bert")
    layout = layout_of(model, family)
    bench = Bench(LoadedModel(model, demo.tokenizer, family, layout, {}, "", ()), task_named("mlm"))
    started = time.perf_counter()
    mask = bench.prune(Mask.full(layout), kept_at(layout.size, 0.5))
    prune = (time.perf_counter() - started) / layout.size
    rng = np.random.default_rng(0)
    features = [
        {"ids": rng.integers(10, shape.vocabulary, LENGTH), "maskable": np.ones(LENGTH, dtype=bool)}
        for _ in range(BATCH)
    ]
    bench.rewind(mask)
    ends: list[float] = []
    settings = Training(steps=count + 1, batch_size=BATCH, max_length=LENGTH)
    bench.train(features, mask, settings, 0, lambda done, total: ends.append(time.perf_counter()))
    return statistics.median(np.diff(ends).tolist()), prune


def _tickets(atlas: Atlas) -> tuple[float, float, float]:
    """Seconds a weight of writing and of reading a ticket, and of a pair of masks, of a real model's atlas."""
    keys = [
        header.key for header in atlas.headers() if (header.key.task, header.key.method) == ("mlm", "imp")
    ]
    base = atlas.base()
    started = time.perf_counter()
    tickets = [atlas.ticket(key) for key in keys]
    read = (time.perf_counter() - started) / len(keys)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        for ticket in tickets[:3]:
            write_ticket(Path(folder) / "ticket.safetensors", ticket, base)
        write = (time.perf_counter() - started) / len(tickets[:3])
    masks = [ticket.mask(0.5) for ticket in tickets]
    started = time.perf_counter()
    intersections(masks)
    pair = (time.perf_counter() - started) / pairs(len(masks))
    size = atlas.layout.size
    return write / size, read / size, pair / size


def paper_studies() -> list[Study]:
    """The paper's three tasks on mBERT by the presets, with as many seeds as a ceiling needs, and random controls."""
    studies = []
    for name in ("paper-mlm", "paper-ner", "paper-nli"):
        preset = PRESETS[name]
        steps = preset.steps or math.ceil((preset.epochs or 0) * preset.train_lines / preset.batch_size)
        for method in ("imp", "random"):
            studies.append(
                Study.of_tickets(
                    f"{preset.task}, `{method}`",
                    MBERT,
                    preset.task == "mlm",
                    SEEDS * len(preset.languages),
                    preset.rounds,
                    method,
                    steps=steps,
                    batch=preset.batch_size,
                    length=preset.max_length,
                    scored=preset.score_lines,
                )
            )
    return studies


def large_studies() -> list[Study]:
    """Masked words in a hundred languages on XLM-R large, by the paper's settings; and transfer at one sparsity."""
    preset = PRESETS["paper-mlm"]
    assert preset.steps is not None
    work = {
        "steps": preset.steps,
        "batch": preset.batch_size,
        "length": preset.max_length,
        "scored": preset.score_lines,
    }
    found = Study.of_tickets(
        f"mlm, `imp`, {LANGUAGES} languages",
        XLMR_LARGE,
        True,
        SEEDS * LANGUAGES,
        preset.rounds,
        "imp",
        **work,
    )
    # Every language under every other's mask, and dense, random and base; its own is known. One seed.
    cells = LANGUAGES * (LANGUAGES - 1) + 3 * LANGUAGES
    transfer = Study(f"transfer of masks, {cells:,} networks", XLMR_LARGE, True, cells, 1, 0, **work)
    return [found, transfer]


def page(terms: Terms) -> str:
    """The part of the page that is made: what was measured, what is assumed, and what follows."""
    rate, error = fit(terms.steps)
    return "\n\n".join(
        [
            "### Measured here",
            f"{terms.machine}; {terms.day}; {terms.threads} thread{'s' if terms.threads > 1 else ''}, bf16, batches "
            f"of {BATCH} × {LENGTH} pieces.",
            _measured_steps(terms, rate, error),
            _measured_rest(terms),
            "### Assumed, not measured",
            _assumed(),
            "### The paper's study on mBERT",
            _hours(paper_studies(), terms, rate),
            _room(MBERT, paper_studies(), terms),
            "### A hundred languages on XLM-R large",
            _hours(large_studies(), terms, rate),
            _room(XLMR_LARGE, large_studies(), terms),
            "### Where the design ends",
            _ends(terms),
        ]
    )


def _measured_steps(terms: Terms, rate: Rate, error: float) -> str:
    rows = [
        [
            step.name,
            f"{step.flops / 1e9:,.1f}",
            f"{step.seconds:.3f}",
            f"{1 / step.seconds:.2f}",
            f"{rate.seconds(step.flops):.3f}",
        ]
        for step in terms.steps
    ]
    return (
        _table(
            ["training step under a mask", "GFLOP", "seconds", "steps a second", "the fit's seconds"], rows
        )
        + f"\n\nThe fit: {rate.flops / 1e9:,.0f} GFLOP/s and {1e3 * rate.overhead:.1f} ms a step beside; it is off "
        f"by {100 * error:.0f} % at most."
    )


def _measured_rest(terms: Terms) -> str:
    rows = [
        [f"a ticket of {name}, a weight and level", f"{size:.4f} bytes"]
        for name, size in terms.bytes_each.items()
    ]
    rows += [
        [f"the base ticket of {name}, a weight, nine levels", f"{size:.3f} bytes"]
        for name, size in terms.base_bytes.items()
    ]
    rows += [
        [what, f"{1e9 * value:.3g} s"]
        for what, value in (
            ("pruning, 10⁹ weights", terms.prune),
            ("writing a ticket of nine levels, 10⁹ weights", terms.write),
            ("reading one, 10⁹ weights", terms.read),
            ("overlap of one pair of masks, 10⁹ weights", terms.pair),
        )
    ]
    return _table(["measured", "value"], rows)


def _assumed() -> str:
    rows = [
        [
            gpu.name,
            f"{gpu.peak / 1e12:,.0f} TFLOP/s; {gpu.bandwidth / 1e12:.2f} TB/s",
            f"{100 * gpu.share[0]:.0f} to {100 * gpu.share[1]:.0f} %",
            f"{1e3 * gpu.overhead[1]:.0f} to {1e3 * gpu.overhead[0]:.0f} ms",
        ]
        for gpu in GPUS
    ]
    return _table(
        ["GPU", "published peak: bf16 products; memory", "sustained share of the peak", "a step's overhead"],
        rows,
    )


def _hours(studies: Sequence[Study], terms: Terms, cpu: Rate) -> str:
    heads = [
        "study",
        "tickets",
        "training steps",
        f"CPU, {terms.threads} thread{'s' if terms.threads > 1 else ''}",
    ]
    heads += [f"{gpu.name}: {devices}" for gpu in GPUS for devices in DEVICES]
    rows = []
    for group in [*([study] for study in studies), *([studies] if len(studies) > 2 else [])]:
        cells = [
            group[0].name if len(group) == 1 else "**all**",
            f"{sum(study.tickets for study in group):,}",
            f"{sum(study.tickets * study.rounds * study.steps for study in group):,}",
            _duration(*(makespan(_work(group, terms, cpu), 1),) * 2),
        ]
        for gpu in GPUS:
            slow, fast = gpu.rates(group[0].model.parameters)
            cells += [
                _duration(*(makespan(_work(group, terms, one), devices) for one in (fast, slow)))
                for devices in DEVICES
            ]
        rows.append(cells)
    return _table(heads, rows)


def _work(studies: Sequence[Study], terms: Terms, rate: Rate) -> list[tuple[int, float]]:
    """Tickets and seconds of each: training and scoring by the rate, pruning and writing as measured."""
    return [
        (
            study.tickets,
            study.ticket_seconds(rate)
            + study.model.prunable * (study.levels * terms.prune + (terms.write if study.levels else 0.0)),
        )
        for study in studies
    ]


def _room(model: Architecture, studies: Sequence[Study], terms: Terms) -> str:
    imp = [size for name, size in terms.bytes_each.items() if name.endswith(" imp")]
    levels = max(study.levels for study in studies)
    tickets = sum(study.tickets for study in studies if study.levels and "random" not in study.name)
    disk = [tickets * model.prunable * levels * size for size in (min(imp), max(imp))]
    base = [
        model.prunable * size for size in (min(terms.base_bytes.values()), max(terms.base_bytes.values()))
    ]
    compared = pairs(max(study.tickets for study in studies if study.levels))
    memory = max(study.model.training_memory(study.batch, study.length, study.masked) for study in studies)
    rows = [
        ["parameters; prunable", f"{model.parameters / 1e6:,.0f} M; {model.prunable / 1e6:,.0f} M"],
        [f"disk: {tickets:,} tickets of {levels} levels", _span(disk)],
        ["disk: the base ticket", _span(base)],
        ["device memory of one training, at most", _size(memory)],
        ["host memory beside the model, of pruning and tickets, at most", _size(4 * model.prunable)],
        [
            f"overlap of {compared:,} pairs at one sparsity, once the masks are in memory",
            f"{compared * model.prunable * terms.pair:,.0f} s",
        ],
        [
            "packed bits of all masks of one sparsity",
            _size(max(study.tickets for study in studies if study.levels) * model.prunable / 8),
        ],
    ]
    return _table(["room and time beside training", "value"], rows)


def _ends(terms: Terms) -> str:
    device = max(GPUS, key=lambda gpu: gpu.memory)
    most = max(terms.bytes_each[name] for name in terms.bytes_each if name.endswith(" imp"))
    rows = [
        ["prunable weights of a layout", f"{MAX_WEIGHTS:,}", "a check when a layout is made"],
        [
            f"parameters that train on one GPU of {_size(device.memory)}",
            f"{largest(device.memory) / 1e9:.1f} · 10⁹",
            "a ticket is one device's work",
        ],
        [
            "one ticket of nine levels over the largest layout, on disk",
            _size(9 * MAX_WEIGHTS * most),
            "written whole",
        ],
        ["the same, opened", _size(MAX_WEIGHTS), "a byte a weight, and as much for the base ticket"],
    ]
    return _table(["limit", "where", "because"], rows)


def _duration(fast: float, slow: float) -> str:
    texts = [_time(seconds) for seconds in (fast, slow)]
    return texts[0] if texts[0] == texts[1] else f"{texts[0]} to {texts[1]}"


def _time(seconds: float) -> str:
    hours = seconds / HOUR
    if hours < 48:
        return f"{hours:,.1f} h" if hours < 10 else f"{hours:,.0f} h"
    return f"{hours / DAY:,.1f} days" if hours < 10 * DAY else f"{hours / DAY:,.0f} days"


def _span(sizes: Sequence[float]) -> str:
    texts = [_size(size) for size in sizes]
    return texts[0] if texts[0] == texts[1] else f"{texts[0]} to {texts[1]}"


def _size(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def publish(terms: Terms) -> None:
    """Put the made part into the page; the words around it stay."""
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{START}\n\n{page(terms)}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
    parser.add_argument("--kept", action="store_true", help="from what was measured before")
    parser.add_argument("--threads", type=int, default=1, help="of the processor (default 1, a worker's)")
    options = parser.parse_args()
    if not options.kept:
        measure(options.threads).write_file(KEPT)
    publish(Terms.read_file(KEPT))


if __name__ == "__main__":
    main()
