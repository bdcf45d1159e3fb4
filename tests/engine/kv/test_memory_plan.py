"""What fits is decided by arithmetic: each figure against the real allocation, and a refusal with its numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from engine import engine as engine_module
from engine.decode.sampling import Sampling
from engine.engine import Engine
from engine.errors import DoesNotFit
from engine.kv.host_cache import HostCache
from engine.kv.memory_plan import Memory, free_memory, plan_memory
from engine.models.fingerprint import ModelFingerprint
from engine.models.model import LanguageModel

GIB = 2**30
LLAMA = ModelFingerprint("8b", "w", "t", "r", "bfloat16", layers=32, heads=32, kv_heads=8, head_dim=128)
CONFIG = SimpleNamespace(hidden_size=4096, intermediate_size=14336)
H100 = Memory(62 * GIB, 122 * GIB)
SIZES = {"chunk_tokens": 32768, "segment_tokens": 131072}


def test_what_fits_on_the_device_stays_there() -> None:
    plan = plan_memory(LLAMA, CONFIG, 131072, H100, **SIZES)
    assert plan.placement == "device"
    assert plan.kv_bytes == 2 * 32 * 8 * 128 * 2 * 131072
    assert (plan.segment_tokens, plan.chunk_tokens) == (131072, 32768)
    measured = 19.9 * GIB  # peak of tests/benchmarks/prefill.py less the weights
    assert measured <= plan.device_bytes <= 1.15 * measured


def test_a_million_tokens_go_to_the_host_in_one_segment() -> None:
    plan = plan_memory(LLAMA, CONFIG, 1 << 20, H100, chunk_tokens=65536, segment_tokens=131072)
    assert plan.placement == "host"
    assert plan.segment_tokens == 1 << 20
    assert plan.host_bytes == 2 * 32 * 8 * 128 << 20
    measured = 25 * GIB
    assert measured <= plan.device_bytes <= 1.5 * measured


def test_smaller_segments_are_taken_where_memory_is_short() -> None:
    roomy = plan_memory(LLAMA, CONFIG, 131072, Memory(30 * GIB, 0), **SIZES)
    tight = plan_memory(LLAMA, CONFIG, 131072, Memory(23 * GIB, 0), **SIZES)
    assert tight.device_bytes < roomy.device_bytes
    assert tight.segment_tokens < roomy.segment_tokens
    assert tight.chunk_tokens == roomy.chunk_tokens  # it is part of what the session store keeps


def test_what_fits_nowhere_is_refused_with_the_numbers() -> None:
    with pytest.raises(DoesNotFit, match=r"1,048,576 tokens need at least .*10\.0 GiB are free") as caught:
        plan_memory(LLAMA, CONFIG, 1 << 20, Memory(10 * GIB, 20 * GIB), **SIZES)
    assert caught.value.host == 2 * 32 * 8 * 128 << 20


def test_an_engine_answers_from_the_host_where_the_device_is_too_small(
    random_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LanguageModel.load(str(random_models["llama"]), dtype="float32", device="cpu", home=random_models["llama"])
    engine = Engine(model, chunk_tokens=128)
    tokens = torch.randint(0, 40000, (600,), generator=torch.Generator().manual_seed(1)).tolist()
    suffix, sampling = tokens[:9], Sampling(max_new_tokens=6)
    near = engine.generate(engine.context(tokens), suffix, sampling=sampling)
    list(near)
    on_host = replace(engine.plan(600), placement="host")  # a model this small is never too large for the device
    monkeypatch.setattr(engine_module, "plan_memory", lambda *args, **sizes: on_host)
    context = engine.context(tokens)
    assert isinstance(context.cache, HostCache)
    far = engine.generate(context, suffix, sampling=sampling)
    list(far)
    assert far.token_ids[0] == near.token_ids[0]  # then e4m3 and random weights part ways
    assert len(far.token_ids) == 6


def test_free_memory_of_this_machine_is_real() -> None:
    memory = free_memory(torch.device("cpu"))
    assert 0 < memory.device < 1 << 50
    assert memory.host == 0
