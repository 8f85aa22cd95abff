"""Tickets as they come out of a discovery: their bits, their scores, resuming and sharing."""

from __future__ import annotations

import json
import multiprocessing as mp
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForMaskedLM, AutoTokenizer

from lsn_core.discovery.config import Recipe, Training
from lsn_core.discovery.lottery import Progress
from lsn_core.discovery.plan import Plan
from lsn_core.discovery.pruning import kept_at
from lsn_core.discovery.runs import Setup, TicketJob, Workshop
from lsn_core.discovery.state import load_progress, save_progress
from lsn_core.errors import CorruptFile, LsnError
from lsn_core.masks.atlas import Atlas
from lsn_core.masks.mask import Mask
from lsn_core.masks.ticket import Score, Ticket, TicketKey
from tests.synthetic import small_layout

TRAINING = Training(steps=3, batch_size=8, learning_rate=1e-2, train_lines=64, score_lines=40)
METHODS = ("imp", "oneshot", "random")


def _job(method: str = "imp", language: str = "en", seed: int = 0, rounds: int = 3) -> TicketJob:
    return TicketJob(Recipe("mlm", method, rounds=rounds, training=TRAINING), language, seed)


def _workshop(folder: Path, model: Path) -> Workshop:
    return Workshop(Setup(str(folder), str(model), "mlm"), ())


def _ignore(job: TicketJob, done: int) -> None:
    pass


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Atlas:
    workshop = _workshop(tmp_path_factory.mktemp("atlases") / "a", tiny_folder)
    workshop.base()
    for method in METHODS:
        for seed in (0, 1):
            assert workshop.make(_job(method, seed=seed), _ignore)
    assert workshop.make(_job(language="fr"), _ignore)
    return workshop.atlas


def _ticket(atlas: Atlas, method: str, language: str = "en", seed: int = 0) -> Ticket:
    return atlas.ticket(TicketKey("mlm", language, method, seed))


@pytest.mark.parametrize("method", METHODS)
def test_masks_are_nested_and_hit_their_level_to_one_weight(atlas: Atlas, method: str) -> None:
    ticket = _ticket(atlas, method)
    masks = list(ticket.masks().values())
    assert ticket.levels == (0.1, 0.2, 0.3)
    for level, mask in ticket.masks().items():
        assert mask.kept == kept_at(atlas.layout.size, level)
    assert all(after <= before for before, after in pairwise(masks))


@pytest.mark.parametrize("method", METHODS)
def test_dense_and_every_level_are_scored(atlas: Atlas, method: str) -> None:
    scores = _ticket(atlas, method).scores
    assert [s.sparsity for s in scores if s.metric == "masked top-1"] == [0.0, 0.1, 0.2, 0.3]
    assert all(0 <= s.value <= 1 for s in scores if s.metric == "masked top-1")
    assert len({s.count for s in scores}) == 1


def test_dense_score_is_the_same_number_for_every_method(atlas: Atlas) -> None:
    tickets = [_ticket(atlas, method) for method in METHODS]
    assert len({next(s.value for s in t.scores if s.metric == "loss") for t in tickets}) == 1


def test_fewer_lines_than_a_batch_are_pruned_all_the_same(tiny_folder: Path, tmp_path: Path) -> None:
    for split in ("train", "dev", "test"):
        (tmp_path / f"en.{split}.txt").write_text("June 5\nJune 6\nJune 7\n")
    workshop = Workshop(Setup(str(tmp_path / "a"), str(tiny_folder), "mlm", str(tmp_path)), ())
    workshop.make(_job(), _ignore)
    assert _ticket(workshop.atlas, "imp").mask(0.3).kept == kept_at(workshop.bench.layout.size, 0.3)


def test_a_model_with_another_head_or_tokenizer_is_another_run(
    atlas: Atlas, tiny_folder: Path, tmp_path: Path
) -> None:
    """The encoder is the same, so the atlas takes it; but its tickets would have other bits."""
    model = AutoModelForMaskedLM.from_pretrained(tiny_folder)
    model.cls.predictions.transform.dense.weight.data.mul_(2)
    model.save_pretrained(tmp_path / "tiny")
    AutoTokenizer.from_pretrained(tiny_folder).save_pretrained(tmp_path / "tiny")
    with pytest.raises(LsnError, match="use another --atlas"):
        _workshop(atlas.path, tmp_path / "tiny").make(_job(), _ignore)


def test_random_keeps_as_many_of_each_matrix_as_its_twin_at_every_level(atlas: Atlas) -> None:
    for seed in (0, 1):
        random, twin = (_ticket(atlas, method, seed=seed) for method in ("random", "imp"))
        for level in random.levels:
            assert (random.mask(level).counts == twin.mask(level).counts).all()
            assert random.mask(level) != twin.mask(level)
        assert random.provenance["matched"] == {
            "ticket": f"mlm-en-imp-s{seed}",
            "content_hash": twin.content_hash,
        }
    assert _ticket(atlas, "random").mask(0.3) != _ticket(atlas, "random", seed=1).mask(0.3)


def test_a_random_ticket_brings_its_twin_along(atlas: Atlas, tiny_folder: Path, tmp_path: Path) -> None:
    workshop = _workshop(tmp_path / "alone", tiny_folder)
    seen: dict[TicketJob, list[int]] = {}
    assert workshop.make(_job("random"), lambda job, done: seen.setdefault(job, []).append(done))
    assert list(seen) == [_job("imp"), _job("random")]
    # What is announced is what is done: the dense model is trained for the twin alone.
    for job, done in seen.items():
        assert done == list(range(1, job.steps + 1))
    assert [job.rounds for job in seen] == [4, 3]
    plan = Plan(2, tuple(job.key for job in seen), _job().recipe)
    assert (plan.rounds, plan.steps) == (7, sum(map(len, seen.values())))
    assert (
        "7 rounds to do (the dense model and 3 levels a ticket, random ones the levels alone)"
        in plan.sentence()
    )
    assert _job("random").state(9).endswith("3/3 rounds")
    assert _ticket(workshop.atlas, "imp").content_hash == _ticket(atlas, "imp").content_hash
    assert not workshop.make(_job("random"), _ignore)


def test_a_random_ticket_of_another_twin_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    workshop = _workshop(tmp_path / "a", tiny_folder)
    workshop.make(_job("random"), _ignore)
    twin = _ticket(workshop.atlas, "imp")
    other = replace(twin, scores=tuple(replace(score, value=0.5) for score in twin.scores))
    assert other.content_hash != twin.content_hash
    workshop.atlas.save(other)
    with pytest.raises(LsnError, match="matched to another ticket"):
        workshop.make(_job("random"), _ignore)


def test_seeds_languages_and_methods_give_different_tickets(atlas: Atlas) -> None:
    tickets = [_ticket(atlas, m, seed=s) for m in METHODS for s in (0, 1)] + [_ticket(atlas, "imp", "fr")]
    assert len({t.content_hash for t in tickets}) == 7
    assert len({t.survival.tobytes() for t in tickets}) == 7


def test_imp_and_oneshot_agree_on_the_first_level_only(atlas: Atlas) -> None:
    imp, oneshot = _ticket(atlas, "imp"), _ticket(atlas, "oneshot")
    assert imp.mask(0.1) == oneshot.mask(0.1)
    assert imp.mask(0.3) != oneshot.mask(0.3)


def test_a_finished_ticket_is_never_computed_again(atlas: Atlas, tiny_folder: Path) -> None:
    workshop = _workshop(atlas.path, tiny_folder)

    def fail(job: TicketJob, done: int) -> None:
        raise AssertionError("a training step was run")

    assert not workshop.make(_job(), fail)


def test_same_inputs_and_seed_same_content_hash(atlas: Atlas, tiny_folder: Path, tmp_path: Path) -> None:
    workshop = _workshop(tmp_path / "again", tiny_folder)
    for method in METHODS:
        workshop.make(_job(method), _ignore)
        assert _ticket(workshop.atlas, method).content_hash == _ticket(atlas, method).content_hash


class _Halt(Exception):
    pass


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("after", [1, 3, 5, 10])
def test_a_stopped_run_ends_with_the_same_bits(
    atlas: Atlas, tiny_folder: Path, tmp_path: Path, method: str, after: int
) -> None:
    workshop = _workshop(tmp_path / "stopped", tiny_folder)
    if method == "random":
        workshop.make(_job("imp"), _ignore)
        after = min(after, 8)  # it trains no dense model: nine steps in all
    ran: list[int] = []

    def halt(job: TicketJob, done: int) -> None:
        if done >= after:
            raise _Halt

    with pytest.raises(_Halt):
        workshop.make(_job(method), halt)
    assert not workshop.atlas.has(_job(method).key)
    again = _workshop(tmp_path / "stopped", tiny_folder)
    again.make(_job(method), lambda job, done: ran.append(done))
    assert min(ran) > 3 * ((after - 1) // 3), "finished rounds were run again"
    assert _ticket(again.atlas, method).content_hash == _ticket(atlas, method).content_hash
    assert not list((tmp_path / "stopped" / "runs").iterdir())


def test_damaged_saved_rounds_are_one_sentence(tiny_folder: Path, tmp_path: Path) -> None:
    workshop = _workshop(tmp_path / "a", tiny_folder)

    def halt(job: TicketJob, done: int) -> None:
        if done >= 4:
            raise _Halt

    with pytest.raises(_Halt):
        workshop.make(_job(), halt)
    saved = next((tmp_path / "a" / "runs").rglob("rounds.safetensors"))
    data = bytearray(saved.read_bytes())
    data[-5] ^= 4
    saved.write_bytes(data)
    with pytest.raises(CorruptFile, match="delete that folder"):
        workshop.make(_job(), _ignore)


def test_saved_rounds_of_another_run_are_not_used(tmp_path: Path) -> None:
    layout = small_layout()
    progress = Progress(1, (Mask.full(layout),), (Score(0.0, "masked top-1", 0.25, 4, "test"),), 1.5)
    save_progress(tmp_path, "this run", progress)
    assert load_progress(tmp_path, "another run", layout) is None
    assert load_progress(tmp_path, "this run", layout) == progress


def test_saved_rounds_are_plain_safetensors(tmp_path: Path) -> None:
    """Any library reads what is written mask by mask, and what one wrote whole is read mask by mask."""
    layout = small_layout()
    masks = (Mask.full(layout), Mask.empty(layout))
    for progress in (Progress(), Progress(2, masks, (), 2.5)):
        save_progress(tmp_path, "run", progress)
        file = next(tmp_path.glob("*.safetensors"))
        words = load_file(file)["words"]
        assert words.dtype == np.uint64
        assert [row.tolist() for row in words] == [mask.words.tolist() for mask in progress.masks]
        with safe_open(file, framework="np") as opened:
            about = opened.metadata()
        save_file({"words": words}, file, metadata=about)
        assert load_progress(tmp_path, "run", layout) == progress


def test_a_flipped_byte_anywhere_in_saved_rounds_is_noticed(tmp_path: Path) -> None:
    layout = small_layout(layers=1, hidden=2)
    progress = Progress(1, (Mask.full(layout),), (Score(0.0, "masked top-1", 0.25, 4, "test"),), 1.5)
    save_progress(tmp_path, "run", progress)
    file = next(tmp_path.glob("*.safetensors"))
    sound = file.read_bytes()
    for place in range(len(sound)):
        damaged = bytearray(sound)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        try:
            found = load_progress(tmp_path, "run", layout)
        except CorruptFile:
            continue
        assert found == progress, f"byte {place} changed what is read"


def test_tickets_made_otherwise_are_refused_before_any_work(atlas: Atlas, tiny_folder: Path) -> None:
    workshop = _workshop(atlas.path, tiny_folder)
    with pytest.raises(LsnError, match="rounds"):
        workshop.make(_job(language="de", rounds=2), _ignore)
    assert not (atlas.path / "runs" / "mlm-de-imp-s0").exists()


def test_an_atlas_of_another_model_is_refused(atlas: Atlas, other_folder: Path) -> None:
    with pytest.raises(LsnError, match="another model"):
        _workshop(atlas.path, other_folder)


def _make_and_report(folder: str, model: str, results) -> None:
    results.put(_workshop(Path(folder), Path(model)).make(_job(), _ignore))


@pytest.mark.slow
def test_of_two_processes_one_computes_and_the_other_waits_and_uses_it(
    atlas: Atlas, tiny_folder: Path, tmp_path: Path
) -> None:
    context = mp.get_context("spawn")
    results = context.Queue()
    folder = tmp_path / "shared"
    workers = [
        context.Process(target=_make_and_report, args=(str(folder), str(tiny_folder), results))
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    assert sorted(results.get(timeout=120) for _ in workers) == [False, True]
    for worker in workers:
        worker.join(timeout=60)
    assert _ticket(Atlas.open(folder), "imp").content_hash == _ticket(atlas, "imp").content_hash


def test_provenance_says_how_a_ticket_was_made(atlas: Atlas) -> None:
    provenance = _ticket(atlas, "imp").provenance
    assert provenance["model"]["name"] == "tiny"
    assert provenance["data"]["name"] == "cldr"
    assert provenance["recipe"]["training"]["steps"] == 3
    assert set(provenance["versions"]) >= {"torch", "transformers", "babel"}
    assert "/" not in json.dumps(provenance["model"])


def test_survival_counts_levels(atlas: Atlas) -> None:
    survival = _ticket(atlas, "imp").survival
    assert np.bincount(survival, minlength=4).sum() == atlas.layout.size
    assert survival.max() == 3
