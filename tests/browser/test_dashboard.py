"""What only a real browser can show: cold visits, clicks, links, the way back, downloads, themes."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Page, expect

from lsn_core.ui.shell import PAGES
from tests.browser.conftest import LANGUAGES, Visitor
from tests.browser.driver import Server, wait_for_figure, wait_until_quiet

pytestmark = pytest.mark.browser

TITLES = {"overlap": "Overlap", "tree": "Language tree", "core": "Neutral core", "anatomy": "Anatomy"}
SAID = {
    "overlap": "3 languages",
    "tree": "these 3 languages",
    "core": "removed, all 3 languages keep",
    "anatomy": "Both follow the side bar",
}
CUT = """
() => [...document.querySelectorAll(".js-plotly-plot")].flatMap((plot) => {
    const frame = plot.getBoundingClientRect();
    return [...plot.querySelectorAll(".main-svg text")].filter((text) => {
        const box = text.getBoundingClientRect();
        return box.width > 0 && (box.left < frame.left - 1 || box.right > frame.right + 1
            || box.top < frame.top - 1 || box.bottom > frame.bottom + 1);
    }).map((text) => text.textContent);
})
"""


def cell(page: Page, row: str, column: str) -> tuple[float, float]:
    """Where a cell of the heatmap is on screen."""
    return tuple(
        page.evaluate(
            """([row, column]) => {
                const plot = document.querySelector(".st-key-overlap_map .js-plotly-plot");
                const { xaxis, yaxis } = plot._fullLayout;
                const order = xaxis.ticktext;
                const box = plot.getBoundingClientRect();
                return [
                    box.left + xaxis._offset + xaxis.l2p(order.indexOf(column)),
                    box.top + yaxis._offset + yaxis.l2p(order.indexOf(row)),
                ];
            }""",
            [row, column],
        )
    )


def place(page: Page, chart: str, column: int, row: int) -> tuple[float, float]:
    """Where a cell of a map of layers and components is on screen, after moving there."""
    page.locator(f".st-key-{chart} .js-plotly-plot").scroll_into_view_if_needed()
    return tuple(
        page.evaluate(
            """([chart, column, row]) => {
                const plot = document.querySelector(".st-key-" + chart + " .js-plotly-plot");
                const { xaxis, yaxis } = plot._fullLayout;
                const box = plot.getBoundingClientRect();
                return [
                    box.left + xaxis._offset + xaxis.l2p(column),
                    box.top + yaxis._offset + yaxis.l2p(row),
                ];
            }""",
            [chart, column, row],
        )
    )


def tokens(page: Page) -> dict[str, str]:
    """What the address says."""
    return {key: values[0] for key, values in parse_qs(urlparse(page.url).query).items()}


@pytest.mark.parametrize("name", TITLES)
def test_cold_visit_by_address(
    fresh_server: Server, visitor: Visitor, name: str, record_property: pytest.FixtureRequest
) -> None:
    page = visitor(f"{fresh_server.url}/{name}?measure=jaccard&languages=en.de.sw", wait=False)
    start = time.perf_counter()
    wait_for_figure(page)
    record_property("seconds_to_first_figure", round(time.perf_counter() - start, 2))  # type: ignore[operator]
    wait_until_quiet(page)
    assert page.title() == f"{TITLES[name]} · Language sub-networks"
    expect(page.get_by_role("heading", level=1)).to_have_text(TITLES[name])
    menu = page.locator(".st-key-menu a")
    assert menu.all_inner_texts() == [spec.title for spec in PAGES]
    expect(page.get_by_text(SAID[name])).to_be_visible()
    assert urlparse(page.url).path == f"/{name}"
    modules = fresh_server.stop()
    assert "streamlit" in modules
    assert not {"torch", "transformers"} & set(modules)


def test_bare_address_leads_to_the_first_page_and_keeps_the_view(server: Server, visitor: Visitor) -> None:
    page = visitor(f"{server.url}/?measure=jaccard")
    assert urlparse(page.url).path == "/overlap"
    expect(page.get_by_text("of the weights that either of them keeps")).to_be_visible()


def test_click_opens_the_pair_and_a_link_restores_it(server: Server, visitor: Visitor) -> None:
    page = visitor(f"{server.url}/overlap")
    page.mouse.click(*cell(page, "sw", "ar"))
    expect(page.get_by_text("Arabic and Swahili have a neutrality of")).to_be_visible()
    wait_until_quiet(page)
    assert tokens(page)["pair"] == "ar.sw"
    assert set(tokens(page)) == {
        "v", "atlas", "task", "method", "sparsity", "seeds", "languages", "measure", "by", "order", "pair"
    }  # fmt: skip
    other = visitor(page.url)
    expect(other.get_by_text("Arabic and Swahili have a neutrality of")).to_be_visible()
    assert other.locator(".stPlotlyChart").count() == page.locator(".stPlotlyChart").count() == 6
    assert other.url == page.url


def test_way_from_a_cell_to_the_anatomy_of_its_pair(server: Server, visitor: Visitor) -> None:
    page = visitor(f"{server.url}/overlap?sparsity=50&seeds=1")
    page.mouse.click(*cell(page, "sw", "ar"))
    page.get_by_text("How well Arabic serves Swahili").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Transfer")
    page.get_by_text("sub-network of Arabic scores").wait_for()
    page.get_by_text("See the two sub-networks side by side").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Anatomy")
    page.get_by_text("They share most in").wait_for()
    wait_until_quiet(page)
    found = tokens(page)
    assert (found["left"], found["right"]) == ("mlm-ar-imp-s1@50", "mlm-sw-imp-s1@50")
    assert (found["sparsity"], found["seeds"]) == ("50", "1")
    page.mouse.click(*place(page, "anatomy_both", column=2, row=4))
    page.get_by_text("of encoder layer 4 · value").first.wait_for()
    wait_until_quiet(page)
    assert tokens(page)["matrix"] == "encoder.4.value"
    other = visitor(page.url)
    expect(other.get_by_text("of encoder layer 4 · value").first).to_be_visible()
    assert other.locator(".stPlotlyChart").count() == page.locator(".stPlotlyChart").count() == 11
    assert other.url == page.url
    page.locator(".st-key-menu").get_by_text("Overlap").click()
    page.get_by_text("Arabic and Swahili have a Jaccard index").wait_for()


def test_matrix_and_sub_network_can_be_chosen_by_keyboard(server: Server, visitor: Visitor) -> None:
    page = visitor(f"{server.url}/anatomy")
    page.get_by_role("combobox", name="First sub-network").focus()
    page.keyboard.type("Swahili · random control · seed 1")
    page.keyboard.press("Enter")
    page.get_by_text("Swahili (random control): share of weights kept").wait_for()
    page.get_by_role("combobox", name="Weight matrix").focus()
    page.keyboard.type("layer 3 · key")
    page.keyboard.press("Enter")
    page.get_by_text("of encoder layer 3 · key").first.wait_for()


def test_way_back_undoes_and_menu_keeps_the_view(server: Server, visitor: Visitor) -> None:
    page = visitor(f"{server.url}/overlap?sparsity=80")
    page.mouse.click(*cell(page, "en", "de"))
    expect(page.get_by_text("English and German have a neutrality of")).to_be_visible()
    page.wait_for_url("**pair=en.de*")
    page.go_back()
    expect(page.get_by_text("English and German have a neutrality of")).to_have_count(0)
    wait_until_quiet(page)
    assert tokens(page) == {"sparsity": "80"}
    page.go_forward()
    expect(page.get_by_text("English and German have a neutrality of")).to_be_visible()
    page.locator(".st-key-menu").get_by_text("Language tree").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Language tree")
    wait_for_figure(page)
    assert tokens(page)["sparsity"] == "80"
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overlap")
    expect(page.get_by_text("English and German have a neutrality of")).to_be_visible()


def test_pair_can_be_chosen_by_keyboard(server: Server, visitor: Visitor) -> None:
    page = visitor(f"{server.url}/overlap")
    page.get_by_role("combobox", name="Pair of languages").focus()
    page.keyboard.type("Chinese – Sw")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Chinese and Swahili have a neutrality of")).to_be_visible()


def test_downloads(server: Server, visitor: Visitor, tmp_path: Path) -> None:
    page = visitor(f"{server.url}/overlap")
    block = page.locator(".st-key-save_overlap_map")
    for button, start in (("CSV", "scope,language_a,language_b,"), ("Save the figure as SVG", "<svg")):
        with page.expect_download() as waiting:
            block.get_by_role("button", name=button).click()
        content = waiting.value.path().read_text(encoding="utf-8")
        assert waiting.value.suggested_filename.startswith("overlap-demo-mlm-50-neutrality-total.")
        assert content.startswith(start)
        assert len(content.splitlines()) == 1 + len(LANGUAGES) * (len(LANGUAGES) + 1) // 2 or start == "<svg"
    with page.expect_download() as waiting:
        block.get_by_role("button", name="HTML").click()
    waiting.value.save_as(tmp_path / "figure.html")
    alone = visitor((tmp_path / "figure.html").as_uri(), wait=False, offline=True)
    alone.wait_for_selector(".subplot", state="attached")
    expect(alone.get_by_role("img").first).to_be_visible()


def test_table_is_under_its_figure(server: Server, visitor: Visitor) -> None:
    page = visitor(f"{server.url}/tree")
    assert page.locator("[data-testid=stDataFrame]").count() == 0
    page.get_by_text("The numbers in this figure").first.click()
    expect(page.locator("[data-testid=stDataFrame]")).to_be_visible()


def test_newick_of_the_tree(server: Server, visitor: Visitor) -> None:
    page = visitor(f"{server.url}/tree")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Newick").click()
    text = waiting.value.path().read_text()
    assert text.endswith(";")
    assert all(code in text for code in LANGUAGES)


@pytest.mark.parametrize(("scheme", "bright"), [("light", True), ("dark", False)])
def test_theme_reaches_page_and_figure(server: Server, visitor: Visitor, scheme: str, bright: bool) -> None:
    page = visitor(f"{server.url}/overlap", color_scheme=scheme)
    colours = page.evaluate(
        """() => [
            getComputedStyle(document.querySelector("[data-testid=stApp]")).backgroundColor,
            document.querySelector(".js-plotly-plot")._fullLayout.paper_bgcolor,
        ]"""
    )
    assert colours == (["rgb(255, 255, 255)", "#ffffff"] if bright else ["rgb(20, 25, 28)", "#14191c"])


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    "address",
    [
        "overlap?pair=ar.sw",
        "overlap?atlas=alike&pair=ar.sw&measure=jaccard",
        "overlap?by=layer&order=family",
        "tree?groups=2&untangle=on&group=none",
        "core?k=3",
        "anatomy",
    ],
)
def test_nothing_is_cut(server: Server, visitor: Visitor, address: str, width: int) -> None:
    page = visitor(f"{server.url}/{address}", width=width)
    assert page.evaluate(CUT) == []
    assert page.evaluate("() => document.scrollingElement.scrollWidth <= window.innerWidth")
    assert page.locator(".stPlotlyChart:not([aria-label])").count() == 0


FOCUSED = """
() => {
    let at = document.activeElement;
    while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
    const kept = at?.closest("[class*=st-key-]") ?? at?.getRootNode().host?.closest("[class*=st-key-]");
    const key = [...(kept?.classList ?? [])].find((name) => name.startsWith("st-key-")) ?? "";
    return [key.replace("st-key-", ""), at?.getAttribute("aria-label") || at?.innerText || ""];
}
"""


def tab_to(page: Page, key: str, label: str = "", steps: int = 80) -> list[tuple[str, str]]:
    """Press Tab until what has this key, and a name that begins so, has the focus; all that had it before."""
    passed = []
    for _ in range(steps):
        page.keyboard.press("Tab")
        found = tuple(page.evaluate(FOCUSED))
        passed.append(found)
        if found[0] == key and found[1].startswith(label):
            return passed
    raise AssertionError(f"{steps} tabs do not reach {key} {label}: {passed}")


def test_overlap_by_keyboard_alone(server: Server, visitor: Visitor) -> None:
    page = visitor(f"{server.url}/overlap?measure=neutrality")
    tab_to(page, "measure", "Measure")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**measure=jaccard*")
    expect(page.get_by_text("of the weights that either of them keeps").first).to_be_visible()
    wait_until_quiet(page)

    tab_to(page, "by", "Whole")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url("**by=layer*")
    wait_until_quiet(page)
    tab_to(page, "order", "Alike")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url("**order=family*")
    wait_until_quiet(page)

    passed = tab_to(page, "pair", "Pair")
    page.keyboard.type("Chinese – Sw")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Chinese and Swahili share")).to_be_visible()
    page.wait_for_url("**pair=zh.sw*")
    wait_until_quiet(page)
    passed += tab_to(page, "numbers_pair_scores")
    reached = {key for key, _ in passed}
    for figure in ("overlap_map", "pair_layers", "pair_components", "pair_weights", "pair_scores"):
        assert {f"csv_{figure}", f"html_{figure}", f"numbers_{figure}"} <= reached
        assert f"svg_{figure}" in reached
    page.keyboard.press("Enter")
    expect(page.locator("[data-testid=stDataFrame]")).to_be_visible()


def test_click_on_a_join_leaves_its_languages_everywhere(server: Server, visitor: Visitor) -> None:
    page = visitor(f"{server.url}/tree")
    place, languages = page.evaluate(
        """() => {
            const plot = document.querySelector(".st-key-language_tree .js-plotly-plot");
            const { xaxis, yaxis } = plot._fullLayout;
            const clades = plot._fullData.find((trace) => trace.name === "clades");
            const codes = Array.from(clades.customdata);
            const at = codes.findIndex((code) => [3, 4].includes(code.split(".").length));
            const box = plot.getBoundingClientRect();
            return [[
                box.left + xaxis._offset + xaxis.l2p(clades.x[at]), box.top + yaxis._offset + yaxis.l2p(clades.y[at]),
            ], codes[at].split(".")];
        }"""
    )
    page.mouse.click(*place)
    page.get_by_role("button", name="Show only these languages").click()
    expect(page.get_by_text(f"the tree of these {len(languages)} languages")).to_be_visible()
    wait_until_quiet(page)
    assert set(tokens(page)["languages"].split(".")) == set(languages)
    other = visitor(page.url)
    expect(other.get_by_text(f"the tree of these {len(languages)} languages")).to_be_visible()
    page.locator(".st-key-menu").get_by_text("Overlap").click()
    expect(page.get_by_text(f"two of these {len(languages)} languages")).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Show all languages again").click()
    expect(page.get_by_text(f"the tree of these {len(LANGUAGES)} languages")).to_be_visible()
