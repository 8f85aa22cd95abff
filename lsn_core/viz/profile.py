"""One thing measured in many places, such as a pair of languages scope by scope: a line over layers, dots in rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsn_core.viz.drawing import Drawn, scatter
from lsn_core.viz.labels import scope_name
from lsn_core.viz.theme import Theme, axis, drawing, faint, legend, title

HEIGHT = 300
ROW = 34


@dataclass(frozen=True)
class Profile:
    """A measure over scopes, (n,) each; `low` and `high` bound its 95 % interval, NaN where unknown.

    `levels` are the values it is judged against, each (n,): their names stand in the legend. `name` is what was
    measured; `labels` are the names of the rows where they are no scopes.
    """

    scopes: tuple[str, ...]
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    levels: dict[str, np.ndarray]
    name: str = "this pair"
    labels: tuple[str, ...] = ()

    def hover(self, axis: str, digits: int) -> tuple[np.ndarray, str]:
        """What a point carries and says: the value on this axis, and its interval where it is known."""
        ends = zip(self.low, self.high, strict=True)
        words = [
            f" ({low:.{digits}f}–{high:.{digits}f})" if np.isfinite([low, high]).all() else ""
            for low, high in ends
        ]
        return np.array(words), f"{self.name} %{{{axis}:.{digits}f}}%{{customdata}}<extra></extra>"


def layer_profile(profile: Profile, label: str, digits: int, theme: Theme, height: float = HEIGHT) -> Drawn:
    """The measure as a line over the layers, its interval as a band, the levels as dashed lines."""
    fig = drawing(theme, height=height, showlegend=True, hovermode="x unified")
    places = list(range(len(profile.scopes)))
    low, high = shown_range(profile)
    near, far = _levels(profile, low, high, digits)
    for name, values, place in near:
        colour, dash = _level_style(theme, place)
        fig.add_trace(
            scatter(
                x=places,
                y=values,
                mode="lines",
                name=name,
                line={"color": colour, "dash": dash, "width": 1.5},
                hovertemplate=f"{name} %{{y:.{digits}f}}<extra></extra>",
            )
        )
    if np.isfinite(profile.low).all() and np.isfinite(profile.high).all():
        fig.add_trace(
            scatter(
                x=places + places[::-1],
                y=[*profile.high, *profile.low[::-1]],
                fill="toself",
                mode="lines",
                line={"width": 0},
                fillcolor=faint(theme.first),
                hoverinfo="skip",
                name="95 % interval",
            )
        )
    carried, said = profile.hover("y", digits)
    fig.add_trace(
        scatter(
            x=places,
            y=profile.value,
            mode="lines+markers",
            name=profile.name,
            line={"color": theme.first, "width": 2.5},
            marker={"size": 7},
            customdata=carried,
            hovertemplate=said,
        )
    )
    fig.update_layout(
        legend=legend(theme),
        xaxis=axis(
            theme,
            tickmode="array",
            tickvals=places,
            ticktext=_layer_marks(profile.scopes),
            title=title(theme, "<br>".join(["layer", *far])),
            range=[-0.3, len(places) - 0.7],
        ),
        yaxis=axis(
            theme,
            title=title(theme, label),
            showgrid=True,
            range=[low, high],
            nticks=6,
        ),
    )
    return fig.figure()


def component_profile(profile: Profile, label: str, digits: int, theme: Theme) -> Drawn:
    """The measure for each row, a component or another, as a dot with its interval, beside the levels as small strokes."""
    count = len(profile.scopes)
    fig = drawing(theme, height=count * ROW + 110, showlegend=True)
    places = list(range(count))
    low, high = shown_range(profile)
    near, far = _levels(profile, low, high, digits)
    for name, values, place in near:
        colour, _ = _level_style(theme, place)
        fig.add_trace(
            scatter(
                x=values,
                y=places,
                mode="markers",
                name=name,
                marker={
                    "symbol": "line-ns-open",
                    "size": 16,
                    "color": colour,
                    "line": {"width": 2, "color": colour},
                },
                hovertemplate=f"{name} %{{x:.{digits}f}}<extra></extra>",
            )
        )
    carried, said = profile.hover("x", digits)
    fig.add_trace(
        scatter(
            x=profile.value,
            y=places,
            mode="markers",
            name=profile.name,
            marker={"size": 9, "color": theme.first},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": profile.high - profile.value,
                "arrayminus": profile.value - profile.low,
                "color": theme.first,
                "thickness": 1.5,
                "width": 0,
            },
            customdata=carried,
            hovertemplate=said,
        )
    )
    fig.update_layout(
        legend=legend(theme) | {"itemsizing": "constant"},
        xaxis=axis(
            theme,
            title=title(theme, "<br>".join([label, *far])),
            range=[low, high],
            showgrid=True,
            nticks=5,
        ),
        yaxis=axis(
            theme,
            tickmode="array",
            tickvals=places,
            ticktext=list(profile.labels) or [scope_name(scope) for scope in profile.scopes],
            range=[count - 0.5, -0.5],
        ),
    )
    return fig.figure()


def shown_range(profile: Profile) -> tuple[float, float]:
    """The range of the measure's axis: what was measured, and every level that does not crush it.

    A level further away than three times the spread of the measured values and the nearer levels is left
    out of the range: chance at 0.33 would flatten differences between 0.985 and 0.991.
    """
    parts = [profile.value, profile.low, profile.high]
    measured = np.concatenate([part[np.isfinite(part)] for part in parts])
    if not len(measured):
        return 0.0, 1.0
    low, high = float(measured.min()), float(measured.max())
    spans = [
        (float(np.nanmin(v)), float(np.nanmax(v))) for v in profile.levels.values() if np.isfinite(v).any()
    ]
    spans.sort(key=lambda span: max(low - span[1], span[0] - high, 0.0))
    for near, far in spans:
        if max(low - far, near - high, 0.0) > 3 * max(high - low, 1e-3):
            break
        low, high = min(low, near), max(high, far)
    room = 0.08 * max(high - low, 1e-4)
    return low - room, high + room


def _layer_marks(scopes: tuple[str, ...]) -> list[str]:
    """Short marks for layers: the number, and the stack's initial where there are two stacks."""
    parts = [scope.rpartition(".") for scope in scopes]
    several = len({stack for stack, _, _ in parts}) > 1
    return [f"{stack[:1]}{number}" if several else number for stack, _, number in parts]


def _levels(
    profile: Profile, low: float, high: float, digits: int
) -> tuple[list[tuple[str, np.ndarray, int]], list[str]]:
    """The levels within reach of the axis, each with its place among all, and words on those beyond it."""
    near, far = [], []
    for place, (name, values) in enumerate(profile.levels.items()):
        if not np.isfinite(values).any():
            continue
        if np.nanmax(values) < low or np.nanmin(values) > high:
            far.append(f"{name} {_span(values, digits)}<br>(off this scale)")
        else:
            near.append((name, values, place))
    return near, far


def _level_style(theme: Theme, place: int) -> tuple[str, str]:
    """Colour and dash of a level."""
    styles = ((theme.second, "dash"), (theme.both, "dot"), (theme.quiet, "dashdot"))
    return styles[place % len(styles)]


def _span(values: np.ndarray, digits: int) -> str:
    low, high = f"{np.nanmin(values):.{digits}f}", f"{np.nanmax(values):.{digits}f}"
    return low if low == high else f"{low}–{high}"
