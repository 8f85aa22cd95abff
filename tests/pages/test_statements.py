"""The sentences above the figures of Tree, Transfer, Core, Upload and Methods on three atlases: the two that are
shipped, and one of uploaded masks. Each number is worked out once more from the tables or the bits alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.cluster.hierarchy import cophenet, fcluster, linkage
from scipy.spatial.distance import squareform
from streamlit.testing.v1 import AppTest

from lsn_core.analysis.publish import publish
from lsn_core.languages import FAMILY_TREE, language
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.foreign.exchange import keep_imported, write_mask_file
from lsn_core.masks.foreign.inspection import inspect_foreign
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import BASE_KEY, TicketKey
from tests.pages.conftest import Visit, said
from tests.pages.recount import SHIPPED, Shared, read, resamples, values
from tests.pages.test_upload_page import mixture, packed, send
from tests.synthetic_atlas import MODEL, make_atlas, write_core_scores, write_transfer

MADE = ("en", "de", "fr", "es", "hi", "ur", "sw")
ATLASES = pytest.mark.parametrize("atlas", ["demo", "e5-small", "uploaded"])
SCORES = ("masked top-1", "top-1 accuracy")  # beside them, tables may have the loss
FIRM = 0.7
SLACK = 0.12  # of a share of resamples, between two sets of draws

Clades = set[frozenset[str]]


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped atlases, and one whose sub-networks all came in as files of masks."""
    root = tmp_path_factory.mktemp("shelf")
    for name in ("demo", "e5-small"):
        (root / name).symlink_to(SHIPPED / name)
    scratch = tmp_path_factory.mktemp("files")
    source = make_atlas(scratch / "source", MADE, methods=("imp",), levels=(0.5,))
    atlas = Atlas.create(root / "uploaded", MODEL, source.layout)
    atlas.save(source.ticket(BASE_KEY))
    for code in MADE:
        for seed in (0, 1):
            key = TicketKey("mlm", code, "imp", seed)
            file = scratch / f"{key.stem}.safetensors"
            write_mask_file(file, source.ticket(key).mask(0.5), {})
            keep_imported(inspect_foreign(file, atlas.layout, atlas.model), key, atlas)
    publish(atlas)
    write_transfer(atlas, MADE, kinds=("mask",))
    write_core_scores(atlas, MADE, len(MADE))
    return root


@pytest.fixture
def look(shelf: Path, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> Visit:
    """`visit` to the three atlases, for masked words at 50 %."""
    monkeypatch.setenv("LSN_MASKS", str(shelf))

    def first_visit(page: str, atlas: str, **tokens: str) -> AppTest:
        app = visit(page, atlas=atlas, task="mlm", sparsity="50", **tokens)
        assert not app.exception
        return app

    return first_visit


def line(app: AppTest, start: str) -> str:
    """The one paragraph that begins so, with a hyphen for the minus."""
    (found,) = [
        part
        for element in (*app.markdown, *app.caption)
        for part in element.value.split("\n\n")
        if part.startswith(start)
    ]
    return found.replace("−", "-")


def signed(value: float) -> str:
    """A difference of scores as it is written, without a sign where it rounds to nothing."""
    return f"{value:+.3f}" if abs(value) >= 0.0005 else "0.000"


def names(codes: Iterable[str]) -> set[str]:
    return {language(code).name for code in codes}


def listed(text: str) -> set[str]:
    """The languages of "Urdu, Hindi and Swahili"."""
    return set(re.split(r", | and ", text))


def clades_of(
    found: Mapping[tuple[str, str], float], codes: list[str]
) -> tuple[np.ndarray, np.ndarray, Clades]:
    """Linkage of 1 - value, its distances, and its groups of two languages up to all but one."""
    distances = np.array([1 - found[pair] for pair in combinations(codes, 2)])
    joined = linkage(distances, "average")
    inside = [frozenset([code]) for code in codes]
    for first, second, *_ in joined:
        inside.append(inside[int(first)] | inside[int(second)])
    return joined, distances, set(inside[len(codes) : -1])


def relatives(tree: object, codes: Iterable[str]) -> Clades:
    """The groups of the family tree among these languages."""
    found: Clades = set()

    def down(node: object) -> frozenset[str]:
        if isinstance(node, str):
            return frozenset({node} & set(codes))
        below = frozenset().union(*map(down, node))  # type: ignore[call-overload]
        found.add(below)
        return below

    everyone = down(tree)
    return {group for group in found if 1 < len(group) < len(everyone)}


@ATLASES
def test_tree(look: Visit, shelf: Path, atlas: str) -> None:
    app = look("tree", atlas, measure="neutrality", groups="3")
    shared = read(shelf / atlas)
    codes = list(shared.seeds)
    every = np.arange(len(shared.sizes))
    joined, distances, clades = clades_of(values(shared, "neutrality", every, shared.seeds), codes)
    drawn = [clades_of(each, codes)[2] for each in resamples(shelf / atlas, "neutrality")]
    support = {clade: float(np.mean([clade in each for each in drawn])) for clade in clades}

    text = line(app, "By neutrality, the tree of these")
    assert f"these {len(codes)} languages" in text
    fit = cophenet(joined, distances)[0]
    assert float(text.split("correlation ")[1][:4]) == pytest.approx(fit, abs=0.0051)
    assert ("closely" in text) == (fit >= 0.9)
    named: list[set[str]] = []
    firm = pale = 0
    if again := re.search(r"at least 70 % of the resamples: ([^.]+?)(?:, and (\d+) more)?\.", text):
        named = [listed(group) for group in again[1].split("; ")]
        firm = len(named) + int(again[2] or 0)
    if weak := re.search(r"(\d+|One) other groups? (?:is|are) not", text):
        pale = 1 if weak[1] == "One" else int(weak[1])
    assert firm + (pale or len(clades) - firm) == len(clades)
    assert sum(share > FIRM + SLACK for share in support.values()) <= firm
    assert sum(share > FIRM - SLACK for share in support.values()) >= firm
    by_name = {frozenset(names(clade)): share for clade, share in support.items()}
    assert all(by_name[frozenset(group)] > FIRM - SLACK for group in named)

    text = line(app, "**Cut into 3 groups**")
    labels = fcluster(joined, 3, "maxclust")
    groups = [
        names(code for code, label in zip(codes, labels, strict=True) if label == one) for one in set(labels)
    ]
    several = {frozenset(group) for group in groups if len(group) > 1}
    told = re.findall(r"([^:;]+?) \((?:firm|uncertain|not established): in (\d+) %", text)
    cut = {frozenset(listed(group.strip())): int(share) for group, share in told if "more" not in group}
    assert set(cut) <= several
    assert len(told) == len(several)
    for group, share in cut.items():
        if group in by_name:
            assert share == pytest.approx(100 * by_name[group], abs=100 * SLACK)
    for group in groups:
        if len(group) == 1:
            assert group <= listed(
                re.split(r"[;:] ", text.removesuffix("."))[-1].split(" alone")[0].removesuffix(" each")
            )

    text = line(app, "Of the ")
    families = relatives(FAMILY_TREE, codes)
    both = len(families & clades)
    counted = re.match(
        r"Of the (\d+|one) groups? in the family tree, the measured tree has \*\*(\d+|none)\*\*", text
    )
    assert counted is not None
    assert (counted[1], counted[2]) == (
        "one" if len(families) == 1 else str(len(families)),
        str(both) if both else "none",
    )
    apart = (len(families) + len(clades) - 2 * both) / (len(families) + len(clades))
    assert f"Robinson–Foulds distance {apart:.2f}" in text


def losses(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The transfer of masks between different languages beside the targets' own scores, and all its rows."""
    rows = pd.read_parquet(folder / "transfer.parquet")
    rows = rows[(rows["kind"] == "mask") & (rows["task"] == "mlm") & (abs(rows["sparsity"] - 0.5) < 1e-9)]
    rows = rows[rows["metric"].isin(SCORES)]
    cells = rows[rows["control"] == ""]
    own = cells[cells["source"] == cells["target"]].set_index(["target", "seed"])["value"].rename("own")
    cells = cells[cells["source"] != cells["target"]].join(own, on=["target", "seed"])
    return cells.assign(loss=cells["value"] - cells["own"]), rows


@ATLASES
def test_transfer(look: Visit, shelf: Path, atlas: str) -> None:
    app = look("transfer", atlas, measure="neutrality", carried="mask")
    cells, rows = losses(shelf / atlas)
    seeds = sorted(set(cells["seed"]))
    pairs = cells.groupby(["source", "target"])["loss"].mean()

    text = line(app, "With 50 %")
    mean = pairs.mean()
    assert f"**{abs(mean):.3f} {'below' if mean < 0 else 'above'}** its own" in text
    assert f"over {len(pairs)} pairs of a source and a target" in text
    if len(seeds) == 1:
        assert "(one seed: how much of that is noise is unknown)" in text
    for seed, mine in cells.groupby("seed")["loss"]:
        assert len(seeds) == 1 or f"{signed(mine.mean())} with seed {seed}" in text
    own = cells.drop_duplicates(["target", "seed"]).pivot(index="target", columns="seed", values="own")
    noise = [(own[a] - own[b]).abs().mean() for a, b in combinations(seeds, 2)]
    assert all(f"differ by {each:.3f} on average" in text for each in noise)
    for control, words in (
        ("dense", "the whole model"),
        ("random", "random sub-networks"),
        ("base", "the pretrained weights alone"),
    ):
        beside = rows[rows["control"] == control].set_index(["target", "seed"])["value"].rename("beside")
        apart = cells.join(beside, on=["target", "seed"])
        assert f"{words} {signed((apart['beside'] - apart['own']).mean())}" in text
    (best, high), (worst, low) = re.findall(r"(\w+ → \w+) \(([-+.\d]+)\)", text)
    for told, value, place in ((best, high, pairs.idxmax()), (worst, low, pairs.idxmin())):
        assert float(value) == pytest.approx(pairs[place], abs=6e-4)
        assert pairs[place] == pytest.approx(
            next(v for (s, t), v in pairs.items() if told == f"{language(s).name} → {language(t).name}"),
            abs=1e-9,
        )

    text = line(app, "The sub-network of **")
    donors = pairs.groupby("source").mean().sort_values()
    assert text.startswith(f"The sub-network of **{language(donors.index[-1]).name}** serves")
    assert f"({signed(donors.iloc[-1])} on average), that of {language(donors.index[0]).name} worst" in text
    assert f"({signed(donors.iloc[0])})" in text

    text = next(m.value for m in app.markdown if "Mantel test" in m.value).replace("−", "-")
    shared = read(shelf / atlas)
    found = values(shared, "neutrality", np.arange(len(shared.sizes)), shared.seeds)
    codes = sorted({code for pair in pairs.index for code in pair})
    overlap = squareform([found.get((a, b), found.get((b, a))) for a, b in combinations(codes, 2)])
    loss = pairs.unstack().loc[codes, codes].to_numpy()
    apart = ~np.eye(len(codes), dtype=bool)
    r = np.corrcoef(overlap[apart], loss[apart])[0, 1]
    assert float(re.search(r"r = ([-+.\d]+),", text)[1]) == pytest.approx(r, abs=0.0051)  # type: ignore[index]
    rng = np.random.default_rng(3)
    drawn = [rng.permutation(len(codes)) for _ in range(1000)]
    reached = [np.corrcoef(overlap[np.ix_(d, d)][apart], loss[apart])[0, 1] for d in drawn]
    p = np.mean(np.abs(reached) >= abs(r) - 1e-12)
    told = float(re.search(r"p = ([.\d]+)", text)[1])  # type: ignore[index]
    assert told == pytest.approx(p, abs=0.01 + 4 * np.sqrt(p * (1 - p) / 1000))
    assert ("not shown" in text) == (told > 0.05)


def raw(folder: Path, code: str, seed: int) -> Mask:
    key = BASE_KEY if code == "base" else TicketKey("mlm", code, "imp", seed)
    return Atlas.open(folder).ticket(key).mask(0.5)


def keepers(masks: list[Mask], base: Mask) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int]]:
    """Weights that exactly 0 to n of the masks keep: counted, from the base mask alone, by chance; and what each
    keeps that no other does."""
    counted, reference, chance = (np.zeros(len(masks) + 1) for _ in range(3))
    alone = [0] * len(masks)
    for name in base.layout.names:
        bits = np.stack([mask[name].ravel() for mask in masks])
        count = bits.sum(axis=0)
        counted += np.bincount(count, minlength=len(masks) + 1)
        alone = [sum_ + int((one & (count == 1)).sum()) for sum_, one in zip(alone, bits, strict=True)]
        inside = base[name].ravel()
        for expected, parts in ((chance, [slice(None)]), (reference, [inside, ~inside])):
            for part in parts:
                within = bits[:, part]
                if within.shape[1]:
                    spread = np.ones(1)
                    for share in within.mean(axis=1):
                        spread = np.convolve(spread, [1 - share, share])
                    expected += within.shape[1] * spread
    return counted, reference, chance, alone


@ATLASES
def test_core(look: Visit, shelf: Path, atlas: str) -> None:
    codes = ("en", "de", "sw")
    app = look("core", atlas, languages=".".join(codes), seeds="0")
    masks = [raw(shelf / atlas, code, 0) for code in codes]
    counted, reference, chance, alone = keepers(masks, raw(shelf / atlas, "base", 0))
    kept = np.mean([mask.kept for mask in masks])

    text = line(app, f"Of the {kept:,.0f} weights that a sub-network keeps")
    core = counted[3]
    assert f"all 3 languages keep **{core:,.0f}**, that is **{100 * core / kept:.1f} %**" in text
    assert f"alone would give {100 * reference[3] / kept:.1f} %" in text
    assert f"chance {100 * chance[3] / kept:.1f} %" in text

    text = line(app, "A language keeps on average")
    assert f"**{np.mean(alone):,.0f}** weights" in text
    low, high = int(np.argmin(alone)), int(np.argmax(alone))
    assert (
        f"from {alone[low]:,} ({language(codes[low]).name}) to {alone[high]:,} ({language(codes[high]).name})"
        in text
    )
    assert f"the pretrained weights alone would give {reference[1] / 3:,.0f}" in text

    text = line(app, "Do not read one k by itself.")
    for k in (1, 2, 3):
        side = "larger" if counted[k:].sum() > reference[k:].sum() else "smaller"
        told = re.search(rf"{side} for k = ([\d, and to]+)", text)
        assert told is not None
        ends = [part.split(" to ") for part in re.split(r", | and ", told[1].strip(" ,"))]
        assert any(int(one[0]) <= k <= int(one[-1]) for one in ends if one[0])

    text = line(app, "All 3 languages keep the same")
    assert f"the same {counted[3]:,.0f} weights" in text
    assert f"remove the same {counted[0]:,.0f}" in text
    some = counted[1:3].sum()
    assert f"The other **{some:,.0f}** ({100 * some / counted.sum():.1f} %)" in text
    assert f"would give {reference[1:3].sum():,.0f}" in text

    text = line(app, "Over the whole model, the core of all 3 languages is")
    whole = 100 * (core - reference[3]) / kept
    assert f"is {'larger' if whole >= 0 else 'smaller'} than" in text
    assert f"({whole:+.1f} percentage points of what" in text


@pytest.mark.parametrize("atlas", ["demo", "uploaded"])
def test_score_of_a_core(look: Visit, shelf: Path, atlas: str) -> None:
    rows = pd.read_parquet(shelf / atlas / "core.parquet")
    rows = rows[(rows["task"] == "mlm") & (abs(rows["sparsity"] - 0.5) < 1e-9)]
    rows = rows[rows["metric"].isin(SCORES)]
    everyone = max(rows["at_least"])
    rows = rows[rows["at_least"].isin([0, everyone])]
    text = line(look("core", atlas), "Trained on one language at a time")
    core = rows[rows["control"] == ""].set_index(["target", "seed"])["value"]
    assert (
        f"what all {everyone} languages keep, {rows[rows['control'] == '']['kept'].mean():,.0f} weights"
        in text
    )
    assert f"**{core.mean():.3f}**" in text
    for control, words in (
        ("own", "the language's own sub-network"),
        ("random", "as many weights drawn by lot"),
        ("base", "as many of the largest pretrained weights"),
        ("dense", "the whole model"),
    ):
        beside = rows[rows["control"] == control].set_index(["target", "seed"])["value"]
        apart = (core - beside).dropna()
        assert len(apart) == len(core)
        seeds = [signed(each) for _, each in apart.groupby("seed").mean().items()]
        by_seed = f"({' and '.join(seeds)} by seed)"
        assert (
            f"{abs(apart.mean()):.3f} {'below' if apart.mean() < 0 else 'above'}** {by_seed} {words}" in text
            or (f"{words} {by_seed}" in text and "no difference is shown" in text)
        )


@pytest.mark.parametrize("atlas", ["demo", "uploaded", pytest.param("e5-small", marks=pytest.mark.slow)])
def test_upload(look: Visit, shelf: Path, tmp_path: Path, atlas: str) -> None:
    found = Atlas.open(shelf / atlas)
    mask = mixture(found)
    app = send(
        look("upload", atlas, languages="en.fr.sw", seeds="0"), ("mask.safetensors", packed(mask, tmp_path))
    )
    base = raw(shelf / atlas, "base", 0)
    shares = {}
    for code in ("en", "fr", "sw"):
        other = raw(shelf / atlas, code, 0)
        alike = (mask & other).kept / (mask | other).kept
        _, reference, chance, _ = keepers([mask, other], base)
        shares[code] = (alike, *(each[2] / each[1:].sum() for each in (reference, chance)))
    first, second, _ = sorted(shares, key=lambda code: -shares[code][0])
    text = next(m.value for m in app.markdown if "most like" in m.value)
    assert f"most like that of **{language(first).name}**" in text
    for number in shares[first]:
        assert f"{number:.3f}" in text
    assert f"by {abs(shares[first][0] - shares[first][1]):.4f}" in text
    assert f"{language(second).name} with {shares[second][0]:.3f}" in text


def neutrality(shared: Shared, rows: np.ndarray) -> float:
    return float(np.mean(list(values(shared, "neutrality", rows, shared.seeds).values())))


@ATLASES
def test_methods(look: Visit, shelf: Path, atlas: str) -> None:
    """What was found in the atlas: the mean over pairs, and the layers where it is lowest and highest."""
    shared, layout = read(shelf / atlas), Atlas.open(shelf / atlas).layout
    pairs = len(shared.seeds) * (len(shared.seeds) - 1) // 2
    text = next(
        part for part in said(look("methods", atlas)).split("\n") if "**Masked words (mlm)**, 50 %" in part
    )
    told = re.search(r"neutrality is ([.\d]+) \[([.\d]+), ([.\d]+)\], mean over (\d+) pairs", text)
    assert told is not None
    assert float(told[1]) == pytest.approx(neutrality(shared, np.arange(len(shared.sizes))), abs=6e-4)
    assert float(told[2]) < float(told[1]) < float(told[3])
    assert int(told[4]) == pairs
    layers = {
        layer: neutrality(shared, np.array([k for k, m in enumerate(layout.matrices) if m.layer == layer]))
        for layer in {m.layer for m in layout.matrices if m.layer is not None}
    }
    runs = re.search(
        r"By layer it runs from ([.\d]+) \[[^]]+\] \(encoder layer (\d+)\) to ([.\d]+) \[[^]]+\] \(encoder layer (\d+)\)",
        text,
    )
    assert runs is not None
    low, high = min(layers.values()), max(layers.values())
    assert (float(runs[1]), float(runs[3])) == pytest.approx((low, high), abs=6e-4)
    assert layers[int(runs[2])] == pytest.approx(low, abs=1e-9)
    assert layers[int(runs[4])] == pytest.approx(high, abs=1e-9)
