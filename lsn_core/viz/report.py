"""Figures as HTML that needs nothing but a browser: one figure, or a report of several.

The file carries the code that draws its figures and forbids the browser to fetch anything, so that it looks
the same without a network and for ever. Whatever people wrote is text in it, never markup.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import plotly
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from lsn_core import __version__
from lsn_core.analysis.provenance import Origin
from lsn_core.viz.described import Described, chart_config, to_csv
from lsn_core.viz.labels import METHOD_NAMES, task_name
from lsn_core.viz.measures import MEASURES
from lsn_core.viz.theme import DARK, LIGHT, Theme

SHOWN_ROWS = 200  # of a table; all of them are in its CSV
BRIEF = 100  # characters of a figure's description in the list of figures
UNTITLED = "Language sub-networks"

PAPER = """\
@inproceedings{foroutan-etal-2022-discovering,
  title     = {Discovering Language-neutral Sub-networks in Multilingual Language Models},
  author    = {Foroutan, Negar and Banaei, Mohammadreza and Lebret, R{\\'e}mi and Bosselut, Antoine and Aberer, Karl},
  booktitle = {Proceedings of the 2022 Conference on Empirical Methods in Natural Language Processing},
  year      = {2022},
  publisher = {Association for Computational Linguistics},
  pages     = {7560--7575},
  doi       = {10.18653/v1/2022.emnlp-main.513},
  url       = {https://aclanthology.org/2022.emnlp-main.513/}
}"""
SOFTWARE = """\
@misc{{lsn-core,
  title = {{lsn-core: language sub-networks of multilingual language models, found and compared}},
  note  = {{Software, version {version}; used on {day}}}
}}"""

_WORDS = (
    ("Sub-network", "The weights of a model that are left for one language and task when the others are removed."),
    ("Sparsity", "The share of the weights that is removed."),
    ("Seed", "What fixes all chance in training; runs that differ in it alone show how much is chance."),
    (
        "Pretrained alone",
        "What two languages would share if all they had in common were the sizes of the pretrained weights.",
    ),
    ("Chance", "What two random sub-networks would share that keep as many weights of every matrix."),
)  # fmt: skip
_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_NO_NETWORK = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:"
)


@dataclass(frozen=True, eq=False)
class Exhibit:
    """A figure as it was at one moment, with all that is shown beside it.

    `figure` is Plotly's JSON, so that nothing can change it any more. `title` says what it is of, `sentence` (with
    Markdown's `**`) what is seen, `caption` what its author has to say; `link` leads to the live view.
    """

    figure: str
    about: Described
    title: str
    sentence: str = ""
    caption: str = ""
    link: str = ""
    origin: Origin | None = None

    @classmethod
    def of(cls, fig: go.Figure, title: str, about: Described | None = None, **others: Any) -> Exhibit:
        """The exhibit of a figure as it is now. Without `about`, its title is all that describes it."""
        about = about or Described(name="figure", alt=title, how="", table=pd.DataFrame())
        return cls(fig.to_json(), about, title, **others)

    @property
    def colours(self) -> tuple[str, str]:
        """The figure's own background and ink."""
        layout = json.loads(self.figure).get("layout", {})
        background = str(layout.get("paper_bgcolor", ""))
        ink = str(layout.get("font", {}).get("color", ""))
        if _HEX.fullmatch(background) and _HEX.fullmatch(ink):
            return background, ink
        return LIGHT.background, LIGHT.ink


def figure_html(exhibit: Exhibit) -> bytes:
    """One figure as one page, with its description under it."""
    background, ink = exhibit.colours
    body = (
        f'<figure class="alone">{_chart(exhibit, 1)}'
        f"<figcaption>{_text(exhibit.about.how)}</figcaption></figure>"
    )
    page = f"body {{ background: {background}; color: {ink}; margin: 1rem; }}"
    return _document(exhibit.about.name, page, body, [exhibit])


def report_html(title: str, introduction: str, exhibits: Sequence[Exhibit], made: datetime) -> bytes:
    """A report of several figures in the order given: one file with figures, tables, sources and citations.

    Args:
        title: the heading; empty stands for the software's subject.
        introduction: plain text, a blank line between paragraphs; may be empty.
        made: when, for the foot of the report; with its time zone.
    """
    title = title.strip() or UNTITLED
    origins = list(dict.fromkeys(exhibit.origin for exhibit in exhibits if exhibit.origin is not None))
    parts = [
        f"<header><h1>{_text(title)}</h1>{_paragraphs(introduction)}</header>",
        _contents(exhibits),
        "<main>",
        *(_section(exhibit, place, origins) for place, exhibit in enumerate(exhibits, 1)),
        *_sources(origins),
        _words(),
        _citations(made),
        "</main>",
    ]
    return _document(title, _page_style(exhibits), "\n".join(parts), exhibits)


def _document(title: str, style: str, body: str, exhibits: Sequence[Exhibit]) -> bytes:
    specs = "".join(
        f'<script type="application/json" id="spec-{place}">{_inside_script(_spec(exhibit))}</script>'
        for place, exhibit in enumerate(exhibits, 1)
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_NO_NETWORK}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{_STYLE}{style}</style></head>\n<body>\n{body}\n"
        f"{specs}<script>{get_plotlyjs()}</script><script>{_DRAW}</script></body></html>\n"
    ).encode()


def _spec(exhibit: Exhibit) -> str:
    """What Plotly draws the figure from, as JSON."""
    config = chart_config(exhibit.about.name) | {"responsive": True}
    return f'{{"figure": {exhibit.figure}, "config": {json.dumps(config)}}}'


def _section(exhibit: Exhibit, place: int, origins: Sequence[Origin]) -> str:
    background, ink = exhibit.colours
    caption = f'<div class="caption">{_paragraphs(exhibit.caption)}</div>' if exhibit.caption.strip() else ""
    seen = f'<p class="seen">{_bold(exhibit.sentence)}</p>' if exhibit.sentence else ""
    return "\n".join(
        [
            f'<section id="figure-{place}" aria-labelledby="title-{place}">',
            f'<h2 id="title-{place}">Figure {place}. {_text(exhibit.title)}</h2>',
            seen,
            f'<figure style="background: {background}; color: {ink}">{_chart(exhibit, place)}'
            f"<figcaption>{caption}{_how(exhibit)}</figcaption></figure>",
            _where(exhibit, origins),
            _table(exhibit.about, place),
            "</section>",
        ]
    )


def _chart(exhibit: Exhibit, place: int) -> str:
    return f'<div class="chart" role="img" aria-label="{_text(exhibit.about.alt)}" data-spec="spec-{place}"></div>'


def _how(exhibit: Exhibit) -> str:
    return f'<p class="how">{_text(exhibit.about.how)}</p>' if exhibit.about.how else ""


def _where(exhibit: Exhibit, origins: Sequence[Origin]) -> str:
    """Where the figure can be seen alive, and where its numbers come from."""
    parts = []
    if exhibit.origin is not None:
        name = origins.index(exhibit.origin) + 1
        parts.append(
            f'Numbers from <a href="#source-{name}">source {name}</a>, {_text(exhibit.origin.atlas)}.'
        )
    if exhibit.link:
        parts.append(f"{_anchor(exhibit.link)} (needs the dashboard’s server to be running there).")
    return f'<p class="where">{" ".join(parts)}</p>' if parts else ""


def _anchor(link: str) -> str:
    """The link to the live view, where it is one that a browser may follow."""
    if link.startswith(("http://", "https://")):
        return (
            f'<a href="{_text(link)}" rel="noreferrer">Live view: <span class="link">{_text(link)}</span></a>'
        )
    return f'Live view: <span class="link">{_text(link)}</span>'


def _table(about: Described, place: int) -> str:
    """The numbers behind the figure, folded, and the whole table as a file inside the file."""
    table = about.table
    if table.empty:
        return ""
    data = base64.b64encode(to_csv(table)).decode()
    head = "".join(f'<th scope="col">{_text(str(name))}</th>' for name in table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{_text(_cell(value))}</td>' for value in row)}</tr>"
        for row in table.head(SHOWN_ROWS).itertuples(index=False, name=None)
    )
    rest = (
        f"<p>The first {SHOWN_ROWS} of {len(table):,} rows; all of them are in the CSV.</p>"
        if len(table) > SHOWN_ROWS
        else ""
    )
    return (
        f'<p><a class="save" download="{_text(about.name)}.csv" href="data:text/csv;charset=utf-8;base64,{data}">'
        f"Save the table of figure {place} as CSV</a></p>"
        f"<details><summary>The numbers in figure {place}</summary>{rest}"
        f'<div class="wide" tabindex="0" role="region" aria-label="The numbers in figure {place}">'
        f"<table><caption>The numbers in figure {place}. –: not defined or not measured.</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _cell(value: Any) -> str:
    """A value as it is read: six digits are more than a reader needs, and what is missing is a dash."""
    if pd.isna(value):
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _contents(exhibits: Sequence[Exhibit]) -> str:
    if len(exhibits) < 2:
        return ""
    items = "".join(
        f'<li><a href="#figure-{place}">{_text(f"{exhibit.title}: {_brief(exhibit)}")}</a></li>'
        for place, exhibit in enumerate(exhibits, 1)
    )
    return f'<nav aria-label="Figures"><ol>{items}</ol></nav>'


def _brief(exhibit: Exhibit) -> str:
    """What tells a figure from others of the same title: how its caption, or else its description, begins."""
    text = exhibit.caption.strip() or exhibit.about.alt
    start = re.split(r"\n|\. |: ", text, maxsplit=1)[0].rstrip(".")
    return start if len(start) <= BRIEF else f"{start[:BRIEF].rstrip()} …"


def _sources(origins: Sequence[Origin]) -> Iterator[str]:
    if not origins:
        return
    yield '<section aria-labelledby="sources"><h2 id="sources">Where the numbers come from</h2>'
    for name, found in enumerate(origins, 1):
        known = [
            ("Model", found.model),
            ("Task", ", ".join(map(task_name, found.tasks))),
            ("Method", ", ".join(METHOD_NAMES.get(method, method) for method in found.methods)),
            *found.facts,
        ]
        rows = "".join(
            f'<tr><th scope="row">{_text(label)}</th><td>{_text(value)}</td></tr>' for label, value in known
        )
        yield (
            f'<h3 id="source-{name}">Source {name}: atlas {_text(found.atlas)}</h3>'
            f'<div class="wide"><table class="facts"><tbody>{rows}</tbody></table></div>'
        )
        if found.tickets:
            tickets = "".join(
                f'<tr><th scope="row">{_text(ticket.stem)}</th><td><code>{_text(ticket.content_hash)}</code></td>'
                f"<td><code>{_text(ticket.data_fingerprint)}</code></td></tr>"
                for ticket in found.tickets
            )
            yield (
                f"<details><summary>The {len(found.tickets)} sub-networks of source {name}, with their hashes</summary>"
                f'<div class="wide" tabindex="0" role="region" aria-label="The sub-networks of source {name}">'
                "<table><thead><tr>"
                '<th scope="col">sub-network</th><th scope="col">hash of its contents (SHA-256)</th>'
                '<th scope="col">fingerprint of its training data</th></tr></thead>'
                f"<tbody>{tickets}</tbody></table></div></details>"
            )
    yield "</section>"


def _words() -> str:
    entries = [*_WORDS, *((measure.name, measure.help) for measure in reversed(MEASURES))]
    items = "".join(f"<dt>{_text(word)}</dt><dd>{_text(meaning)}</dd>" for word, meaning in entries)
    return (
        f'<section aria-labelledby="words"><h2 id="words">What the words mean</h2><dl>{items}</dl></section>'
    )


def _citations(made: datetime) -> str:
    software = SOFTWARE.format(version=__version__, day=f"{made:%Y-%m-%d}")
    return (
        '<section aria-labelledby="cite"><h2 id="cite">To cite</h2>'
        "<p>The method is that of Foroutan, Banaei, Lebret, Bosselut and Aberer, "
        "<cite>Discovering Language-neutral Sub-networks in Multilingual Language Models</cite>, EMNLP 2022, pages "
        '7560–7575, <a href="https://aclanthology.org/2022.emnlp-main.513/" rel="noreferrer">'
        "https://aclanthology.org/2022.emnlp-main.513/</a>.</p>"
        f'<pre tabindex="0" aria-label="BibTeX"><code>{_text(PAPER)}\n\n{_text(software)}</code></pre>'
        f'<p class="how">Made on {made:%Y-%m-%d at %H:%M} ({_text(made.tzname() or "local time")}) with lsn-core '
        f"{_text(__version__)}, plotly {_text(plotly.__version__)}.</p></section>"
    )


def _page_style(exhibits: Sequence[Exhibit]) -> str:
    """The page is light, as paper is, unless every figure is dark."""
    dark = bool(exhibits) and all(exhibit.colours[0] == DARK.background for exhibit in exhibits)
    theme: Theme = DARK if dark else LIGHT
    return (
        f"body {{ background: {theme.background}; color: {theme.ink}; }}"
        f"a {{ color: {theme.first}; }}"
        f"figure, th, td, pre, nav {{ border-color: {theme.line}; }}"
        f".how, .where, dd, figcaption .how {{ color: {theme.quiet}; }}"
        "body { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }"
    )


def _paragraphs(text: str) -> str:
    """Plain text with its paragraphs and lines."""
    found = [part.strip() for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]
    return "".join(f'<p dir="auto">{"<br>".join(map(_text, part.splitlines()))}</p>' for part in found)


def _bold(text: str) -> str:
    """A sentence of the software's own: text, with Markdown's `**` kept."""
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", _text(text))


def _text(text: str) -> str:
    """Text as HTML shows it, also between quotation marks."""
    return html.escape(text, quote=True)


def _inside_script(text: str) -> str:
    """JSON that cannot end the script element it stands in."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


_STYLE = """
body { font: 1rem/1.55 -apple-system, 'Segoe UI', 'Noto Sans', Roboto, system-ui, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0.5rem 0 1rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 0.5rem; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 0.5rem; }
p { margin: 0.5rem 0; }
figure { margin: 0.75rem 0; padding: 0.75rem; border: 1px solid; border-radius: 6px; }
figure.alone { border: 0; padding: 0; }
figcaption { margin-top: 0.5rem; }
.chart { width: 100%; }
.how, .where { font-size: 0.875rem; }
.link { overflow-wrap: anywhere; }
nav { border: 1px solid; border-radius: 6px; padding: 0.5rem 1rem; }
nav ol { margin: 0; padding-left: 1.5rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: 0.4rem 0; }
th, td { border-bottom: 1px solid; padding: 0.25rem 0.75rem 0.25rem 0; text-align: left; vertical-align: top; }
.facts th { font-weight: 600; }
.facts td { overflow-wrap: anywhere; }
dt { font-weight: 600; margin-top: 0.6rem; }
dd { margin: 0; }
pre { border: 1px solid; border-radius: 6px; padding: 0.75rem; overflow-x: auto; font-size: 0.8rem; }
summary { cursor: pointer; }
:focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
@media (max-width: 640px) { .heatmap-label { display: none; } }
@media print {
    figure, tr, pre { break-inside: avoid; }
    h2, h3 { break-after: avoid; }
    .save, nav { display: none; }
    figure { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
_DRAW = """
for (const place of document.querySelectorAll(".chart")) {
    const { figure, config } = JSON.parse(document.getElementById(place.dataset.spec).textContent);
    Plotly.newPlot(place, figure.data, figure.layout, config);
}
"""
