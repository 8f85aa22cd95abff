"""What is made anew whenever an atlas has changed: its tables, its findings, its card."""

from __future__ import annotations

from lsn_core.analysis.card import write_card
from lsn_core.analysis.findings import write_findings
from lsn_core.analysis.tables import refresh
from lsn_core.masks.atlas import Atlas


def publish(atlas: Atlas) -> None:
    """Bring tables, findings and card in line with the tickets and cells that are there."""
    refresh(atlas)
    write_findings(atlas)
    write_card(atlas)
