"""KV kept as e4m3 pages in host memory comes back from the store as attention read it, byte for byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.context import Context
from engine.decode.sampling import Sampling
from engine.engine import Engine
from engine.errors import StoreError
from engine.kv.host_cache import PAGE, HostCache
from engine.kv.memory_plan import MemoryPlan
from engine.models.model import LanguageModel
from engine.store import Store
from engine.store.pages import Pages, layout
from engine.store.restore import Restorer
from tests.engine.store.samples import chunk_files, flip

TOKENS = torch.randint(0, 40000, (500,), generator=torch.Generator().manual_seed(3)).tolist()


@pytest.fixture(scope="module")
def model(random_models: dict[str, Path]) -> LanguageModel:
    return LanguageModel.load(str(random_models["llama"]), dtype="float32", device="cpu", home=random_models["llama"])


@pytest.fixture
def engine(model: LanguageModel, store: Store, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine whose every plan puts KV in host memory, as one does on a GPU that is too small."""
    monkeypatch.setattr(Engine, "plan", in_host_memory)
    return Engine(model, store=store, chunk_tokens=128)


def in_host_memory(engine: Engine, tokens: int) -> MemoryPlan:
    return MemoryPlan(tokens, "host", tokens, engine.chunk_tokens, 0, 0, 0)


def same(a: Context, b: Context, tokens: int) -> bool:
    """Whether two host caches hold the same bytes for their first tokens."""
    assert isinstance(a.cache, HostCache)
    assert isinstance(b.cache, HostCache)
    pages = -(-tokens // PAGE)
    return all(
        torch.equal(x.keys[:, :, :tokens].view(torch.uint8), y.keys[:, :, :tokens].view(torch.uint8))
        and torch.equal(x.values[:, :, :tokens].view(torch.uint8), y.values[:, :, :tokens].view(torch.uint8))
        and torch.equal(x.key_scales[..., :pages], y.key_scales[..., :pages])
        and torch.equal(x.value_scales[..., :pages], y.value_scales[..., :pages])
        and torch.equal(x.means[:, :, :pages], y.means[:, :, :pages])
        for x, y in zip(a.cache.kept, b.cache.kept, strict=True)
    )


@pytest.mark.parametrize("tokens", [64, 100, 128, 129, 500])
def test_what_is_restored_is_what_was_computed_and_answers_alike(engine: Engine, tokens: int) -> None:
    computed = engine.context(TOKENS[:tokens])
    restored = engine.context(TOKENS[:tokens])
    assert (computed.stats.cached_tokens, restored.stats.cached_tokens) == (0, tokens)
    assert same(computed, restored, tokens)
    greedy = Sampling(temperature=0, max_new_tokens=8)
    said = ["".join(engine.generate(c, TOKENS[:7], sampling=greedy)) for c in (computed, restored)]
    assert said[0] == said[1]


def test_a_longer_text_reads_on_behind_what_was_kept(engine: Engine) -> None:
    short, whole = engine.context(TOKENS[:256]), engine.context(TOKENS)
    assert whole.stats.cached_tokens == 256
    assert same(short, whole, 256)
    assert whole.cache.length == 500
    assert engine.context(TOKENS).stats.cached_tokens == 500


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_pages_come_in_runs_of_any_length(engine: Engine, store: Store, rows: int) -> None:
    computed = engine.context(TOKENS)
    store.flush()
    width = Pages(PAGE, torch.float32).row_bytes(engine.model.fingerprint.head_dim)
    store._lookup.restorer = Restorer(buffer_bytes=rows * width + 5)
    assert same(computed, engine.context(TOKENS), 500)


def test_pages_and_plain_states_never_meet(model: LanguageModel, engine: Engine, store: Store) -> None:
    engine.context(TOKENS)
    plain = Engine(model, store=store, chunk_tokens=128)
    assert plain.namespace.digest != engine.namespace_of(engine.plan(500)).digest
    difference = plain.namespace.difference(engine.namespace_of(engine.plan(500)).record())
    assert difference == "codec is 'float32', stored with 'pages64-float32'"


def test_a_damaged_page_is_a_miss_from_there_on(engine: Engine, store: Store) -> None:
    computed = engine.context(TOKENS)
    store.flush()
    (segment,) = [s for s in map(store._chunks.open, (p.stem for p in chunk_files(store))) if s.parent is None]
    flip(segment.path, segment.payload + 1000)
    again = engine.context(TOKENS)
    assert (again.stats.cached_tokens, again.stats.miss_reason) == (0, "tokens from 0 on were damaged on disk")
    assert same(computed, again, 500)


def test_bytes_on_disk_are_those_in_memory(engine: Engine, store: Store) -> None:
    context, f = engine.context(TOKENS[:128]), engine.model.fingerprint
    assert isinstance(context.cache, HostCache)
    assert context.cache.span(0, 128)[0].keys.data_ptr() == context.cache.kept[0].keys.data_ptr()
    store.flush()
    row = 2 * PAGE * f.head_dim + 8 + 4 * f.head_dim
    (segment,) = [store._chunks.open(p.stem) for p in chunk_files(store)]
    assert {place.length for place in segment.layers} == {2 * f.kv_heads * row}


def test_chunks_that_do_not_end_with_a_page_are_not_kept(model: LanguageModel, engine: Engine, store: Store) -> None:
    odd = Engine(model, store=store, chunk_tokens=100)
    odd.context(TOKENS)
    again = odd.context(TOKENS)
    assert (again.stats.cached_tokens, chunk_files(store)) == (0, [])
    assert again.stats.miss_reason == "pages of 64 tokens are not kept in chunks of 100"


def test_states_of_another_shape_are_refused(model: LanguageModel, engine: Engine, store: Store) -> None:
    context = engine.context(TOKENS[:128])
    namespace = replace(engine.namespace_of(engine.plan(128)), kv_heads=1)
    with pytest.raises(StoreError, match="was not kept"):
        store.save(namespace, None, TOKENS[:128], context.cache.span(0, 128))
    with pytest.raises(StoreError, match="no KV codec"):
        layout("pages64-int3")
