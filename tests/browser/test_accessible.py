"""Every page, in light and dark, under axe-core: no finding that is serious or worse."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from lsn_core.ui.shell import PAGES
from tests.browser.conftest import Visitor
from tests.browser.driver import Server, wait_until_quiet

pytestmark = pytest.mark.browser

GRAVE = ("serious", "critical")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [spec.name for spec in PAGES])
def test_no_serious_finding(server: Server, visitor: Visitor, name: str, scheme: str) -> None:
    page = visitor(f"{server.url}/{name}", wait=False, color_scheme=scheme)
    page.get_by_role("heading", level=1).wait_for()
    wait_until_quiet(page)
    found = [finding for finding in Axe().run(page).response["violations"] if finding["impact"] in GRAVE]
    assert [(f["id"], [node["html"][:200] for node in f["nodes"]]) for f in found] == []
