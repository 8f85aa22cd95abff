"""Sentences on a discovery: what it costs and how far it is."""

from __future__ import annotations

import pytest

from lsn_core.viz.words.discover import cost_sentence, run_sentence, time_sentence

UNDER_WAY = {"atlas": "mine", "seconds_left": None, "message": "", "training": True}


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ((0, 0, 0, 9, 30), "**No training**: the largest"),
        (
            (2, 2, 0, 9, 30),
            "**2 sub-networks**, of which all are in the atlas already. Nothing is left to train.",
        ),
        ((3, 1, 20, 9, 30), ", of which one is in the atlas already. "),
        ((1, 0, 2, 1, 1), "That makes 2 rounds of 1 step: **2 training steps** in all."),
        ((1, 0, 2, 1, 1), "trained 2 times: once unpruned, and once at each of 1 sparsity."),
        ((2, 1, 9, 9, 1), "Each is trained 9 times: once at each of 9 sparsities. That makes 9 rounds"),
        (
            (2, 0, 19, 9, 1),
            "trained once at each of 9 sparsities, and all but the random ones once unpruned. Over 2 sub-networks that makes 19",
        ),
        (
            (88, 0, 880, 9, 10_000),
            "Over 88 sub-networks that makes 880 rounds of 10,000 steps: **8,800,000 training steps** in all.",
        ),
    ],
)
def test_cost(numbers: tuple[int, int, int, int, int], says: str) -> None:
    assert says in cost_sentence(*numbers)


def test_time() -> None:
    assert time_sentence(90, 60, 400, 5, "m") == (
        "About **2 min** here (1 min to 7 min), judged by 5 sub-networks found in the model m before."
    )
    assert (
        time_sentence(90, 90, 90, 1, "m")
        == "About **2 min** here, judged by one sub-network found in the model m before."
    )


@pytest.mark.parametrize(
    ("phase", "numbers", "more", "says"),
    [
        ("starting", ((0, 0), (0, 0)), {}, "The run into atlas `mine` is starting."),
        (
            "running",
            ((0, 0), (0, 0)),
            {"training": False},
            "is loading model and text, which takes some seconds.",
        ),
        ("running", ((4, 6), (1, 2)), {"training": False}, "some seconds. **4 of 6 rounds** done so far."),
        ("running", ((4, 6), (1, 2)), {}, "1 of 2 sub-networks finished; how long it takes is known after"),
        (
            "running",
            ((1, 2), (0, 1)),
            {"seconds_left": 61},
            "0 of 1 sub-network finished; about **1 min** left.",
        ),
        (
            "running",
            ((6, 6), (2, 2)),
            {"training": False},
            "**6 of 6 rounds** done: the tables of atlas `mine`",
        ),
        ("stopping", ((1, 6), (0, 2)), {}, "Stopping: **1 of 6 rounds** done, and kept."),
        ("stopped", ((0, 6), (0, 2)), {}, "Stopped: **0 of 6 rounds** done. Resume goes on from there."),
        ("finished", ((2, 2), (1, 1)), {}, "Finished: the sub-network is in atlas `mine`."),
        ("finished", ((0, 0), (0, 0)), {}, "the masks of the pretrained weights alone"),
        ("failed", ((0, 0), (0, 0)), {"message": "No model."}, "Failed: nothing done yet. No model."),
        ("broken off", ((3, 6), (0, 2)), {}, "Broken off: **3 of 6 rounds** done, and kept."),
    ],
)
def test_how_far(phase: str, numbers: tuple, more: dict, says: str) -> None:
    assert says in run_sentence(phase, rounds=numbers[0], tickets=numbers[1], **(UNDER_WAY | more))
