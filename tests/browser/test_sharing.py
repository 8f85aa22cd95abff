"""What is taken along or sent on: pins that outlive a reload, a report without a network, links, embedded pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import LANGUAGES, Visitor
from tests.browser.driver import PATIENCE_MS, Server, wait_for_figure, wait_until_quiet
from tests.browser.test_dashboard import CUT, cell, tokens

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE_MS)

DRAWN = "() => [...document.querySelectorAll('.chart')].every((place) => place.querySelector('.subplot'))"


def pin(page: Page, key: str) -> None:
    button = page.locator(f".st-key-save_{key}").get_by_role("button", name="Pin")
    button.click()
    expect(button).to_have_text("Pinned")
    wait_until_quiet(page)


def test_report_is_saved_and_opens_without_a_network(
    server: Server, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor(f"{server.url}/overlap?sparsity=80")
    pin(page, "overlap_map")
    page.locator(".st-key-menu").get_by_text("Language tree").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Language tree")
    wait_for_figure(page)
    pin(page, "language_tree")
    page.reload()
    page.locator(".st-key-menu").get_by_text("Report (2)").click()
    page.get_by_label("Title").fill("For the wall")
    page.get_by_label("Caption of figure 2").fill("<script>document.title = 'broken'</script>")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save the report").click()
    waiting.value.save_as(tmp_path / "report.html")

    asked: list[str] = []
    alone = visitor("about:blank", wait=False, offline=True)
    alone.on("request", lambda request: asked.append(request.url))
    alone.on("console", lambda message: asked.append(message.text))
    alone.on("pageerror", lambda error: asked.append(str(error)))
    address = (tmp_path / "report.html").as_uri()
    alone.goto(address)
    alone.wait_for_function(DRAWN)
    assert asked == [address]
    assert alone.title() == "For the wall"
    assert alone.locator(".chart").count() == 2
    expect(alone.get_by_role("img", name="Tree of 5 languages")).to_be_visible()
    expect(alone.locator("figcaption").nth(1)).to_contain_text("<script>document.title = 'broken'</script>")
    alone.locator("summary", has_text="figure 1").click()
    expect(alone.get_by_role("table", name="The numbers in figure 1").locator("tbody tr")).to_have_count(15)
    with alone.expect_download() as waiting:
        alone.get_by_text("Save the table of figure 1 as CSV").click()
    rows = waiting.value.path().read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + len(LANGUAGES) * (len(LANGUAGES) + 1) // 2
    assert alone.evaluate("() => document.scrollingElement.scrollWidth <= window.innerWidth")

    other = visitor(f"{server.url}/report", wait=False)
    expect(other.get_by_text("Nothing pinned yet")).to_be_visible()
    beside = page.context.new_page()
    beside.goto(f"{server.url}/report")
    expect(beside.get_by_text("Figure 2. Language tree")).to_be_visible()


@pytest.mark.parametrize("clipboard", [True, False])
def test_link_is_copied_and_restores_the_view(server: Server, visitor: Visitor, clipboard: bool) -> None:
    page = visitor(
        f"{server.url}/overlap?measure=jaccard&pair=ar.sw",
        permissions=["clipboard-read", "clipboard-write"],
    )
    if not clipboard:  # as on a plain http address that is not this computer's
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('none')); }")
    page.get_by_role("button", name="Copy link").press("Enter")
    expect(page.get_by_role("status").filter(has_text="Link copied")).to_have_count(1)
    expect(page.get_by_role("button", name="Link copied")).to_be_focused()
    link = page.evaluate("() => navigator.clipboard.readText()")
    page.get_by_role("button", name="Link to this view").click()
    expect(page.get_by_text(link, exact=True)).to_be_visible()
    other = visitor(link)
    expect(other.get_by_text("Arabic and Swahili share")).to_be_visible()
    assert tokens(other)["measure"] == "jaccard"
    assert other.locator(".stPlotlyChart").count() == page.locator(".stPlotlyChart").count()


@pytest.mark.parametrize("measure", ["neutrality", "above-reference"])
def test_eleven_languages_fit_a_slide(server: Server, visitor: Visitor, measure: str) -> None:
    page = visitor(f"{server.url}/overlap?embed=true&atlas=eleven&measure={measure}", wait=False)
    page.set_viewport_size({"width": 960, "height": 540})
    wait_for_figure(page)
    wait_until_quiet(page)
    chart = page.locator(".st-key-overlap_map .js-plotly-plot").bounding_box()
    assert chart is not None
    assert chart["y"] + chart["height"] <= 540
    assert page.evaluate(CUT) == []


def test_embedded_page_has_what_is_seen_and_no_more(server: Server, visitor: Visitor) -> None:
    page = visitor(f"{server.url}/overlap?embed=true&measure=jaccard", wait=False)
    page.set_viewport_size({"width": 960, "height": 540})
    wait_for_figure(page)
    wait_until_quiet(page)
    for hidden in ("stSidebar", "stHeader", "stExpandSidebarButton"):
        expect(page.get_by_test_id(hidden).locator("visible=true")).to_have_count(0)
    assert page.locator("button:visible:not(.modebar-btn), [role=combobox]:visible").count() == 0
    expect(page.get_by_text("Atlas demo, masked words (mlm), 50 % removed")).to_be_visible()
    chart = page.locator(".st-key-overlap_map .js-plotly-plot").bounding_box()
    assert chart is not None
    assert chart["y"] + chart["height"] <= 540
    assert page.evaluate("() => document.scrollingElement.scrollWidth <= window.innerWidth")
    page.mouse.click(*cell(page, "sw", "ar"))
    expect(page.get_by_text("Arabic and Swahili share")).to_be_visible()
    page.wait_for_url("**pair=ar.sw*")
    assert tokens(page)["embed"] == "true"
    link = page.get_by_role("link", name="Open in the dashboard").get_attribute("href")
    whole = visitor(str(link))
    expect(whole.get_by_test_id("stSidebar")).to_be_visible()
    expect(whole.get_by_text("Arabic and Swahili share")).to_be_visible()
