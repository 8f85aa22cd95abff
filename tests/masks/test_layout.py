from __future__ import annotations

import json

import numpy as np
import pytest

from lsn_core.errors import LsnError
from lsn_core.masks.layout import SCOPES, Layout, Matrix
from tests.synthetic import odd_layout, small_layout


def test_offsets_start_every_matrix_on_a_new_word() -> None:
    layout = odd_layout()
    assert layout.sizes.tolist() == [15, 64, 77, 65, 1, 144, 128]
    assert layout.offsets.tolist() == [0, 15, 79, 156, 221, 222, 366, 494]
    assert layout.word_offsets.tolist() == [0, 1, 2, 4, 6, 7, 10, 12]
    assert layout.size == 494
    assert layout.slice(2) == slice(79, 156)


@pytest.mark.parametrize(
    ("by", "labels"),
    [
        ("total", {"total": [0, 1, 2, 3, 4, 5, 6]}),
        ("stack", {"encoder": [0, 1, 2, 3, 4], "decoder": [5, 6]}),
        ("layer", {"encoder.0": [0, 1], "encoder.1": [2, 3], "decoder.0": [5, 6]}),
        (
            "component",
            {"query": [0, 2, 5], "feed-forward in": [1, 3], "cross query": [6], "pooler": [4]},
        ),
        (
            "matrix",
            {
                "enc.0.q": [0],
                "enc.0.ff": [1],
                "enc.1.q": [2],
                "enc.1.ff": [3],
                "pooler": [4],
                "dec.0.q": [5],
                "dec.0.cross": [6],
            },
        ),
    ],
)
def test_scopes(by: str, labels: dict[str, list[int]]) -> None:
    scopes = odd_layout().scopes(by)
    assert {scope.label: sorted(scope.matrices.tolist()) for scope in scopes} == labels
    assert [scope.label for scope in scopes] == list(labels)


def test_layers_sort_by_number_not_by_text() -> None:
    matrices = tuple(Matrix(f"m{layer}", (1, 2), "encoder", layer, "query") for layer in (10, 2, 0))
    assert [scope.label for scope in Layout(matrices).scopes("layer")] == [
        "encoder.0",
        "encoder.2",
        "encoder.10",
    ]


def test_an_unknown_scope_is_refused_with_the_choices() -> None:
    with pytest.raises(LsnError, match="choose one of " + ", ".join(SCOPES)):
        odd_layout().scopes("head")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "needs a name"),
        ({"shape": (0, 4)}, "two positive whole numbers"),
        ({"shape": (4,)}, "two positive whole numbers"),
        ({"shape": (4, 4.0)}, "two positive whole numbers"),
        ({"shape": (4, True)}, "two positive whole numbers"),
        ({"stack": "middle"}, "must be one of encoder, decoder"),
        ({"layer": -1}, "layers count from 0"),
        ({"component": "bias"}, "must be one of query"),
    ],
)
def test_a_wrong_matrix_is_refused(change: dict, message: str) -> None:
    fields = {"name": "m", "shape": (4, 4), "stack": "encoder", "layer": 0, "component": "query"}
    with pytest.raises(LsnError, match=message):
        Matrix(**(fields | change))


def test_a_layout_needs_matrices_with_different_names_and_a_sane_size() -> None:
    matrix = Matrix("m", (4, 4), "encoder", 0, "query")
    with pytest.raises(LsnError, match="at least one"):
        Layout(())
    with pytest.raises(LsnError, match="m is listed twice"):
        Layout((matrix, matrix))
    with pytest.raises(LsnError, match="more than"):
        Layout((Matrix("huge", (2**40, 2**40), "encoder", 0, "query"),))


def test_json_round_trip_and_fingerprint() -> None:
    layout = odd_layout()
    again = Layout.from_json(json.loads(json.dumps(layout.to_json())))
    assert again == layout
    assert again.fingerprint == layout.fingerprint
    others = [
        small_layout(),
        Layout(layout.matrices[::-1]),
        Layout((Matrix("enc.0.q", (5, 3), "encoder", 0, "query"), *layout.matrices[1:])),
        Layout((Matrix("enc.0.q", (3, 5), "encoder", 0, "key"), *layout.matrices[1:])),
    ]
    assert len({layout.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_the_fingerprint_does_not_change_with_the_code() -> None:
    # Pinned: content hashes and shipped atlases hang on it.
    assert odd_layout().fingerprint == "3623b032373c0a8e6d1ebc71124b940dc20fd2de70a28191207e0d7d34fd3711"


@pytest.mark.parametrize("data", [None, 3, "matrices", {"a": 1}, [3], [{"name": "m"}], [[]]])
def test_other_json_is_no_layout(data: object) -> None:
    with pytest.raises(LsnError):
        Layout.from_json(data)


def test_index_and_immutability() -> None:
    layout = odd_layout()
    assert layout.names[layout.index("enc.1.ff")] == "enc.1.ff"
    with pytest.raises(LsnError, match="no prunable matrix called 'nothing'"):
        layout.index("nothing")
    for array in (layout.sizes, layout.offsets, layout.word_offsets, layout.scopes("total")[0].matrices):
        assert isinstance(array, np.ndarray)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
