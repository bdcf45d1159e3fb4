"""On a GPU a step is a captured graph, and pages are read from host memory: both give what reading the tokens gives."""

from __future__ import annotations

import pytest
import torch

if not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)

from engine.decode.decoding import Decoding
from engine.kv.cache import KVCache
from engine.kv.host_cache import HostCache
from engine.kv.prefix import HostPrefix, Prefix, ResidentPrefix
from engine.policies import Dense
from engine.prefill.attention import Attending
from engine.prefill.prefill import prefill_segment
from engine.prefill.spans import chunk_spans
from tests.benchmarks.answering import language_model

pytestmark = pytest.mark.gpu
PREFIX = 2000
TOKENS = torch.randint(0, 1000, (PREFIX + 64,), generator=torch.Generator().manual_seed(2)).tolist()


@pytest.fixture(scope="module")
def model():  # type: ignore[no-untyped-def]
    return language_model("small", 4096)


def kept(model, place: str) -> Prefix:  # type: ignore[no-untyped-def]
    f = model.fingerprint
    make = HostCache if place == "host" else KVCache.empty
    cache = make(f.layers, f.kv_heads, f.head_dim, capacity=PREFIX, dtype=model.dtype, device=model.device)
    prefill_segment(model.decoder, cache, TOKENS[:PREFIX], chunk_spans(PREFIX, 512), attends=Attending(Dense()))
    return HostPrefix(cache, pages=1000) if isinstance(cache, HostCache) else ResidentPrefix(cache)


@pytest.mark.parametrize(("place", "allowed"), [("device", 0.05), ("host", 0.1)])
def test_captured_steps_give_the_logits_of_reading(model, place: str, allowed: float) -> None:  # type: ignore[no-untyped-def]
    whole = Decoding(model, kept(model, "device"), capacity=64)
    decoding = Decoding(model, kept(model, place), batch=3, capacity=64)
    decoding.read_together([0, 2], [TOKENS[PREFIX : PREFIX + 4], TOKENS[PREFIX : PREFIX + 20]])
    decoding.going([0, 2])
    for i in range(8):  # the first runs as it is, the second is captured, the rest replayed
        logits = decoding.step([TOKENS[PREFIX + 4 + i], 0, TOKENS[PREFIX + 20 + i]]).clone()
        for slot, read in ((0, 5 + i), (2, 21 + i)):
            whole.tails.take(0, 0)
            expected = whole.read(0, TOKENS[PREFIX : PREFIX + read])
            assert (logits[slot] - expected).norm() / expected.norm() <= allowed, (i, slot)
    assert decoding.tails.filled.tolist() == [12, 0, 28]
