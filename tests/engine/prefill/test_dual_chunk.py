"""Dual chunk attention: the same as turning every query and key anew for every pair of chunks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config
from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding

from engine.decode.decoding import BehindPrefix
from engine.decode.sampling import Sampling
from engine.engine import Engine
from engine.kv.cache import KVCache
from engine.kv.prefix import ResidentPrefix
from engine.models.model import LanguageModel
from engine.policies import Dense, policy_by_name
from engine.prefill import dual_chunk
from engine.prefill.attention import Attending
from engine.prefill.dual_chunk import DualChunk, DualChunkAttending
from kernels import BlockIndex, rotate

SIZE, LOCAL, TOKENS, HEADS, KV_HEADS, DIM = 96, 32, 300, 4, 2, 64
CHUNK = SIZE - LOCAL
SMALL = {
    "hidden_size": HEADS * DIM,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "max_position_embeddings": 4096,
    "pad_token_id": None,
}


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return str(request.param)


@pytest.fixture
def rotary(device: str) -> Qwen2RotaryEmbedding:
    return Qwen2RotaryEmbedding(Qwen2Config(**SMALL)).to(device)


@pytest.fixture
def heads(device: str) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    q, k, v = (torch.randn(1, h, TOKENS, DIM, generator=generator).to(device) for h in (HEADS, KV_HEADS, KV_HEADS))
    return q, k, v


def at(rotary: Qwen2RotaryEmbedding, x: Tensor, positions: Tensor) -> Tensor:
    turned = x.transpose(1, 2).contiguous()
    rotate(turned, *rotary(x, position_ids=positions[None]))
    return turned.transpose(1, 2)


def literal(rotary: Qwen2RotaryEmbedding, q: Tensor, k: Tensor, v: Tensor, factor: float = 1.0) -> Tensor:
    """The definition: for each pair of chunks, queries and keys at their remapped positions; one softmax over all."""
    place = torch.arange(TOKENS, device=q.device)
    inside, chunk = place % CHUNK, place // CHUNK
    keys = at(rotary, k, inside).repeat_interleave(HEADS // KV_HEADS, 1)
    targets = (inside, (inside + CHUNK).clamp_max(SIZE), torch.full_like(place, min(2 * CHUNK - 1, SIZE)))
    own, before, earlier = (at(rotary, q, t) @ keys.transpose(-1, -2) for t in targets)
    back = chunk.unsqueeze(1) - chunk.unsqueeze(0)
    scores = torch.where(back == 0, own, torch.where(back == 1, before, earlier)) * factor / math.sqrt(DIM)
    scores = scores.masked_fill(place.unsqueeze(0) > place.unsqueeze(1), -torch.inf)
    return scores.softmax(-1) @ v.repeat_interleave(HEADS // KV_HEADS, 1)


def turned_as_cached(rotary: Qwen2RotaryEmbedding, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and keys as the model's layer hands them over: at their true positions."""
    place = torch.arange(TOKENS, device=q.device)
    return at(rotary, q, place), at(rotary, k, place)


@pytest.mark.parametrize("step", [300, 128, 50])
@pytest.mark.parametrize("original", [0, 100])
def test_prefill_in_any_chunks_follows_the_definition(
    rotary: Qwen2RotaryEmbedding, heads: tuple[Tensor, Tensor, Tensor], step: int, original: int
) -> None:
    q, k, v = heads
    dual = DualChunk(rotary, chunk_size=SIZE, local_size=LOCAL, original=original)
    attends = DualChunkAttending(Attending(Dense()), dual)
    cached_q, cached_k = turned_as_cached(rotary, q, k)
    for start in range(0, TOKENS, step):
        end = min(start + step, TOKENS)
        got, _ = attends.attend(0, cached_q[:, :, start:end], cached_k[:, :, :end], v[:, :, :end], None)
        grown = max(1.0, 0.1 * math.log(end / original) + 1) if original else 1.0
        want = literal(rotary, q, k, v, grown)[:, :, start:end]
        assert (got - want).abs().max() <= 1e-4


def test_a_question_behind_a_long_prefix_follows_the_definition(
    rotary: Qwen2RotaryEmbedding, heads: tuple[Tensor, Tensor, Tensor]
) -> None:
    q, k, v = heads
    base = 290  # the last chunk of positions begins at 256
    dual = DualChunk(rotary, chunk_size=SIZE, local_size=LOCAL, original=0)
    cached_q, cached_k = turned_as_cached(rotary, q, k)
    cache = KVCache([(cached_k[:, :, :base].contiguous(), v[:, :, :base].contiguous())])
    cache.fill(base)
    want = literal(rotary, q, k, v)[:, :, base:]
    reading = BehindPrefix(ResidentPrefix(cache), dual=dual)
    got, _ = reading.attend(0, cached_q[:, :, base:], cached_k[:, :, base:], v[:, :, base:], None)
    assert (got - want).abs().max() <= 1e-4
    lengths = torch.tensor([TOKENS - base], dtype=torch.int32, device=q.device)
    stepping = BehindPrefix(ResidentPrefix(cache), lengths, dual=dual)
    got, _ = stepping.attend(0, cached_q[:, :, -1:], cached_k[:, :, base:], v[:, :, base:], None)
    assert (got - want[:, :, -1:]).abs().max() <= 1e-4


def test_a_sparse_policy_that_takes_every_block_gives_dense(
    rotary: Qwen2RotaryEmbedding, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dual_chunk, "NEAR", 128)
    generator = torch.Generator().manual_seed(6)
    q, k, v = (torch.randn(1, h, 1500, DIM, generator=generator).to(device) for h in (HEADS, KV_HEADS, KV_HEADS))
    dual = DualChunk(rotary, chunk_size=768, local_size=256, original=0)
    dense, _ = DualChunkAttending(Attending(Dense()), dual).attend(0, q, k, v, None)
    all_blocks = Attending(policy_by_name("blocks:density=1.0"))
    sparse, _ = DualChunkAttending(all_blocks, dual).attend(0, q, k, v, None)
    assert (sparse - dense).abs().max() <= 1e-4
    few, _ = DualChunkAttending(Attending(policy_by_name("blocks:density=0.2")), dual).attend(0, q, k, v, None)
    assert (few - dense).norm() > 0.1


def test_an_index_cut_short_keeps_what_lies_before() -> None:
    columns = torch.tensor([[[3, 500, 800]]], dtype=torch.int32)
    index = BlockIndex.vertical_slash(
        columns, torch.tensor([[[0, 130, 700]]], dtype=torch.int32), q_len=256, kv_len=1024
    )
    cut = index.before(512)
    cut.validate()
    whole, part = index.to_mask()[0, 0], cut.to_mask()[0, 0]
    assert not part[:, 512:].any()
    assert not (part & ~whole).any()
    lost = (whole[:, :512] & ~part[:, :512]).nonzero()
    assert (lost[:, 1] >= 512 - 127).all()  # only blocks that reach beyond


def test_a_model_whose_config_asks_for_it_answers_beyond_one_chunk(tmp_path: Path, default_model_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(default_model_path)
    chunked = {"chunk_size": 256, "local_size": 64, "original_max_position_embeddings": 256}
    config = Qwen2Config(**SMALL, vocab_size=len(tokenizer), dual_chunk_attention_config=chunked)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = LanguageModel.load(str(tmp_path), dtype="float32", device="cpu", home=tmp_path)
    assert model.dual_chunk is not None
    assert model.dual_chunk.chunk == 192
    tokens = torch.randint(0, 40000, (700,), generator=torch.Generator().manual_seed(1)).tolist()
    small, large = Engine(model, chunk_tokens=64), Engine(model, chunk_tokens=256)
    answers = []
    for engine in (small, large):
        generation = engine.generate(engine.context(tokens), tokens[:7], sampling=Sampling(max_new_tokens=4))
        list(generation)
        answers.append(generation.token_ids)
    assert all(len(answer) == 4 for answer in answers)
