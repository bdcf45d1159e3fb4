"""Restore or recompute: by what was measured, never for ever, and no answer depends on it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from engine.engine import Engine
from engine.models.model import LanguageModel
from engine.store import Store
from engine.store.files import File
from engine.store.planner import MARGIN, PASSES, SHORT, Pace, Plan
from tests.engine.store.samples import NAMESPACE, chunk_files, found, save_all

DIGEST, OTHER = NAMESPACE.digest, "0" * 64


def test_without_measurements_it_restores(store: Store) -> None:
    planner = store._planner
    assert planner.plan(DIGEST, 1000, 10**9) == Plan(None, None, True)
    planner.restored(DIGEST, 10**6, 100.0)
    assert planner.plan(DIGEST, 1000, 10**6) == Plan(100.0, None, True)


def test_it_restores_unless_computing_was_measured_clearly_faster(store: Store) -> None:
    planner = store._planner
    planner.restored(DIGEST, 10**9, 10.0)
    planner.computed(DIGEST, 1000, 10.0 / MARGIN)
    assert planner.plan(DIGEST, 1000, 10**9).restores
    planner.computed(DIGEST, 1000, 1.0)
    plan = planner.plan(DIGEST, 1000, 10**9)
    assert not plan.restores
    assert plan.restore_seconds == pytest.approx(10.0)
    assert plan.compute_seconds == pytest.approx((10.0 / MARGIN / 2 + 1) / 1.5)
    assert planner.plan(OTHER, 1000, 10**9).restores  # nothing is known of another model


def test_restoring_that_is_short_anyway_is_done_without_asking(store: Store) -> None:
    planner = store._planner
    planner.restored(DIGEST, 10**6, SHORT)
    planner.computed(DIGEST, 1000, SHORT / 100)
    assert planner.plan(DIGEST, 1000, 10**6).restores
    assert not planner.plan(DIGEST, 2000, 2 * 10**6).restores


def test_what_was_passed_over_is_tried_again_for_the_disk_may_be_faster(store: Store) -> None:
    planner = store._planner
    planner.restored(DIGEST, 10**6, 100.0)
    planner.computed(DIGEST, 1000, 1.0)
    turns = [planner.plan(DIGEST, 1000, 10**6).restores for _ in range(2 * (PASSES + 1))]
    assert turns == ([False] * PASSES + [True]) * 2


def test_paces_outlive_the_process_and_the_latest_count_most(store: Store) -> None:
    store._planner.restored(DIGEST, 10**6, 100.0)
    store._planner.computed(DIGEST, 1000, 1.0)
    store.close()
    again = Store(store.root)
    assert not again._planner.plan(DIGEST, 1000, 10**6).restores
    for _ in range(20):
        again._planner.restored(DIGEST, 10**6, 0.6)
    assert again._planner.plan(DIGEST, 1000, 10**6).restores
    assert Pace(8, 80).then(4, 4) == Pace(8, 44)
    again.close()


def test_every_whole_restore_is_measured(store: Store) -> None:
    save_all(store, range(64))
    assert found(store, range(64)) == 64
    paces = store._planner._paces(DIGEST)
    assert paces.restored.amount == 64 * 2 * 2 * 3 * 8 * 2  # tokens, layers, keys and values, heads, dim, bytes
    assert 0 < paces.restored.seconds < 10


def test_a_store_slower_than_the_model_is_passed_over_and_the_figures_stand_in_the_statistics(
    default_language_model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, store = default_language_model.encode("The hut opens in June. " * 20)[:64], Store(tmp_path / "store")
    engine = Engine(default_language_model, store=store, chunk_tokens=32)
    first = engine.context(ids)
    store.flush()
    read_at, slow = File.read_at, 4 * first.stats.prefill_seconds / 60 + 0.05

    def crawl(file: File, offset: int, buffer: memoryview) -> bool:
        time.sleep(slow)
        return read_at(file, offset, buffer)

    with monkeypatch.context() as crawling:
        crawling.setattr(File, "read_at", crawl)
        restored = engine.context(ids)
        passed = engine.context(ids)
    assert (restored.stats.cached_tokens, passed.stats.cached_tokens) == (64, 0)
    assert restored.stats.plan is not None
    assert restored.stats.plan.restore_seconds is None
    plan = passed.stats.plan
    assert plan is not None
    assert plan.restore_seconds > MARGIN * plan.compute_seconds  # type: ignore[operator]
    assert (passed.stats.miss_reason or "").startswith("computing is expected to be faster: ")
    for one, two in zip(restored.cache.span(0, 64), passed.cache.span(0, 64), strict=True):
        assert torch.equal(one[0], two[0])
        assert torch.equal(one[1], two[1])
    store.flush()
    assert len(chunk_files(store)) == 2  # what is there is not kept twice
    store.close()
