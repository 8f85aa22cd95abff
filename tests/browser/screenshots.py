"""Pictures of every page, in light and dark, on a wide and a narrow screen.

`python -m tests.browser.screenshots --out screenshots` shows the project's own atlases, or, where there is
none, one made up for the purpose. `--atlases` names another folder of atlases, `--views` some of the views.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from lsn_core.masks.atlas import Atlas, find_atlases
from lsn_core.masks.foreign.exchange import write_mask_file
from lsn_core.masks.ticket import BASE_KEY
from tests.browser.driver import ROOT, Server, launch, serve, wait_for_figure, wait_until_quiet
from tests.synthetic_atlas import make_atlas

VIEWS = {
    "overlap": "overlap",
    "overlap-pair": "overlap?pair=en.sw",
    "overlap-layers": "overlap?by=layer&scope=all",
    "overlap-families": "overlap?atlas=demo&order=family&pair=en.sw",
    "overlap-jaccard": "overlap?measure=jaccard&pair=en.sw",
    "core": "core",
    "core-score": "core?atlas=demo&sets=groups",
    "core-some": "core?k=2&by=layer&scope=encoder.2",
    "transfer": "transfer?atlas=demo",
    "transfer-cell": "transfer?atlas=demo&against=random&cell=zh.de",
    "upload": "upload",
    "upload-files": "upload?atlas=demo",
    "anatomy": "anatomy",
    "anatomy-base": "anatomy?right=base@50&compare=shared&matrix=encoder.layer.2.output.dense.weight",
    "anatomy-alone": "anatomy?atlas=demo&left=mlm-sw-imp-s1@80&right=none",
    "discover": "discover",
    "methods": "methods",
    "overlap-embedded": "overlap?embed=true",
    "report-empty": "report",
    "tree": "tree",
    "tree-jaccard-single": "tree?measure=jaccard&linkage=single",
    "tree-group": "tree?measure=jaccard&groups=5&group=ur.hi&untangle=on",
}
WITHOUT_FIGURE = {"discover", "methods", "report-empty", "upload"}
PATIENCE_MS = 180_000  # for a first view of a large atlas on a busy machine
THEMES = ("light", "dark")
WIDTHS = (1280, 390)
LOADED = "() => !document.querySelector('[data-testid=stSkeleton]')"
CONTENT_HEIGHT = """
() => Math.max(...[...document.querySelectorAll(
    "[data-testid=stMainBlockContainer], [data-testid=stSidebarUserContent]"
)].map((part) => part.getBoundingClientRect()).filter((box) => box.left >= 0).map((box) => box.bottom))
"""


def files_to_upload(atlas: Atlas, folder: Path) -> list[Path]:
    """A sub-network of the atlas as others would save it, and one half of that file."""
    key = next(header.key for header in atlas.headers() if header.key != BASE_KEY)
    whole, half = folder / f"mask_{key.language}.safetensors", folder / "cut_short.safetensors"
    write_mask_file(whole, atlas.ticket(key).mask(0.5), {})
    content = whole.read_bytes()
    half.write_bytes(content[: len(content) // 2])
    return [whole, half]


def take(
    server: Server, browser: Browser, out: Path, views: Sequence[str], uploaded: list[Path]
) -> Iterator[Path]:
    """Save one picture a view, theme and width; yields each file once it is there."""
    for name, theme, width in product(views, THEMES, WIDTHS):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
        page = context.new_page()
        page.goto(f"{server.url}/{VIEWS[name]}")
        if name == "upload-files":
            page.locator("input[type=file]").set_input_files([str(file) for file in uploaded])
        if name not in WITHOUT_FIGURE:
            wait_for_figure(page, PATIENCE_MS)
        wait_until_quiet(page, PATIENCE_MS)
        page.wait_for_function(LOADED, timeout=PATIENCE_MS)
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
    parser.add_argument("--views", nargs="+", choices=VIEWS, default=list(VIEWS), help="which views (all)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        atlases = options.atlases
        if not find_atlases(atlases):
            atlases = Path(scratch) / "atlases"
            make_atlas(atlases / "made-up")
        with serve(atlases, Path(scratch)) as server, sync_playwright() as playwright:
            browser = launch(playwright)
            shown = next(
                (one for one in find_atlases(atlases) if one.name == "demo"), find_atlases(atlases)[0]
            )
            uploaded = files_to_upload(Atlas.open(shown), Path(scratch))
            for file in take(server, browser, options.out, options.views, uploaded):
                print(file)
            browser.close()


if __name__ == "__main__":
    main()
