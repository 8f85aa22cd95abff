"""From a checked foreign file to a ticket of an atlas, and from a mask to a file that others read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from lsn_core.errors import LsnError
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.container import canonical_json
from lsn_core.masks.files import write_new
from lsn_core.masks.foreign.inspection import Report
from lsn_core.masks.mask import Mask, survival_from_masks
from lsn_core.masks.ticket import Ticket, TicketKey

IMPORTED = "imported"
"""The recipe's field, and the provenance's, that only an imported ticket has."""


def imported_ticket(report: Report, key: TicketKey, model: Mapping[str, Any]) -> Ticket:
    """The ticket of one level that a file's masks make.

    Its level is the sparsity rounded to three decimals; ``provenance["imported"]`` holds the exact counts and
    names the file. Its recipe says only that it was imported and what the masks remove (weights or heads):
    imported tickets go together, and are not mixed with tickets of the same method that were made here. Raises
    LsnError with the first failed check of the report.
    """
    mask = report.checked_mask()
    source = {**report.facts, "kept": mask.kept, "weights": mask.layout.size}
    digest = hashlib.sha256(canonical_json({IMPORTED: report.facts["sha256"]}).encode()).hexdigest()
    return Ticket(
        key=key,
        layout=mask.layout,
        levels=(report.level,),
        survival=survival_from_masks([mask]),
        provenance={
            "model": {name: model[name] for name in ("name", "revision", "fingerprint") if name in model},
            "recipe": {IMPORTED: report.facts["masks"]},
            IMPORTED: source,
            "versions": {"numpy": version("numpy")},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        },
        config_hash=digest[:16],
    )


def keep_imported(report: Report, key: TicketKey, atlas: Atlas) -> bool:
    """Save the ticket of a checked file in an atlas; return whether it was not there yet.

    Raises LsnError with the first failed check, when a ticket of another origin is there under the key, or
    when tickets of this task and method were made otherwise.
    """
    return keep_ticket(imported_ticket(report, key, atlas.model), atlas)


def keep_ticket(ticket: Ticket, atlas: Atlas) -> bool:
    """``keep_imported`` for the ticket that ``imported_ticket`` made."""
    key, sha256 = ticket.key, ticket.provenance[IMPORTED]["sha256"]
    with atlas.lock(key.stem):
        if atlas.has(key):
            there = atlas.header(key).provenance.get(IMPORTED)
            if isinstance(there, Mapping) and there.get("sha256") == sha256:
                return False
            origin = f"imported from {there.get('file')}" if isinstance(there, Mapping) else "discovered"
            raise LsnError(
                f"atlas {atlas.name} holds another ticket {key.stem}, {origin}; give another --seed, --method or "
                "--atlas"
            )
        atlas.save(ticket)
        return True


def write_mask_file(path: Path, mask: Mask, about: Mapping[str, Any]) -> None:
    """Write a safetensors file of a mask: for each matrix, by its name, uint8 0 or 1 in the matrix's shape.

    ``about`` is JSON-able and goes into the file's metadata, as text under ``lsn``. Raises LsnError when
    something is at the path already, or it cannot be written to.
    """
    arrays = {name: mask[name].view(np.uint8) for name in mask.layout.names}
    data = save(arrays, metadata={"lsn": canonical_json(dict(about))})
    write_new(path, lambda target: target.write_bytes(data))
