"""A discovery in sentences: what it will cost, how far it is, how it ended."""

from __future__ import annotations

from lsn_core.durations import duration

_PHASES = {
    "starting": "under way",
    "running": "under way",
    "stopping": "under way",
    "stopped": "stopped",
    "finished": "finished",
    "failed": "failed",
    "broken off": "broken off",
}


def cost_sentence(tickets: int, there: int, rounds: int, levels: int, steps_a_round: int | None) -> str:
    """Markdown on what is to be trained: `there` of the tickets are finished, each has so many levels.

    `rounds` are those of all that are missing. A random one is not trained unpruned, as its twin is.
    `steps_a_round` is None where a round's length is known only when the text is read.
    """
    if not tickets:
        return "**No training**: the largest pretrained weights are kept, which takes some seconds."
    left = tickets - there
    known = f", of which {'all are' if not left else 'one is' if there == 1 else f'{there:,} are'} in the atlas already"
    text = f"**{_count(tickets, 'sub-network')}**{known if there else ''}. "
    if not left:
        return f"{text}Nothing is left to train."
    at_each = f"once at each of {_count(levels, 'sparsity', 'sparsities')}"
    if rounds == left * (levels + 1):
        times = f"{levels + 1} times: once unpruned, and {at_each}"
    elif rounds == left * levels:
        times = f"{_count(levels, 'time')}: {at_each}"
    else:
        times = f"{at_each}, and all but the random ones once unpruned"
    text += f"Each is trained {times}. {'That' if left == 1 else f'Over {left:,} sub-networks that'} makes "
    if steps_a_round is None:
        return f"{text}**{_count(rounds, 'round')}**; how many steps each has is known when the text is read."
    return (
        f"{text}{_count(rounds, 'round')} of "
        f"{_count(steps_a_round, 'step')}: **{_count(rounds * steps_a_round, 'training step')}** in all."
    )


def time_sentence(middle: float, low: float, high: float, tickets: int, model: str) -> str:
    """Markdown on how long it may take, in seconds, as the median, fastest and slowest of earlier tickets say."""
    ends = duration(low), duration(high)
    span = f" ({ends[0]} to {ends[1]})" if ends[0] != ends[1] else ""
    earlier = f"{tickets} sub-networks" if tickets > 1 else "one sub-network"
    return f"About **{duration(middle)}** here{span}, judged by {earlier} found in the model {model} before."


UNKNOWN_TIME = "How long it takes is known after the first round: nothing was found in this model here yet."


def phase_name(phase: str) -> str:
    """A run's phase in a list, which is drawn less often than the phase may change."""
    return _PHASES[phase]


def run_sentence(
    phase: str,
    atlas: str,
    rounds: tuple[int, int],
    tickets: tuple[int, int],
    seconds_left: float | None,
    message: str,
    training: bool,
) -> str:
    """Markdown on how far a run is; `rounds` and `tickets` are those done and those in all, 0 while unknown.

    `training` says whether any sub-network is being trained at this moment.
    """
    done = f"**{rounds[0]:,} of {_count(rounds[1], 'round')}** done" if rounds[1] else "nothing done yet"
    kept = f"{done}, and kept" if rounds[0] else done
    if phase == "starting":
        return f"The run into atlas `{atlas}` is starting."
    if phase == "running":
        if tickets[1] and tickets[0] == tickets[1]:
            return f"{done}: the tables of atlas `{atlas}` are being made."
        if not training:
            so_far = f" {done} so far." if rounds[0] else ""
            return (
                f"The run into atlas `{atlas}` is loading model and text, which takes some seconds.{so_far}"
            )
        left = (
            f"about **{duration(seconds_left)}** left"
            if seconds_left is not None
            else "how long it takes is known after the first round"
        )
        return f"{done}, {tickets[0]} of {_count(tickets[1], 'sub-network')} finished; {left}."
    if phase == "stopping":
        return f"Stopping: {kept}. The round under way is given up, which can take some seconds."
    if phase == "stopped":
        return f"Stopped: {kept}. Resume goes on from there."
    if phase == "finished":
        if not tickets[1]:
            return f"Finished: atlas `{atlas}` holds the masks of the pretrained weights alone."
        whole = "the sub-network is" if tickets[1] == 1 else f"all {tickets[1]} sub-networks are"
        return f"Finished: {whole} in atlas `{atlas}`."
    if phase == "failed":
        return f"Failed: {kept}. {message}"
    return (
        f"Broken off: {kept}. The process ended without a word, as when a computer is switched off; "
        "Resume goes on where it was."
    )


def _count(number: int, what: str, several: str = "") -> str:
    return f"{number:,} {what if number == 1 else several or f'{what}s'}"
