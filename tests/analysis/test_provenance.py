"""Where numbers come from: all that the tickets say, nothing that they do not."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lsn_core.analysis.provenance import NOT_RECORDED, Origin, origin
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.ticket import TicketKey
from tests.synthetic_atlas import MODEL, make_atlas

KEYS = [TicketKey("mlm", language, "imp", seed) for language in ("en", "sw") for seed in (0, 1)]
SETTINGS = {"learning_rate": 0.0002, "steps": 32}


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    return make_atlas(tmp_path / "made-up", ("en", "sw", "fr"), levels=(0.5,))


def fact(found: Origin, label: str) -> str:
    return dict(found.facts)[label]


def test_tickets_are_those_asked_for_and_the_base(atlas: Atlas) -> None:
    found = origin(atlas, KEYS, 0.5)
    stamps = atlas.stamps()
    assert {ticket.stem: ticket.content_hash for ticket in found.tickets} == {
        stem: stamps[stem] for stem in ("base", *(key.stem for key in KEYS))
    }
    lines = "\n".join(f"{ticket.stem} {stamps[ticket.stem]}" for ticket in found.tickets)
    assert hashlib.sha256(lines.encode()).hexdigest()[:16] in fact(found, "Sub-networks")
    assert (found.atlas, found.tasks, found.methods) == ("made-up", ("mlm",), ("imp",))
    assert fact(found, "Languages") == "en, sw"
    assert fact(found, "Seeds") == "0, 1"
    assert fact(found, "Sparsity") == "50 % of the weights removed"
    assert MODEL["name"] in found.model
    assert MODEL["fingerprint"][:16] in found.model


def test_what_was_not_recorded_is_said_to_be(atlas: Atlas) -> None:
    found = origin(atlas, KEYS, 0.5)
    assert fact(found, "Steps a round") == NOT_RECORDED
    assert fact(found, "Library versions") == NOT_RECORDED
    assert fact(found, "For the same bits, to be the same") == NOT_RECORDED
    assert all(ticket.data_fingerprint == NOT_RECORDED for ticket in found.tickets)


def test_settings_are_those_of_the_headers(tmp_path: Path, atlas: Atlas) -> None:
    other = Atlas.create(tmp_path / "told", atlas.model, atlas.layout)
    for place, key in enumerate(KEYS):
        told = {
            "model": dict(MODEL),
            "recipe": {"criterion": "magnitude", "training": SETTINGS},
            "data": {"name": "folder:news", "fingerprint": f"{place % 2}" * 64},
            "versions": {"torch": "2.13.0", "numpy": "2.4.6"},
            "threads": 1,
            "bits_depend_on": ["device", "threads", "versions"],
            "created": f"2026-11-2{place}T10:00:00+00:00",
        }
        other.save(replace(atlas.ticket(key), provenance=told))
    found = origin(other, KEYS, 0.5)
    assert fact(found, "Learning rate") == "0.0002"
    assert fact(found, "Steps a round") == "32"
    assert fact(found, "Criterion for removal") == "magnitude"
    assert fact(found, "Training data") == "folder:news, 2 fingerprints, given with the sub-networks"
    assert fact(found, "Made") == "2026-11-20 to 2026-11-23"
    assert fact(found, "Library versions") == "numpy 2.4.6, torch 2.13.0"
    assert fact(found, "Threads") == "1"
    assert fact(found, "For the same bits, to be the same") == "device, threads, library versions"
    assert fact(found, "Sub-networks").startswith("4, ")
    one = origin(other, KEYS[:1], 0.5)
    assert fact(one, "Training data") == f"folder:news, fingerprint {'0' * 16}"


def test_atlas_of_tables_alone_says_so(tmp_path: Path, atlas: Atlas) -> None:
    shutil.rmtree(atlas.path / "tickets")
    found = origin(Atlas.open(atlas.path), KEYS, 0.5)
    assert found.tickets == ()
    assert "without the sub-networks" in fact(found, "Training")
    assert "Steps a round" not in dict(found.facts)
