"""One browser and one server for all tests, a new visitor for each, and a watch over what is requested."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from lsn_core.languages import PAPER_LANGUAGES
from tests.browser.driver import PATIENCE_MS, Server, launch, serve, wait_for_figure, wait_until_quiet
from tests.synthetic_atlas import make_atlas, write_transfer

LANGUAGES = ("en", "de", "ar", "zh", "sw")

Visitor = Callable[..., Page]


@pytest.fixture(scope="session")
def atlases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an atlas, one where all languages are so alike that chance is far off the scale, and one of many
    languages."""
    root = tmp_path_factory.mktemp("atlases")
    demo = make_atlas(root / "demo", LANGUAGES, levels=(0.3, 0.5, 0.8), heads=4)
    write_transfer(demo, LANGUAGES, kinds=("mask",))
    make_atlas(root / "alike", LANGUAGES, levels=(0.5,), drift=0.05)
    make_atlas(root / "eleven", PAPER_LANGUAGES, methods=("imp",), levels=(0.5,))
    return root


@pytest.fixture(scope="session")
def server(atlases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that all tests share."""
    with serve(atlases, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def fresh_server(atlases: Path, tmp_path: Path) -> Iterator[Server]:
    """A server that nobody has visited."""
    with serve(atlases, tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser."""
    with sync_playwright() as playwright:
        running = launch(playwright)
        yield running
        running.close()


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    """`visitor(address, …)` opens it as somebody new. No page may ask any other host for anything."""
    contexts: list[BrowserContext] = []
    foreign: list[str] = []

    def note(address: str) -> None:
        parts = urlparse(address)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            foreign.append(address)

    def open_page(address: str, width: int = 1280, wait: bool = True, **settings: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: note(request.url))
        page.on("websocket", lambda socket: note(socket.url))
        page.goto(address)
        if wait:
            wait_for_figure(page)
            wait_until_quiet(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not foreign
