"""The line along the top that says that the server works."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Visitor
from tests.browser.driver import Server, wait_until_quiet

pytestmark = pytest.mark.browser

NOTE_STATES = """
() => {
    const app = document.querySelector("[data-testid=stApp]");
    window.states = [];
    new MutationObserver(() => window.states.push([
        app.dataset.testScriptState, getComputedStyle(app, "::before").animationName,
    ])).observe(app, { attributes: true, attributeFilter: ["data-test-script-state"] });
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_line_is_drawn_as_long_as_the_server_works(server: Server, visitor: Visitor, scheme: str) -> None:
    page = visitor(f"{server.url}/overlap", color_scheme=scheme)
    page.evaluate(NOTE_STATES)
    page.locator(".st-key-by").get_by_text("Layers").click()
    page.wait_for_url("**by=layer*")
    wait_until_quiet(page)
    states = page.evaluate("() => window.states")
    working = [name for state, name in states if state in ("running", "rerunRequested")]
    assert working
    assert set(working) == {"lsn-working"}
    assert states[-1] == ["notRunning", "none"]
