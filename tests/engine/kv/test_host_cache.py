"""KV kept as e4m3 pages in host memory: what prefill left in the resident cache, within e4m3's steps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.errors import Cancelled
from engine.events import CancelToken
from engine.kv.cache import KVCache
from engine.kv.host_cache import PAGE, HostCache
from engine.models.model import LanguageModel
from engine.policies import Dense
from engine.prefill.attention import Attending
from engine.prefill.prefill import prefill_segment
from engine.prefill.spans import chunk_spans
from kernels.fp8 import dequantize

TOKENS = torch.randint(0, 40000, (500,), generator=torch.Generator().manual_seed(3)).tolist()


@pytest.fixture(scope="module")
def model(random_models: dict[str, Path]) -> LanguageModel:
    return LanguageModel.load(str(random_models["llama"]), dtype="float32", device="cpu", home=random_models["llama"])


def host_cache(model: LanguageModel, capacity: int = 500) -> HostCache:
    f = model.fingerprint
    return HostCache(f.layers, f.kv_heads, f.head_dim, capacity=capacity, dtype=model.dtype, device=model.device)


def read(model: LanguageModel, cache: KVCache | HostCache, segment_chunks: int) -> torch.Tensor:
    spans = chunk_spans(len(TOKENS), 128)
    for i in range(0, len(spans), segment_chunks):
        part = spans[i : i + segment_chunks]
        tokens = TOKENS[part[0][0] : part[-1][1]]
        done = prefill_segment(model.decoder, cache, tokens, part, attends=Attending(Dense()))
    return model.logits(done)


def test_one_segment_computes_exactly_what_a_resident_cache_does(model: LanguageModel) -> None:
    resident, host = model.new_cache(len(TOKENS)), host_cache(model)
    assert torch.equal(read(model, host, 10), read(model, resident, 10))
    assert host.length == len(TOKENS)
    for i, kept in enumerate(host.kept):
        keys, values = resident.layer(i)
        for data, scale, want in ((kept.keys, kept.key_scales, keys), (kept.values, kept.value_scales, values)):
            got = dequantize(data, scale, torch.float32)[:, :, : len(TOKENS)]
            assert (got - want).norm() / want.norm() <= 0.03
        mean = keys[:, :, PAGE : 2 * PAGE].mean(2)
        torch.testing.assert_close(kept.means[:, :, 1], mean)


def test_a_later_segment_reads_what_the_earlier_ones_left_on_the_host(model: LanguageModel) -> None:
    whole, parts = host_cache(model), host_cache(model)
    expected, got = read(model, whole, 10), read(model, parts, 1)
    assert (got - expected).norm() / expected.norm() <= 0.05
    assert parts.length == len(TOKENS)


def test_a_cancelled_segment_leaves_what_was_committed(model: LanguageModel) -> None:
    cache, spans, cancel = host_cache(model), chunk_spans(len(TOKENS), 128), CancelToken()
    prefill_segment(model.decoder, cache, TOKENS[:256], spans[:2], attends=Attending(Dense()))
    before = cache.kept[1].keys[:, :, :256].clone()
    cancel.cancel()
    with pytest.raises(Cancelled):
        prefill_segment(model.decoder, cache, TOKENS[256:], spans[2:], attends=Attending(Dense()), cancel=cancel)
    assert cache.length == 256
    assert torch.equal(cache.kept[1].keys[:, :, :256].view(torch.uint8), before.view(torch.uint8))
    prefill_segment(model.decoder, cache, TOKENS[256:], spans[2:], attends=Attending(Dense()))
    assert cache.length == len(TOKENS)
