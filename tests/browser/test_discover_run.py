"""A discovery from start to end in a browser: refreshed, stopped, resumed, with the server restarted under it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lsn_core.jobs.board import Board
from lsn_core.masks.atlas import Atlas
from tests.browser.conftest import Visitor
from tests.browser.driver import serve

pytestmark = pytest.mark.browser

CHOICES = "run_languages=sw&run_seeds=0&run_rounds=2&run_steps=40&run_atlas=swahili"
LOADED = 120_000  # ms that a busy machine may take to load model and libraries


@pytest.fixture
def masks(tmp_path: Path) -> Iterator[Path]:
    """An empty folder for atlases; no run in it outlives the test."""
    folder = tmp_path / "masks"
    folder.mkdir()
    yield folder
    board = Board(folder)
    for job in board.jobs():
        board.end(job.id)


def said(page: Page, text: str | re.Pattern[str]) -> None:
    expect(page.locator(".st-key-run_panel").get_by_text(text).first).to_be_visible(timeout=LOADED)


def test_start_refresh_stop_resume_and_restart_of_the_server(
    masks: Path, tmp_path: Path, visitor: Visitor
) -> None:
    with serve(masks, tmp_path) as server:
        page = visitor(f"{server.url}/discover?{CHOICES}", wait=False)
        page.get_by_role("button", name="Start").click()
        said(page, "The run into atlas swahili is")
        page.reload()
        said(page, "1 of 3 rounds")
        page.get_by_role("button", name="Stop").click()
        said(page, re.compile("Stopped: [12] of 3 rounds"))
        page.get_by_role("button", name="Resume").click()
        expect(page.get_by_role("button", name="Stop")).to_be_visible()
        modules = server.stop()
        assert "lsn_core.jobs.board" in modules
        assert not {"torch", "transformers"} & set(modules)
    (job,) = Board(masks).jobs()
    assert job.alive, "the run ended with the server"
    with serve(masks, tmp_path) as server:
        page = visitor(f"{server.url}/discover", wait=False)
        said(page, "Finished: the sub-network is in atlas swahili.")
        expect(page.locator(".st-key-watch_rounds .subplot")).to_be_attached()
        page.get_by_role("link", name="See what these sub-networks share").click()
        expect(page.get_by_role("heading", name="Overlap", level=1)).to_be_visible()
        expect(page.get_by_text("Only one language here")).to_be_visible()
    assert len(Atlas.open(masks / "swahili").stamps()) == 2
