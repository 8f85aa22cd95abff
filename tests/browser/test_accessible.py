"""Every page, in light and dark, under axe-core: no finding that is serious or worse, and headings in their order."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from lsn_core.ui.shell import PAGES
from tests.browser.conftest import Visitor
from tests.browser.driver import Server, wait_until_quiet

pytestmark = pytest.mark.browser

GRAVE = ("serious", "critical")
ORDER = "heading-order"  # moderate to axe; who moves by headings finds no level left out
LOOKS, PAUSE_MS = 8, 1500


def grave(page: Page) -> list[tuple[str, list[str]]]:
    """The grave findings that stay: what is still fading in or being filled is looked at again."""
    found: list[Any] = []
    for _ in range(LOOKS):
        findings = Axe().run(page).response["violations"]
        found = [
            (one["id"], [node["html"][:200] for node in one["nodes"]])
            for one in findings
            if one["impact"] in GRAVE or one["id"] == ORDER
        ]
        if not found:
            break
        page.wait_for_timeout(PAUSE_MS)
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [spec.name for spec in PAGES])
def test_no_serious_finding(server: Server, visitor: Visitor, name: str, scheme: str) -> None:
    page = visitor(f"{server.url}/{name}", wait=False, color_scheme=scheme)
    page.get_by_role("heading", level=1).wait_for()
    wait_until_quiet(page)
    assert grave(page) == []
