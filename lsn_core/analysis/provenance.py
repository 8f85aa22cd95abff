"""Where numbers come from: the model, the data and the settings of the tickets that they were counted from."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lsn_core.languages import in_paper_order
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.ticket import BASE_KEY, TicketKey
from lsn_core.masks.ticket_file import TicketHeader

NOT_RECORDED = "not recorded"
SHORT_HASH = 16

_SETTINGS = (
    ("Criterion for removal", ("recipe", "criterion")),
    ("Weights compared with each other", ("recipe", "scope")),
    ("Rounds", ("recipe", "rounds")),
    ("Steps a round", ("recipe", "training", "steps")),
    ("Batch", ("recipe", "training", "batch_size")),
    ("Learning rate", ("recipe", "training", "learning_rate")),
    ("Longest text, in pieces", ("recipe", "training", "max_length")),
    ("Lines of text a language", ("recipe", "training", "train_lines")),
    ("Precision", ("recipe", "training", "precision")),
    ("Device", ("device",)),
    ("Instructions", ("instructions",)),
    ("Threads", ("threads",)),
)
_NAMES_IN_WORDS = {"versions": "library versions"}


@dataclass(frozen=True)
class TicketOrigin:
    """One ticket: its file's stem, and the hashes of what it says and of the data that it was trained on."""

    stem: str
    content_hash: str
    data_fingerprint: str


@dataclass(frozen=True)
class Origin:
    """What some numbers were counted from; `facts` are the rest of it, labels with their values in words."""

    atlas: str
    model: str
    tasks: tuple[str, ...]
    methods: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    tickets: tuple[TicketOrigin, ...]


def origin(atlas: Atlas, keys: Collection[TicketKey], sparsity: float) -> Origin:
    """The origin of numbers that come from these tickets of an atlas at one sparsity.

    The base ticket, which they are compared with, is among the tickets where the atlas has it. What a ticket's header does not say is "not recorded". Of an atlas that ships its tables alone, the model
    and the tickets' names are known and no more.
    """
    wanted = set(keys)
    there = atlas.headers()
    headers = [header for header in there if header.key in wanted]
    base = [header for header in there if header.key == BASE_KEY]
    facts = [
        ("Weights that can be removed", f"{atlas.layout.size:,} in {len(atlas.layout.matrices)} matrices"),
        ("Sparsity", f"{100 * sparsity:g} % of the weights removed"),
        ("Languages", ", ".join(in_paper_order({key.language for key in keys}))),
        ("Seeds", ", ".join(map(str, sorted({key.seed for key in keys})))),
    ]
    if headers:
        facts += _how_made(headers)
    else:
        facts.append(("Training", "not known here: this atlas ships its tables without the sub-networks"))
    tickets = tuple(
        TicketOrigin(header.key.stem, header.content_hash, _said(header, "data", "fingerprint"))
        for header in (*base, *headers)
    )
    if tickets:
        lines = "\n".join(f"{ticket.stem} {ticket.content_hash}" for ticket in tickets)
        digest = hashlib.sha256(lines.encode()).hexdigest()
        beside = " and that of the pretrained weights alone" if base else ""
        facts.append(("Sub-networks", f"{len(headers)}{beside}, fingerprint of all {digest[:SHORT_HASH]}"))
    return Origin(
        atlas=atlas.name,
        model=_model(atlas.model),
        tasks=tuple(sorted({key.task for key in keys})),
        methods=tuple(sorted({key.method for key in keys})),
        facts=tuple(facts),
        tickets=tickets,
    )


def _how_made(headers: Sequence[TicketHeader]) -> list[tuple[str, str]]:
    files = [
        f"{header.provenance['imported']['file']} ({header.key.stem})"
        for header in headers
        if isinstance(header.provenance.get("imported"), Mapping) and "file" in header.provenance["imported"]
    ]
    prints = {_said(header, "data", "fingerprint") for header in headers}
    data = _all_said(_said(header, "data", "name") for header in headers)
    if prints != {NOT_RECORDED}:
        one = f"fingerprint {next(iter(prints))[:SHORT_HASH]}"
        data += (
            f", {one}" if len(prints) == 1 else f", {len(prints)} fingerprints, given with the sub-networks"
        )
    made = sorted(_said(header, "created")[:10] for header in headers)
    return [
        *([("Imported from", ", ".join(files))] if files else []),
        ("Training data", data),
        *((label, _all_said(_said(header, *path) for header in headers)) for label, path in _SETTINGS),
        ("Made", made[0] if made[0] == made[-1] else f"{made[0]} to {made[-1]}"),
        ("Library versions", _all_said(map(_versions, headers))),
        ("For the same bits, to be the same", _all_said(map(_needs, headers))),
    ]


def _model(model: Mapping[str, object]) -> str:
    revision = model.get("revision", NOT_RECORDED)
    return f"{model['name']}, revision {revision}, fingerprint {str(model['fingerprint'])[:SHORT_HASH]}"


def _versions(header: TicketHeader) -> str:
    versions = header.provenance.get("versions")
    if not isinstance(versions, Mapping) or not versions:
        return NOT_RECORDED
    return ", ".join(f"{name} {versions[name]}" for name in sorted(versions))


def _needs(header: TicketHeader) -> str:
    """What, beside recipe, model and data, has to be as it was for the ticket to come out bit for bit."""
    names = header.provenance.get("bits_depend_on")
    if not isinstance(names, list) or not names:
        return NOT_RECORDED
    return ", ".join(_NAMES_IN_WORDS.get(str(name), str(name)) for name in names)


def _said(header: TicketHeader, *path: str) -> str:
    value: object = header.provenance
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return NOT_RECORDED if value is None else str(value)


def _all_said(values: Iterable[str]) -> str:
    """The different values, each once, in the order they came."""
    return "; ".join(dict.fromkeys(values))
