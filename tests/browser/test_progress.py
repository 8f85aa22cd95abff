"""The line along the top that says that the server works."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Visitor
from tests.browser.driver import Server, wait_until_quiet

pytestmark = pytest.mark.browser

NOTE_LINES = """
() => {
    const app = document.querySelector("[data-testid=stApp]");
    window.lines = [];
    new MutationObserver(() => {
        const line = getComputedStyle(app, "::before");
        window.lines.push([app.dataset.testScriptState, line.animationName, line.animationPlayState, line.opacity]);
    }).observe(app, { attributes: true, attributeFilter: ["data-test-script-state"] });
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_line_is_drawn_as_long_as_the_server_works(server: Server, visitor: Visitor, scheme: str) -> None:
    page = visitor(f"{server.url}/overlap", color_scheme=scheme)
    page.evaluate(NOTE_LINES)
    page.locator(".st-key-by").get_by_text("Layers").click()
    page.wait_for_url("**by=layer*")
    wait_until_quiet(page)
    lines = page.evaluate("() => window.lines")
    working = [line for state, *line in lines if state in ("running", "rerunRequested")]
    assert working
    assert all(line == ["lsn-working", "running", "1"] for line in working)
    assert lines[-1][0] == "notRunning"
    app = "getComputedStyle(document.querySelector('[data-testid=stApp]'), '::before')"
    page.wait_for_function(f"() => {app}.opacity === '0'")  # it fades
    assert page.evaluate(f"() => {app}.animationPlayState") == "paused"
