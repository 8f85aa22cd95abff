"""`discover` with every criterion in every scope: exact, nested, fair, and the same when it was stopped."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from lsn_core.cli import discover, main
from lsn_core.discovery.config import SCOPES
from lsn_core.discovery.criteria import CRITERIA
from lsn_core.discovery.pruning import groups_of, kept_at
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.ticket import Ticket, TicketKey


def _discover(atlas: Path, model: Path, criterion: str, scope: str, *methods: str) -> int:
    options = "--languages en --rounds 3 --steps 2 --batch-size 8 --train-lines 64 --score-lines 40 --jobs 1"
    return main(
        [
            *("discover", "--model", str(model), "--atlas", str(atlas), *options.split()),
            *("--learning-rate", "0.01", "--calibration-batches", "2", "--method", *methods),
            *("--criterion", criterion, "--scope", scope),
        ]
    )


class _Halting(discover.Meter):
    """Stops the run, as Ctrl-C does, in the third round of the first ticket."""

    def on_event(self, event) -> None:
        if event.kind == "step" and event.value >= 5:
            raise KeyboardInterrupt
        super().on_event(event)


def _check(ticket: Ticket, scope: str) -> None:
    masks, layout = ticket.masks(), ticket.layout
    assert list(masks) == [0.1, 0.2, 0.3]
    for level, mask in masks.items():
        assert mask.kept == kept_at(layout.size, level)
        for group in groups_of(layout, scope):
            size = int(layout.sizes[group].sum())
            assert abs(int(mask.counts[group].sum()) - mask.kept * size / layout.size) < 1
    assert all(after <= before for before, after in pairwise(masks.values()))


@pytest.mark.parametrize(("criterion", "scope"), [*product(CRITERIA, SCOPES)])
def test_every_criterion_in_every_scope(
    criterion: str, scope: str, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _discover(tmp_path / "whole", tiny_folder, criterion, scope, "imp", "oneshot") == 0
    whole = Atlas.open(tmp_path / "whole")
    for method in ("imp", "oneshot"):
        ticket = whole.ticket(TicketKey("mlm", "en", method, 0))
        _check(ticket, scope)
        assert ticket.provenance["recipe"]["criterion"] == criterion
        assert ticket.provenance["recipe"]["scope"] == scope
    with monkeypatch.context() as patch:
        patch.setattr(discover, "Meter", _Halting)
        assert _discover(tmp_path / "stopped", tiny_folder, criterion, scope, "imp") == 130
    assert list((tmp_path / "stopped" / "runs").glob("*/rounds.safetensors"))
    assert _discover(tmp_path / "stopped", tiny_folder, criterion, scope, "imp") == 0
    stamps = Atlas.open(tmp_path / "stopped").stamps()
    assert stamps == {stem: whole.stamps()[stem] for stem in stamps}
    assert len(stamps) == 2  # the ticket and the base


def test_criteria_and_scopes_find_different_masks(tiny_folder: Path, tmp_path: Path) -> None:
    found = []
    for number, (criterion, scope) in enumerate(
        [*((criterion, "global") for criterion in CRITERIA), ("magnitude", "layer"), ("magnitude", "matrix")]
    ):
        assert _discover(tmp_path / str(number), tiny_folder, criterion, scope, "imp") == 0
        ticket = Atlas.open(tmp_path / str(number)).ticket(TicketKey("mlm", "en", "imp", 0))
        found.append(ticket.survival.tobytes())
    assert len(set(found)) == len(found)


def test_a_random_ticket_is_as_dense_in_each_part_as_the_others(tiny_folder: Path, tmp_path: Path) -> None:
    assert _discover(tmp_path / "a", tiny_folder, "wanda", "matrix", "imp", "random") == 0
    atlas = Atlas.open(tmp_path / "a")
    random, imp = (atlas.ticket(TicketKey("mlm", "en", method, 0)) for method in ("random", "imp"))
    _check(random, "matrix")
    assert (random.mask(0.3).counts == imp.mask(0.3).counts).all()
    base = atlas.base()
    assert base is not None
    assert base.provenance["recipe"] == {"criterion": "magnitude", "scope": "global"}
    assert not np.array_equal(base.mask(0.3).counts, imp.mask(0.3).counts)
