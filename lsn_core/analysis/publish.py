"""What is made anew whenever an atlas has changed: its tables, its findings, its card."""

from __future__ import annotations

from lsn_core.analysis.card import CARD_FILE, note_stamp, write_card
from lsn_core.analysis.findings import findings, findings_stamps, read_findings, sources, write_findings
from lsn_core.analysis.keepers import refresh_keepers
from lsn_core.analysis.tables import refresh
from lsn_core.masks.atlas import Atlas


def publish(atlas: Atlas) -> bool:
    """Bring tables, findings and card in line with the tickets and cells that are there.

    Returns False when they were already. An atlas without ticket files keeps the findings it shipped with.
    """
    refresh(atlas)
    refresh_keepers(atlas)
    if not atlas.has_bits:
        write_card(atlas, read_findings(atlas))
        return True
    with atlas.lock("tables"):
        made_from = {**sources(atlas), "file:note": note_stamp(atlas)}
        if findings_stamps(atlas) == made_from and (atlas.path / CARD_FILE).is_file():
            return False
        found = findings(atlas)
        write_card(atlas, found)
        write_findings(atlas, found, made_from)  # last: its stamps say that all is done
        return True
