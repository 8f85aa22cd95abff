"""The verbs `import` and `export`: masks in the formats of others."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsn_core.cli.options import check_sparsity, open_atlas
from lsn_core.cli.output import say
from lsn_core.errors import LsnError
from lsn_core.masks.atlas import ATLAS_FILE, Atlas
from lsn_core.masks.ticket import BASE_KEY, METHODS, TicketKey

if TYPE_CHECKING:
    from lsn_core.masks.foreign.inspection import Report

TASKS = ("mlm", "ner", "pos", "nli")
FORMATS = ("masks", "prune", "checkpoint")

_IMPORTABLE = tuple(method for method in METHODS if method != "base")


def add_verbs(verbs: Any) -> None:
    _add_import(verbs)
    _add_export(verbs)


def _add_import(verbs: Any) -> None:
    verb = verbs.add_parser("import", help="take masks that were made elsewhere into an atlas")
    verb.add_argument(
        "file",
        metavar="FILE",
        help="masks of torch.save (.pt), safetensors or npz; or a head mask (.npy), layers x heads",
    )
    verb.add_argument("--atlas", required=True, metavar="DIR")
    verb.add_argument("--task", required=True, choices=TASKS)
    verb.add_argument("--language", required=True, metavar="L")
    verb.add_argument("--seed", type=int, default=0, metavar="N")
    verb.add_argument(
        "--method", default="imp", choices=_IMPORTABLE, help="how they were found (default imp)"
    )
    verb.add_argument(
        "--model", metavar="M", help="the model they are of; needed where there is no atlas yet"
    )
    verb.set_defaults(run=_import)


def _import(arguments: argparse.Namespace) -> int:
    from lsn_core.masks.foreign.exchange import keep_imported

    key = TicketKey(arguments.task, arguments.language, arguments.method, arguments.seed)
    report, atlas = _checked_file(arguments)
    new = keep_imported(report, key, atlas)
    _refresh(atlas)
    for name in report.facts.get("left_out", ()):
        say(f"note: {name} is left out, as the atlas's model has no such matrix")
    say(
        f"{key.stem}: {report.checked_mask().sparsity:.2%} of {atlas.layout.size:,} weights removed, "
        f"level {report.level:g}; " + (f"imported into {atlas.path}" if new else "it was there already")
    )
    return 0


def _checked_file(arguments: argparse.Namespace) -> tuple[Report, Atlas]:
    """The report of a file whose masks are sound, and the atlas that they go into, made now if need be."""
    from lsn_core.masks.foreign.inspection import inspect_foreign

    if arguments.model is None:
        if not (Path(arguments.atlas) / ATLAS_FILE).exists():
            raise LsnError(
                f"There is no atlas at {arguments.atlas}; give --model, the model that the masks are of, to make one."
            )
        atlas = open_atlas(arguments.atlas)
        report = inspect_foreign(arguments.file, atlas.layout, atlas.model)
        report.checked_mask()
        return report, atlas
    from lsn_core.models.loading import load_model
    from lsn_core.tasks.registry import task_named

    # Nothing is made for a model until the file has proved sound, so the model is loaded twice.
    loaded = load_model(arguments.model, task_named(arguments.task).auto_class)
    layout, info = loaded.layout, loaded.info
    del loaded
    report = inspect_foreign(arguments.file, layout, info)
    report.checked_mask()
    return report, _atlas_of_model(arguments)


def _atlas_of_model(arguments: argparse.Namespace) -> Atlas:
    """The atlas of the model, with its base ticket, as `discover` makes them."""
    from lsn_core.discovery.runs import Setup, Workshop

    workshop = Workshop(Setup(arguments.atlas, arguments.model, arguments.task, max_length=1), [])
    workshop.base()
    return workshop.atlas


def _refresh(atlas: Atlas) -> None:
    from lsn_core.analysis.card import write_card
    from lsn_core.analysis.tables import refresh

    refresh(atlas)
    write_card(atlas)


def _add_export(verbs: Any) -> None:
    verb = verbs.add_parser("export", help="write a sub-network so that other programs can use it")
    verb.add_argument("--atlas", required=True, metavar="DIR")
    verb.add_argument("--task", choices=TASKS, help="needed unless --method is base")
    verb.add_argument("--language", metavar="L", help="needed unless --method is base")
    verb.add_argument("--sparsity", required=True, type=float, metavar="S", help="share of weights removed")
    verb.add_argument("--method", default="imp", choices=METHODS)
    verb.add_argument("--seed", type=int, default=0, metavar="N")
    verb.add_argument(
        "--format",
        required=True,
        choices=FORMATS,
        help="masks: safetensors of 0 and 1; prune: a state dict of torch.nn.utils.prune; checkpoint: a folder "
        "for from_pretrained",
    )
    verb.add_argument(
        "--out", required=True, metavar="PATH", help="a file, or a folder for checkpoint, to make"
    )
    verb.add_argument("--model", metavar="M", help="where the atlas's model is, if not under its name")
    verb.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> int:
    from lsn_core.masks.files import check_new

    check_sparsity(arguments.sparsity)
    key = _wanted_key(arguments)
    out = Path(arguments.out)
    check_new(out)
    atlas = open_atlas(arguments.atlas)
    ticket = atlas.ticket(key)
    mask = ticket.mask(arguments.sparsity)
    about = {
        "model": dict(atlas.model),
        "ticket": key.stem,
        "content_hash": ticket.content_hash,
        "sparsity": arguments.sparsity,
        "kept": mask.kept,
        "weights": mask.layout.size,
    }
    if arguments.format == "masks":
        from lsn_core.masks.foreign.exchange import write_mask_file

        write_mask_file(out, mask, about)
    else:
        from lsn_core.discovery.export import load_atlas_model, write_checkpoint, write_prune

        loaded = load_atlas_model(atlas, arguments.task or "mlm", arguments.model)
        if loaded.untrained:
            say("note: the checkpoint has no head for this task; the one exported has random weights")
        if arguments.format == "prune":
            write_prune(out, loaded, mask)
        else:
            write_checkpoint(out, loaded, mask, about)
    say(f"{key.stem} at {arguments.sparsity:g}: {mask.kept:,} of {mask.layout.size:,} weights kept, in {out}")
    return 0


def _wanted_key(arguments: argparse.Namespace) -> TicketKey:
    if arguments.method == "base":
        return BASE_KEY
    for option in ("task", "language"):
        if getattr(arguments, option) is None:
            raise LsnError(f"The option --{option} is needed; only the base masks belong to no {option}.")
    return TicketKey(arguments.task, arguments.language, arguments.method, arguments.seed)
