"""The frame around every page: title, menu, side bar, address, and the guard for cold visits."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lsn_core.errors import LsnError
from lsn_core.ui import states
from lsn_core.ui.address import Address
from lsn_core.ui.copying import copy_button
from lsn_core.ui.memory import give_back, hold_little
from lsn_core.ui.view import SIDE_CONTROLS, View

PRODUCT = "Language sub-networks"
REPORT = "report"
_FETCHED = "chart_code_fetched"
_FRAME = "frame"  # the current run's frame; a page's script that finds none was not reached through `run`
_LAST = "last_frame"  # that of the run before, for parts of a page that run again by themselves

STYLE = """
<style>
    [data-testid="stMainBlockContainer"] { padding-left: 2rem; padding-right: 2rem; padding-bottom: 3rem; max-width: 1400px; }
    @media (max-width: 640px) {
        [data-testid="stMainBlockContainer"] { padding-left: 1rem; padding-right: 1rem; }
        /* The longest title leaves room for the link beside it. */
        [data-testid="stMainBlockContainer"] h1 { font-size: 1.3rem; }
        .st-key-corner { gap: 0.25rem; }
    }
    /* Streamlit's own 0.6 leaves small text below the contrast that WCAG asks for. */
    [data-testid="stApp"] [data-testid="stCaptionContainer"] { opacity: 0.82; }
    [data-testid="stCaptionContainer"] code { color: inherit; font-size: 0.92em; }
    /* Code goes to the next line as a whole, not broken at the hyphens of an option; only what is longer than a line
       is broken. In a command each option is a token. */
    :not(pre) > code, [data-testid="stCode"] .token.parameter { display: inline-block; max-width: 100%; }
    [data-testid="stCode"] .token { color: inherit !important; }
    /* A list to choose from is as high as the choices side by side that stand beside it. */
    .st-key-controls [data-testid="stSelectbox"] [role="group"] { height: 30px; min-height: 30px; }
    .st-key-fetch, .st-key-keeper { display: none; }
    /* A run is looked at again every second: it must not fade each time. */
    .st-key-run_panel [data-stale="true"] { opacity: 1 !important; }
    [data-testid="stMetric"] { min-width: 8.5rem; }
    [class*="st-key-save_"] button { min-height: 2rem; padding-top: 0; padding-bottom: 0; }
    /* On a narrow screen a cell is too small for its number; a tap shows it. */
    @media (max-width: 640px) { .heatmap-label { display: none; } }
    /* A line along the top as long as the server works, and a moment longer, so that short work is seen too. The browser
       moves it by itself: it goes on however busy the server is, and while the page's own code draws a figure. */
    [data-testid="stApp"]::before {
        content: ""; position: fixed; inset: 0 0 auto 0; height: 3px; z-index: 1000000; pointer-events: none;
        background: linear-gradient(90deg, transparent, #0b6e8f 40%, #0b6e8f 60%, transparent) 0 0 / 50% 100% no-repeat;
        opacity: 0; transition: opacity 0.4s ease-in; animation: lsn-working 1.2s linear infinite paused;
    }
    [data-testid="stApp"]:is([data-test-script-state="running"], [data-test-script-state="rerunRequested"])::before {
        opacity: 1; transition: none; animation-play-state: running;
    }
    @keyframes lsn-working {
        from { transform: translateX(-25%); }
        to { transform: translateX(100%); }
    }
    @media (prefers-reduced-motion: reduce) {
        @keyframes lsn-working { from, to { background-size: 100% 100%; } }
    }
</style>
"""
DARK_STYLE = """
<style>
    /* White on the dark theme's accent cannot be read. */
    [data-testid="stMultiSelectTagsContainer"] [data-tag], [data-testid="stMultiSelectTagsContainer"] [data-tag] *,
    [data-testid="stBaseButton-primary"] p { color: #14191c !important; }
    [data-testid="stApp"]::before {
        background-image: linear-gradient(90deg, transparent, #5cc3e6 40%, #5cc3e6 60%, transparent) !important;
    }
</style>
"""

# `?embed=true`: what is seen, without what only serves to change or keep it.
EMBEDDED_STYLE = """
<style>
    [data-testid="stSidebar"], [data-testid="stExpandSidebarButton"], [data-testid="stHeader"],
    .st-key-controls, .st-key-levels, .st-key-levels_about, .st-key-pair, .st-key-cell, .st-key-clade, .st-key-set_controls, .st-key-map_controls,
    [class*="st-key-save_"], [class*="st-key-numbers_"] { display: none; }
    [data-testid="stMainBlockContainer"] { padding: 0.25rem 1rem; max-width: none; }
    [data-testid="stMainBlockContainer"] h1 { font-size: 1.1rem; padding: 0; }
    [data-testid="stMainBlockContainer"], [data-testid="stMainBlockContainer"] > div { gap: 0.15rem; }
    [data-testid="stMainBlockContainer"] p { line-height: 1.25; }
</style>
"""


@dataclass(frozen=True)
class PageSpec:
    """A page: its name in the address, its title, its script, and which controls of the side bar it heeds.

    The others are not drawn on it; the address keeps them for the other pages.
    """

    name: str
    title: str
    script: str
    heeds: frozenset[str] = SIDE_CONTROLS


PAGES = (
    PageSpec("overlap", "Overlap", "pages/overlap.py"),
    PageSpec("tree", "Language tree", "pages/tree.py"),
    PageSpec("transfer", "Transfer", "pages/transfer.py"),
    PageSpec("core", "Neutral core", "pages/core.py", SIDE_CONTROLS - {"measure"}),
    PageSpec("anatomy", "Anatomy", "pages/anatomy.py", SIDE_CONTROLS - {"measure"}),
    PageSpec("upload", "Upload", "pages/upload.py"),
    PageSpec("discover", "Discover", "pages/discover.py", frozenset()),
    PageSpec(REPORT, "Report", "pages/report.py", frozenset()),
    PageSpec("methods", "Methods", "pages/methods.py", frozenset()),
)


@dataclass
class Frame:
    """What a page's script gets from the frame, and the places beside and under its heading.

    `sentence` is the last one that the page has said of what is seen. `root` is the folder of the atlases,
    unless a variable names another.
    """

    address: Address
    content: View | states.Trouble
    page: PageSpec
    root: Path
    sentence: str = ""
    corner: DeltaGenerator | None = None
    notes: DeltaGenerator | None = None


def run(root: Path) -> None:
    """Draw the frame and, in it, the page that the address names. `root` is the folder of the atlases."""
    hold_little()
    routes = _routes()
    current = _navigation(routes)
    if not current.url_path:
        st.switch_page(routes[PAGES[0].name], query_params=st.query_params.to_dict())
    st.set_page_config(page_title=f"{current.title} · {PRODUCT}", layout="wide", initial_sidebar_state="auto")
    st.html(STYLE + (DARK_STYLE if st.context.theme.type == "dark" else ""))
    if st.context.is_embedded:
        st.html(EMBEDDED_STYLE)
    unseen = _fetch_chart_code()
    # These bring pandas and scipy: the browser has work while they load.
    from lsn_core.ui import pins
    from lsn_core.ui.sidebar import sidebar

    address = Address(st.session_state, st.query_params.to_dict(), current.url_path)
    with st.sidebar:
        st.markdown(f"**{PRODUCT}**")
        menu = st.container(gap="xxsmall", key="menu")
        page = next(spec for spec in PAGES if spec.name == current.url_path)
        content = sidebar(root, address, page.heeds)
    pinned = len(pins.board().pins)
    for spec in PAGES:
        label = f"{spec.title} ({pinned})" if spec.name == REPORT and pinned else spec.title
        menu.page_link(routes[spec.name], label=label, query_params=address.link(spec.name))
    frame = st.session_state[_FRAME] = Frame(address, content, page, root)
    try:
        current.run()
    except states.CannotDraw as stop:
        states.show(stop.trouble)
    except LsnError as error:
        folder = content.atlas.path if isinstance(content, View) else root
        states.show(states.unforeseen(str(error), folder))
    finally:
        st.session_state[_LAST] = st.session_state.pop(_FRAME)
    _finish(frame)
    pins.keep()
    unseen.empty()
    _set_apart(page.name)


@st.cache_resource(show_spinner=False)
def _set_apart(page: str) -> None:
    """Once a page's code is loaded, keep it out of the search for garbage, which Streamlit makes after every run:
    with all the libraries in it, that takes longer than many a run."""
    gc.collect()
    gc.freeze()
    give_back()


def _fetch_chart_code() -> DeltaGenerator:
    """Make the browser load what draws charts while the first run still counts, by a chart that is not seen.

    The code is large, and otherwise asked for only when the first figure is there. Returns the place of that
    chart, to be emptied at the end of the run.
    """
    place = st.container(key="fetch").empty()
    if _FETCHED not in st.session_state:
        st.session_state[_FETCHED] = True
        unseen = {"data": [{"type": "scatter"}], "layout": {"height": 10}}
        place.plotly_chart(unseen, key="unseen", theme=None)
    return place


def heading() -> Frame:
    """Called first by a page's script: draws the heading and gives the frame.

    A cold visit on a fresh server runs the page's script before `app.py`: the pages are made known here
    then, and the run starts again.
    """
    if _FRAME not in st.session_state:
        _navigation(_routes())
        st.rerun()
    frame: Frame = st.session_state[_FRAME]
    frame.address.enter()
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        st.title(frame.page.title, anchor=False, width="content")
        frame.corner = st.container(
            width="content", horizontal=True, vertical_alignment="center", gap="small", key="corner"
        )
    frame.notes = st.container()
    return frame


def enter() -> tuple[View, Address]:
    """`heading` for a page that shows an atlas: gives the view and the address.

    Raises CannotDraw where there is no view.
    """
    frame = heading()
    from lsn_core.ui import store

    if isinstance(frame.content, states.Trouble):
        raise states.CannotDraw(frame.content)
    atlas = frame.content.atlas
    states.warn(atlas.problems(), atlas.path)
    if store.tables_are_old(atlas):
        states.note_old_tables()
    return frame.content, frame.address


def frame() -> Frame:
    """The frame of this run, or, in a part of a page that runs again by itself, of the run that drew it."""
    found: Frame = st.session_state.get(_FRAME) or st.session_state[_LAST]
    return found


def link(frame: Frame) -> str:
    """The whole address that restores the page as it is; complete once the page's controls are known."""
    return f"{st.context.url or f'/{frame.page.name}'}?{urlencode(frame.address.link(frame.page.name))}"


def _finish(frame: Frame) -> None:
    """What can be said when all controls are known: what the address could not have, the link, the address."""
    tokens = frame.address.settle()
    if tokens is not None:
        st.query_params.from_dict(tokens)
    if frame.notes is not None:
        for note in frame.address.notes:
            frame.notes.warning(note)
    if frame.corner is not None:
        with frame.corner:
            if st.context.is_embedded:
                st.caption(f"{_shown(frame.content)}[Open in the dashboard]({link(frame)})")
            elif frame.page.name != REPORT:  # pins are one visitor's own: no link leads to them
                _offer_link(link(frame))


def _shown(content: View | states.Trouble) -> str:
    """Which sub-networks an embedded page is about, as there is no side bar to say it."""
    if isinstance(content, states.Trouble):
        return ""
    from lsn_core.viz.labels import task_name

    return f"Atlas {content.atlas.name}, {task_name(content.task).lower()}, {100 * content.sparsity:g} % removed · "


def _offer_link(address: str) -> None:
    copy_button(
        address,
        label="Copy link",
        done="Link copied",
        failed="The browser does not let the link be copied: it stands under Link to this view.",
        key="copy_link",
    )
    with st.popover("Link to this view", type="tertiary"):
        st.code(address, language=None, wrap_lines=True)
        st.caption("Opens this page as it is now, for anyone who can reach this server.")
        st.code(f"{address}&embed=true", language=None, wrap_lines=True)
        st.caption("The same without menu and controls, for a slide or a notebook.")


def _routes() -> dict[str, st.Page]:
    return {spec.name: st.Page(spec.script, title=spec.title, url_path=spec.name) for spec in PAGES}


def _navigation(routes: dict[str, st.Page]) -> st.Page:
    """Tell Streamlit the pages; the one the address names. The bare address is a page too, which only leads on.

    So every page has a name in the address, the first one as well.
    """
    home = st.Page(_nothing, title=PAGES[0].title, default=True)
    return st.navigation([home, *routes.values()], position="hidden")


def _nothing() -> None:
    """The bare address has no content of its own."""
