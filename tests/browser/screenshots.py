"""Pictures of every page, in light and dark, on a wide and a narrow screen.

`python -m tests.browser.screenshots --out screenshots` shows the project's own atlases, or, where there is
none, one made up for the purpose. `--atlases` names another folder of atlases.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from lsn_core.masks.atlas import find_atlases
from tests.browser.driver import ROOT, Server, launch, serve, wait_for_figure, wait_until_quiet
from tests.synthetic_atlas import make_atlas

VIEWS = {
    "overlap": "overlap",
    "overlap-pair": "overlap?pair=en.sw",
    "overlap-layers": "overlap?by=layer&scope=all",
    "overlap-jaccard": "overlap?measure=jaccard&pair=en.sw",
    "core": "core",
    "core-score": "core?atlas=demo&sets=groups",
    "core-some": "core?k=2&by=layer&scope=encoder.2",
    "transfer": "transfer?atlas=demo",
    "transfer-cell": "transfer?atlas=demo&against=random&cell=zh.de",
    "methods": "methods",
    "tree": "tree",
    "tree-jaccard-single": "tree?measure=jaccard&linkage=single",
}
WITHOUT_FIGURE = {"methods"}
THEMES = ("light", "dark")
WIDTHS = (1280, 390)
CONTENT_HEIGHT = """
() => Math.max(...[...document.querySelectorAll(
    "[data-testid=stMainBlockContainer], [data-testid=stSidebarUserContent]"
)].map((part) => part.getBoundingClientRect()).filter((box) => box.left >= 0).map((box) => box.bottom))
"""


def take(server: Server, browser: Browser, out: Path) -> Iterator[Path]:
    """Save one picture a view, theme and width; yields each file once it is there."""
    for (name, address), theme, width in product(VIEWS.items(), THEMES, WIDTHS):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
        page = context.new_page()
        page.goto(f"{server.url}/{address}")
        if name not in WITHOUT_FIGURE:
            wait_for_figure(page)
        wait_until_quiet(page)
        page.set_viewport_size({"width": width, "height": max(800, int(page.evaluate(CONTENT_HEIGHT)))})
        page.wait_for_timeout(500)
        file = out / f"{name}-{theme}-{width}.png"
        page.screenshot(path=str(file))
        context.close()
        yield file


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--atlases", type=Path, default=ROOT / "masks", help="folder of atlases")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        atlases = options.atlases
        if not find_atlases(atlases):
            atlases = Path(scratch) / "atlases"
            make_atlas(atlases / "made-up")
        with serve(atlases, Path(scratch)) as server, sync_playwright() as playwright:
            browser = launch(playwright)
            for file in take(server, browser, options.out):
                print(file)
            browser.close()


if __name__ == "__main__":
    main()
