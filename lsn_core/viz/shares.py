"""How the weights of two sub-networks fall into shared, exclusive and removed."""

from __future__ import annotations

from lsn_core.viz.colour import readable_on
from lsn_core.viz.drawing import Drawn, bar
from lsn_core.viz.labels import plain_name
from lsn_core.viz.theme import Theme, axis, drawing

PARTS = ("both", "first", "second", "neither")


def shares_figure(languages: tuple[str, str], counts: dict[str, float], theme: Theme) -> Drawn:
    """Four bars: weights kept by both languages, by one of them only, and by neither.

    `counts` maps each of `PARTS` to a number of weights (a mean over seed pairs, so not always whole).
    """
    total = sum(counts[part] for part in PARTS)
    names = {
        "both": "kept by both",
        "first": f"only {plain_name(languages[0])}",
        "second": f"only {plain_name(languages[1])}",
        "neither": "removed by both",
    }
    colours = {"both": theme.both, "first": theme.first, "second": theme.second, "neither": theme.missing}
    share = {part: counts[part] / total if total else 0.0 for part in PARTS}
    longest = max(share.values())
    fig = drawing(theme, height=4 * 40 + 70)
    fig.add_trace(
        bar(
            x=[share[part] for part in PARTS],
            y=[names[part] for part in PARTS],
            orientation="h",
            width=0.62,
            marker={"color": [colours[part] for part in PARTS]},
            text=[f"{counts[part]:,.0f} · {_percent(share[part])}" for part in PARTS],
            textposition=["inside" if share[part] > longest / 2 else "outside" for part in PARTS],
            insidetextanchor="end",
            textfont={"size": 12},
            insidetextfont={"color": [readable_on(colours[part]) for part in PARTS]},
            outsidetextfont={"color": theme.ink},
            cliponaxis=False,
            customdata=[f"{counts[part]:,.0f}" for part in PARTS],
            hovertemplate="%{y}: %{customdata} weights<extra></extra>",
        )
    )
    fig.update_layout(
        xaxis=axis(theme, range=[0, longest * 1.02 or 1], visible=False),
        yaxis=axis(theme, autorange="reversed", ticks=""),
    )
    return fig.figure()


def _percent(share: float) -> str:
    """A share in per cent with as many digits as it needs not to read as nothing."""
    if 0 < share < 0.001:
        return f"{100 * share:.3f} %"
    return f"{100 * share:.1f} %"
