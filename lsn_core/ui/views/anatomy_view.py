"""What the Anatomy page shows, from two sub-networks to figures with their tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lsn_core.analysis.anatomy import (
    EVERY,
    NO_LAYER,
    Lot,
    block_means,
    by_lot,
    head_densities,
    known_heads,
    layer_of,
    line_density,
    place_table,
)
from lsn_core.masks.layout import Matrix
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import BASE_KEY, SPARSITY_TOLERANCE
from lsn_core.ui import states, store
from lsn_core.ui.figures import Described
from lsn_core.ui.subnetworks import SubNetwork, found_as, names_of
from lsn_core.ui.view import View
from lsn_core.viz import anatomy as figures
from lsn_core.viz.drawing import Drawn
from lsn_core.viz.heatmap import Colours, around_zero, colours
from lsn_core.viz.labels import matrix_name, scope_name, signed
from lsn_core.viz.places import layer_mark, places_map
from lsn_core.viz.words import anatomy as words
from lsn_core.viz.words.core import per_cent

NAMES_ON_BAR = 19  # letters of two names that there is room for over a bar of colours
COMPARED = {
    "above-pretrained": "shared − pretrained alone, percentage points",
    "above-chance": "shared − chance, percentage points",
    "shared": "kept by both, % of kept by either",
    "difference": "density, first − second, percentage points",
}
NO_HEADS = (
    "The number of attention heads of this model is not recorded in the atlas, or does not fit its matrices, so "
    "that its heads cannot be told apart."
)
LINES = {"row": 0, "column": 1}

Place = tuple[str, str]  # layer and component, either of them "all"


@dataclass(frozen=True, eq=False)
class Anatomy:
    """One sub-network, or two side by side, with what was counted of them.

    `names` is what they are called; `table` is that of `analysis.anatomy.place_table`.
    """

    view: View
    left: SubNetwork
    right: SubNetwork | None
    names: tuple[str, str]
    left_mask: Mask
    right_mask: Mask | None
    table: pd.DataFrame

    @cached_property
    def places(self) -> dict[Place, dict[str, float]]:
        """The numbers of the table, by layer and component."""
        names = self.table[["layer", "component"]].itertuples(index=False, name=None)
        numbers = self.table.drop(columns=["layer", "component"])
        values = zip(*(numbers[name].tolist() for name in numbers), strict=True)
        return {
            (layer, component): dict(zip(numbers.columns, row, strict=True))
            for (layer, component), row in zip(names, values, strict=True)
        }

    @property
    def has_reference(self) -> bool:
        """Whether it is known what the pretrained weights alone would make the two share."""
        return bool(self.table["reference"].notna().any())


def open_masks(view: View, left: SubNetwork | None, right: SubNetwork | None) -> Anatomy:
    """Read the masks and count them; CannotDraw without a first one."""
    if left is None:
        raise states.CannotDraw(states.no_masks(view.atlas, view.task, view.languages))
    left_mask = left.mask()
    right_mask = None if right is None else right.mask()
    base = _fair_base(view, left, right)
    table = place_table(left_mask, right_mask, base)
    return Anatomy(view, left, right, names_of(left, right), left_mask, right_mask, table)


def shows(anatomy: Anatomy) -> list[str]:
    """How the two can be compared, what says most first."""
    return [name for name in COMPARED if name != "above-pretrained" or anatomy.has_reference]


def sentence(anatomy: Anatomy) -> str:
    """The line above the figures."""
    view, whole = anatomy.view, anatomy.places[EVERY, EVERY]
    found = [
        words.kept_sentence(
            words.Kept(name, whole[side], whole["size"], _by_place(anatomy, f"density_{side}")),
            _in_base(view, one, mask),
        )
        for side, name, one, mask in (
            ("left", anatomy.names[0], anatomy.left, anatomy.left_mask),
            ("right", anatomy.names[1], anatomy.right, anatomy.right_mask),
        )
        if one is not None and mask is not None
    ]
    if anatomy.right is not None:
        found.append(
            words.shared_sentence(
                anatomy.names, _shared(anatomy, (EVERY, EVERY), _by_place(anatomy, "jaccard"))
            )
        )
    return "\n\n".join(found)


def follows(view: View, left: bool, right: bool, second: SubNetwork | None) -> str:
    """How the choice here and the side bar go together; `left` and `right` say which side follows it."""
    method = "method, " if len(view.catalogue.methods(view.task)) > 1 else ""
    what = f"the side bar's task, {method}sparsity, languages and seeds"
    if second is None and left:
        return f"The first follows {what}, until you choose another here; there is no second."
    if second is None:
        return "The first is chosen here and stays, whatever the side bar says; there is no second."
    if left and right:
        return f"Both follow {what}, until you choose others here."
    if left or right:
        one, other = ("second", "first") if left else ("first", "second")
        return f"The {one} is chosen here and stays, whatever the side bar says; the {other} follows the side bar."
    return "Both are chosen here and stay, whatever the side bar says."


def notes(anatomy: Anatomy) -> list[str]:
    """What to keep in mind of these two."""
    lines = []
    for one in (anatomy.left, anatomy.right):
        atlas = None if one is None else one.source.atlas
        if atlas is not None and not _same_model(anatomy.view, atlas.model):
            lines.append(
                f"Atlas {atlas.name} is of other weights ({atlas.model['name']}) in matrices of the same shapes: "
                "what is shared is shared places, not shared weights."
            )
    return lines


def density_map(anatomy: Anatomy, side: str, chosen: Matrix) -> tuple[Drawn, Described]:
    """Layers by components: the share of weights that one sub-network keeps."""
    grids = [100 * _grid(anatomy, f"density_{one}") for one in ("left", "right")]
    shown = colours("weights kept, %", np.stack(grids), 1, (0.0, 100.0))
    name = anatomy.names[("left", "right").index(side)]
    grid = grids[("left", "right").index(side)]
    fig = _map(anatomy, grid, shown, chosen)
    about = Described(
        name=_file_name(anatomy, f"density-{side}"),
        alt=f"Heatmap of the share of weights that {words.within(name)} keeps, {_extent(anatomy)}. "
        f"{per_cent(_last(grid))} of all prunable weights.",
        how=f"Share of the weights that {words.within(name)} keeps in each layer and component; last row and column: all "
        f"layers, all components together. Grey: the model has no such matrix. {_source(anatomy, side)}",
        table=anatomy.table,
    )
    return fig, about


def compared_map(anatomy: Anatomy, show: str, chosen: Matrix) -> tuple[Drawn, Described]:
    """Layers by components: what the two share, or by how much they differ."""
    grid = compared(anatomy, show)
    title = COMPARED[show]
    if show == "difference":
        first, second = _on_bar(anatomy)
        title = f"density, {first} − {second}, percentage points"
    whole = show == "shared"
    shown = colours(title, grid, 1, (0.0, 100.0)) if whole else around_zero(title, grid, 1)
    names = f"{anatomy.names[0]} and {words.within(anatomy.names[1])}"
    of_both = "weights that both keep, in per cent of those that either keeps (Jaccard index)"
    how = {
        "above-pretrained": f"{of_both}, less what it would be if all that the two had in common were the sizes "
        "of the pretrained weights",
        "above-chance": f"{of_both}, less that of two random sub-networks as dense in every matrix",
        "shared": of_both,
        "difference": f"share of weights that {words.within(anatomy.names[0])} keeps, less that of "
        f"{words.within(anatomy.names[1])}",
    }[show]
    about = Described(
        name=_file_name(anatomy, f"compared-{show}"),
        alt=f"Heatmap of {names} compared, {COMPARED[show]}, {_extent(anatomy)}. "
        f"{_written(_last(grid), shown)} over the whole model.",
        how=f"{names}: {how}. Grey: no such matrix, or nothing kept in it. {_source(anatomy)}",
        table=anatomy.table,
    )
    return _map(anatomy, grid, shown, chosen), about


def compared(anatomy: Anatomy, show: str) -> np.ndarray:
    """What the map of both shows, in per cent, (layers + 1, components + 1)."""
    if show == "difference":
        return 100 * (_grid(anatomy, "density_left") - _grid(anatomy, "density_right"))
    expected = {"above-pretrained": "jaccard_reference", "above-chance": "jaccard_chance"}.get(show)
    return 100 * (_grid(anatomy, "jaccard") - (0 if expected is None else _grid(anatomy, expected)))


def first_matrix(anatomy: Anatomy) -> str:
    """The matrix to look at where none was chosen: of those of attention, where there are any, the one that
    the two share least; of one sub-network, the one whose density is furthest from the whole's."""
    matrices = anatomy.view.atlas.layout.matrices
    attention = [matrix for matrix in matrices if matrix.head_axis is not None]
    whole = anatomy.places[EVERY, EVERY]

    def rank(matrix: Matrix) -> float:
        row = anatomy.places[layer_of(matrix), matrix.component]
        if anatomy.right is None:
            return -abs(row["density_left"] - whole["density_left"])
        return row["jaccard"] if np.isfinite(row["jaccard"]) else np.inf

    return min(attention or matrices, key=rank).name


def matrix_sentence(anatomy: Anatomy, matrix: Matrix) -> str:
    """What is seen of one matrix."""
    bits = _bits(anatomy, matrix)
    kept = [f"{words.within(name)} keeps {per_cent(100 * one.mean())}" for name, one in bits.items()]
    rows, columns = matrix.shape
    text = f"Of the {rows:,} × {columns:,} weights here, {' and '.join(kept)}."
    if anatomy.right is not None:
        shared = _shared(anatomy, (layer_of(matrix), matrix.component), {})
        text += f" {words.shared_sentence(anatomy.names, shared)}"
    return text


def pictures(anatomy: Anatomy, matrix: Matrix) -> list[tuple[str, go.Figure, Described]]:
    """The matrix as pictures, each with its heading: of each sub-network, and of where two differ."""
    bits = _bits(anatomy, matrix)
    blocks = {name: block_means(one) for name, one in bits.items()}
    shown = figures.amount_colours("weights kept, %", *(100 * one.value for one in blocks.values()))
    drawn = [(name, 100 * one.value, shown) for name, one in blocks.items()]
    block, shape = next((one.block, one.shape) for one in blocks.values())
    if len(bits) > 1:
        first, second = bits.values()
        difference = 100 * block_means(first.astype(np.int8) - second.astype(np.int8)).value
        apart = 100 * block_means(first ^ second).value
        one, other = _on_bar(anatomy)
        title = f"kept by {one} only − by {other} only, % of weights"
        drawn.append(
            ("Which of the two keeps more", difference, figures.difference_colours(title, difference))
        )
        drawn.append(
            (
                "Where they differ at all",
                apart,
                figures.amount_colours("weights that one keeps and the other removes, %", apart),
            )
        )
    heads = heads_of(anatomy, matrix)
    between = None if heads is None or matrix.head_axis is None else (matrix.head_axis, heads)
    size = (
        "Each cell is one weight"
        if block == (1, 1)
        else f"Each cell is a block of {block[0]} × {block[1]} weights"
    )
    lines = "" if between is None else f" Lines: {heads} attention heads."
    found = []
    for place, (heading, percent, scale) in enumerate(drawn):
        fig = figures.picture_figure(percent, block, shape, scale, anatomy.view.theme, between)
        about = Described(
            name=_file_name(anatomy, f"picture-{place + 1}", matrix),
            alt=f"Picture of {_place(matrix)}, {shape[0]} rows by {shape[1]} columns. {heading}: {scale.title}, "
            f"from {_written(float(percent.min()), scale)} to {_written(float(percent.max()), scale)}, "
            f"on average {_written(float(percent.mean()), scale)}.",
            how=f"{size} of {_place(matrix)}, its first row at the top; rows make the matrix's outputs, columns "
            f"take its inputs.{lines} {_source(anatomy)}",
            table=_block_table(percent, block),
        )
        found.append((heading, fig, about))
    return found


def heads_of(anatomy: Anatomy, matrix: Matrix) -> int | None:
    """How many attention heads the matrix falls into; None where it falls into none or that is not known."""
    return known_heads(matrix, anatomy.view.atlas.model.get("heads"))


def heads_map(anatomy: Anatomy, chosen: Matrix) -> tuple[str, go.Figure, Described] | None:
    """Layers by attention heads: what the first sub-network keeps in the matrices of the chosen one's
    component, or of the first component of attention; None where the model's heads are not known."""
    heads = anatomy.view.atlas.model.get("heads")
    matrices = anatomy.view.atlas.layout.matrices
    there = [one for one in (chosen, *matrices) if known_heads(one, heads) is not None]
    if not there:
        return None
    matrix = there[0]
    found = head_densities(anatomy.left_mask, matrix.component, known_heads(matrix, heads) or 0)
    layers, name_at = list(found), _names_at(anatomy)
    grid = 100 * np.array([[*row, row.mean()] for row in found.values()])
    name = anatomy.names[0]
    hover = [
        [
            f"<b>{scope_name(layer)}, head {head}</b><br>{name} keeps {_share(value)}"
            for head, value in enumerate(row)
        ]
        + [f"<b>{scope_name(layer)}, all heads</b><br>{name} keeps {_share(row.mean())}"]
        for layer, row in found.items()
    ]
    columns = [*(str(head) for head in range(grid.shape[1] - 1)), EVERY]
    text = words.heads_sentence(
        name, matrix.component, {scope_name(one).lower(): row for one, row in found.items()}
    )
    fig = places_map(
        _marks(layers),
        columns,
        grid,
        hover,
        colours("weights kept, %", grid, 1, (0.0, 100.0)),
        anatomy.view.theme,
        keys=[[name_at[layer, matrix.component]] * len(columns) for layer in layers],
        chosen=(layers.index(layer_of(chosen)), len(columns) - 1) if matrix is chosen else None,
        column_title="head",
        sum_row=False,
    )
    about = Described(
        name=_file_name(anatomy, f"heads-{matrix.component}"),
        alt=f"Heatmap of the share of weights that {words.within(name)} keeps in {len(layers)} layers by {len(columns) - 1} attention "
        f"heads of the {matrix.component} matrices. {text.replace('**', '')}",
        how=f"Share of the weights that {words.within(name)} keeps in each head's {'columns' if matrix.head_axis else 'rows'} of the "
        f"{matrix.component} matrices; last column: all heads. Heads of different layers have nothing to do with "
        f"each other, whatever their number. {_source(anatomy, 'left')}",
        table=pd.DataFrame(
            [(layer, head, value) for layer, row in found.items() for head, value in enumerate(row)],
            columns=["layer", "head", "density"],
        ),
    )
    return text, fig, about


def lines(anatomy: Anatomy, matrix: Matrix, what: str) -> tuple[str, go.Figure, Described]:
    """A sentence and a figure on the densities of the matrix's rows, columns or heads."""
    groups = heads_of(anatomy, matrix) if what == "head" else None
    axis = LINES.get(what, matrix.head_axis or 0)
    found = {name: line_density(bits, axis, groups) for name, bits in _bits(anatomy, matrix).items()}
    (name, density), *others = found.items()
    lot = _lot(anatomy, matrix, len(density))
    drawn = [figures.Line(one, 100 * values) for one, values in found.items()]
    text = words.lines_sentence(name, what, density, lot.outside(density))
    fig = figures.lines_figure(
        drawn[0], drawn[1] if others else None, (100 * lot.low, 100 * lot.high), what, anatomy.view.theme
    )
    of = {"row": "row (output)", "column": "column (input)"}.get(
        what, f"attention head: {matrix.shape[axis] // len(density)} {'columns' if axis else 'rows'} each"
    )
    about = Described(
        name=_file_name(anatomy, f"{what}s", matrix),
        alt=f"Share of weights kept by {what} of {_place(matrix)}. {text}",
        how=f"Share of the weights kept in each {of}, counted from 0 as in the model. Band: where 95 of 100 would "
        f"lie if the weights that {words.within(name)} keeps in this matrix were drawn by lot. {_source(anatomy)}",
        table=pd.DataFrame({what: np.arange(len(density))} | {f"density: {k}": v for k, v in found.items()}),
    )
    return text, fig, about


def _fair_base(view: View, left: SubNetwork, right: SubNetwork | None) -> Mask | None:
    """The base mask that two sub-networks of one sparsity are held against; None where there is none.

    Against itself, the pretrained weights' mask would say nothing.
    """
    if right is None or left.is_base or right.is_base or abs(left.level - right.level) > SPARSITY_TOLERANCE:
        return None
    if not all(
        one.source.atlas is None or _same_model(view, one.source.atlas.model) for one in (left, right)
    ):
        return None
    return _base_at(view, left.level)


def _base_at(view: View, level: float) -> Mask | None:
    """The mask of the pretrained weights alone at a level, None where the atlas has none."""
    if not view.atlas.has_bits:
        return None
    near = [known for known in view.catalogue.base_levels if abs(known - level) <= SPARSITY_TOLERANCE]
    return store.mask(view.atlas, BASE_KEY, near[0]) if near else None


def _in_base(view: View, one: SubNetwork, mask: Mask) -> float:
    """The share of a sub-network's weights that the base mask of its sparsity keeps too; NaN where unknown."""
    other_model = one.source.atlas is not None and not _same_model(view, one.source.atlas.model)
    base = None if one.is_base or other_model else _base_at(view, one.level)
    return float("nan") if base is None or not mask.kept else (mask & base).kept / mask.kept


def _same_model(view: View, model: object) -> bool:
    return isinstance(model, dict) and model.get("fingerprint") == view.atlas.model["fingerprint"]


def _bits(anatomy: Anatomy, matrix: Matrix) -> dict[str, np.ndarray]:
    """Name to the matrix's mask, bool in its shape, for one sub-network or two."""
    left = anatomy.left_mask[matrix.name]
    if anatomy.right_mask is None:
        return {anatomy.names[0]: left}
    return {anatomy.names[0]: left, anatomy.names[1]: anatomy.right_mask[matrix.name]}


def _lot(anatomy: Anatomy, matrix: Matrix, count: int) -> Lot:
    kept = int(anatomy.left_mask.counts[anatomy.view.atlas.layout.index(matrix.name)])
    return by_lot(kept, matrix.size, matrix.size // count)


def _map(anatomy: Anatomy, grid: np.ndarray, shown: Colours, chosen: Matrix) -> Drawn:
    layers, components = _axes(anatomy)
    name_at = _names_at(anatomy)
    return places_map(
        _marks(layers),
        components,
        grid,
        [[_hover(anatomy, layer, one) for one in components] for layer in layers],
        shown,
        anatomy.view.theme,
        keys=[[name_at.get((layer, one), "") for one in components] for layer in layers],
        chosen=(layers.index(layer_of(chosen)), components.index(chosen.component)),
    )


def _names_at(anatomy: Anatomy) -> dict[Place, str]:
    """The matrix in a layer and component; the first, should there be several."""
    matrices = anatomy.view.atlas.layout.matrices
    return {(layer_of(matrix), matrix.component): matrix.name for matrix in reversed(matrices)}


def _marks(layers: Sequence[str]) -> list[str]:
    several = len({layer.partition(".")[0] for layer in layers if "." in layer}) > 1
    return [layer_mark(layer, several) for layer in layers]


def _axes(anatomy: Anatomy) -> tuple[list[str], list[str]]:
    """The layers and the components that the model has, "all" last."""
    found = (list(dict.fromkeys(anatomy.table[name])) for name in ("layer", "component"))
    layers, components = ([*(one for one in names if one != EVERY), EVERY] for names in found)
    return layers, components


def _grid(anatomy: Anatomy, column: str) -> np.ndarray:
    """A column of the table as layers by components, NaN where the model has no such matrix."""
    layers, components = _axes(anatomy)
    values = anatomy.table.set_index(["layer", "component"])[column].unstack()
    return values.reindex(index=layers, columns=components).to_numpy(dtype=float)


def _hover(anatomy: Anatomy, layer: str, component: str) -> str:
    row = anatomy.places.get((layer, component))
    where = {EVERY: "All layers", NO_LAYER: "No layer"}.get(layer, scope_name(layer))
    lines = [f"<b>{where}, {'all components' if component == EVERY else component}</b>"]
    if row is None:
        return f"{lines[0]}<br>no such matrix in this model"
    lines.append(f"{anatomy.names[0]} keeps {_share(row['density_left'])} of {row['size']:,.0f} weights")
    if anatomy.right is not None:
        lines.append(f"{anatomy.names[1]} keeps {_share(row['density_right'])}")
        lines.append(f"kept by both, of kept by either: {_share(row['jaccard'])}")
        if anatomy.has_reference:
            lines.append(f"pretrained weights alone: {_share(row['jaccard_reference'])}")
        lines.append(f"chance: {_share(row['jaccard_chance'])}")
    return "<br>".join(lines)


def _by_place(anatomy: Anatomy, column: str) -> dict[str, float]:
    """A column of the table for every single place, by its name in a sentence."""
    single = anatomy.table[(anatomy.table["layer"] != EVERY) & (anatomy.table["component"] != EVERY)]
    places = zip(single["layer"], single["component"], single[column], strict=True)
    return {words.place_name(layer, component): float(value) for layer, component, value in places}


def _shared(anatomy: Anatomy, place: Place, by_place: dict[str, float]) -> words.Shared:
    """What the two share in a place, for a sentence."""
    row = anatomy.places[place]
    return words.Shared(
        left=row["left"],
        right=row["right"],
        both=row["both"],
        jaccard=row["jaccard"],
        chance=row["jaccard_chance"],
        reference=row["jaccard_reference"],
        by_place=by_place,
    )


def _block_table(percent: np.ndarray, block: tuple[int, int]) -> pd.DataFrame:
    """One row a block: its first row and column, and its number."""
    rows, columns = np.indices(percent.shape)
    return pd.DataFrame(
        {
            "first_row": (rows * block[0]).ravel(),
            "first_column": (columns * block[1]).ravel(),
            "percent": percent.ravel(),
        }
    )


def _last(grid: np.ndarray) -> float:
    return float(grid[-1, -1])


def _extent(anatomy: Anatomy) -> str:
    layers, components = _axes(anatomy)
    return f"{len(layers) - 1} layers by {len(components) - 1} components"


def _place(matrix: Matrix) -> str:
    name = matrix_name(matrix.stack, matrix.layer, matrix.component)
    return name[:1].lower() + name[1:]


def _share(value: float) -> str:
    return per_cent(100 * value) if np.isfinite(value) else "–"


def _written(value: float, shown: Colours) -> str:
    if not np.isfinite(value):
        return "unknown"
    return signed(value, shown.digits) if shown.signed else f"{value:.{shown.digits}f}"


def _on_bar(anatomy: Anatomy) -> tuple[str, str]:
    """What the two are called over a bar of colours."""
    first, second = map(words.within, anatomy.names)
    return (first, second) if len(first + second) <= NAMES_ON_BAR else ("the first", "the second")


def _source(anatomy: Anatomy, *sides: str) -> str:
    """Where numbers come from: the sub-networks of these sides, or of both, and the atlas."""
    found = [
        f"{name}: {found_as(one)}"
        for side, name, one in zip(
            ("left", "right"), anatomy.names, (anatomy.left, anatomy.right), strict=True
        )
        if one is not None and side in (sides or ("left", "right"))
    ]
    return f"{'; '.join(found)}. Atlas {anatomy.view.atlas.name}, model {anatomy.view.atlas.model['name']}."


def _file_name(anatomy: Anatomy, what: str, matrix: Matrix | None = None) -> str:
    """Stem of a downloaded file: what it shows, of which sub-networks and matrix."""
    parts: Sequence[str] = [
        what,
        anatomy.view.atlas.name,
        anatomy.left.token,
        *([] if anatomy.right is None else [anatomy.right.token]),
        *([] if matrix is None else [matrix.name]),
    ]
    return re.sub(r"[^\w.-]", "-", "-".join(parts))
