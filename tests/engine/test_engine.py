"""Engine and store together: read once, restored bit for bit, resumed where it stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.context import Context
from engine.decode.sampling import Sampling
from engine.engine import Engine
from engine.errors import Cancelled
from engine.events import CancelToken, Progress
from engine.models.model import LanguageModel
from engine.policies import Auto, Streaming
from engine.store import Store
from tests.texts import long_text

CORPUS = (Path(__file__).parents[2] / "data" / "samples" / "handbook.md").read_text()


def same_kv(a: Context, b: Context) -> bool:
    layers = range(len(a.cache.layers))
    return all(torch.equal(x, y) for i in layers for x, y in zip(a.cache.layer(i), b.cache.layer(i), strict=True))


def test_restored_kv_is_bit_identical_to_the_computed_one(
    default_language_model: LanguageModel, tmp_path: Path
) -> None:
    ids = default_language_model.encode(CORPUS)
    store = Store(tmp_path / "store")
    first = Engine(default_language_model, store=store, chunk_tokens=128).context(ids)
    again = Engine(default_language_model, store=store, chunk_tokens=128).context(ids)
    assert (first.stats.cached_tokens, again.stats.cached_tokens) == (0, len(ids))
    assert same_kv(first, again)
    store.close()


def test_an_interrupted_prefill_resumes_at_its_last_segment(
    default_language_model: LanguageModel, tmp_path: Path
) -> None:
    ids, token = default_language_model.encode(CORPUS), CancelToken()
    store = Store(tmp_path / "store")
    engine = Engine(default_language_model, store=store, chunk_tokens=64, segment_tokens=128)

    def stop(event: Progress) -> None:
        if event.done > 200:
            token.cancel()

    with pytest.raises(Cancelled):
        engine.context(ids, cancel=token, on_progress=stop)
    resumed = engine.context(ids)
    assert resumed.stats.cached_tokens == 128
    whole = Engine(default_language_model, chunk_tokens=64, segment_tokens=128).context(ids)
    assert same_kv(resumed, whole)
    store.close()


def test_after_a_damaged_chunk_the_rest_is_computed_and_the_answer_is_the_same(
    default_language_model: LanguageModel, tmp_path: Path
) -> None:
    ids = default_language_model.encode(CORPUS)
    store = Store(tmp_path / "store")
    engine = Engine(default_language_model, store=store, chunk_tokens=128)
    first = engine.context(ids)
    store.flush()
    newest = max(store.root.glob("chunks/*/*.kv"), key=lambda p: p.stat().st_mtime_ns)
    data = bytearray(newest.read_bytes())
    data[-1] ^= 255
    newest.write_bytes(data)
    again = engine.context(ids)
    assert 0 < again.stats.cached_tokens < len(ids)
    assert "damaged" in str(again.stats.miss_reason)
    assert same_kv(first, again)
    tail = default_language_model.encode("\nThe warden is")
    texts = ["".join(engine.generate(c, tail, sampling=Sampling(max_new_tokens=6))) for c in (first, again)]
    assert texts[0] == texts[1]
    store.close()


def test_another_policy_or_chunk_size_never_gets_these_states(
    default_language_model: LanguageModel, tmp_path: Path
) -> None:
    ids = default_language_model.encode(CORPUS)
    store = Store(tmp_path / "store")
    Engine(default_language_model, store=store, chunk_tokens=128).context(ids)
    store.flush()
    other_chunks = Engine(default_language_model, store=store, chunk_tokens=64).context(ids)
    other_policy = Engine(
        default_language_model, store=store, chunk_tokens=128, policy=Streaming(sink=16, local=64)
    ).context(ids)
    assert other_chunks.stats.cached_tokens == other_policy.stats.cached_tokens == 0
    assert "chunk_tokens is 64" in str(other_chunks.stats.miss_reason)
    store.close()


def test_a_store_that_refuses_costs_nothing_but_the_next_start(
    default_language_model: LanguageModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "store")
    chunks = tmp_path / "store" / "chunks"
    chunks.rmdir()
    chunks.write_text("in the way")
    context = Engine(default_language_model, store=store, chunk_tokens=128).context(
        default_language_model.encode(CORPUS)
    )
    assert context.cache.length == len(context.tokens)
    store.flush()
    assert caplog.text.count("did not take") == 1
    assert store.saving.failed > 1
    store.close()


def test_a_sparse_context_says_what_it_kept(default_language_model: LanguageModel) -> None:
    engine = Engine(default_language_model, policy=Auto(0.95, minimum=512), chunk_tokens=512)
    tokens = default_language_model.encode(long_text("prose")[:9000])[:1600]
    stats = engine.context(tokens).stats
    assert stats.density is not None
    assert stats.density < 0.95
    assert stats.recall is not None
    assert 0.9 < stats.recall < 1
    assert Engine(default_language_model, chunk_tokens=512).context(tokens[:600]).stats.recall is None
