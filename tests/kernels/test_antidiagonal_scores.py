"""Antidiagonal block scores: what the definition gives, position by position."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kernels import ArgumentError, antidiagonal_scores
from tests.kernels.cases import INTERPRETED, PLACES, attention_inputs, dtypes, poison, use

# (batch, heads, KV heads, queries, keys, head dim), stride, block
CASES = [
    ((1, 2, 1, 256, 256, 64), 16, 128),
    ((1, 2, 2, 128, 384, 64), 8, 64),
    ((2, 2, 1, 100, 292, 64), 4, 32),
    ((1, 1, 1, 130, 1010, 80), 16, 128),
]
LONG = [((1, 8, 2, 2048, 2048, 128), 16, 128), ((1, 4, 4, 1000, 4072, 128), 8, 128), ((1, 2, 1, 512, 2048, 96), 16, 64)]


def by_definition(q: Tensor, k: Tensor, stride: int, block: int) -> Tensor:
    """Sum the scores on the antidiagonal of each stride x stride tile, soften rows, sum blocks."""
    q, k = q.double(), k.double().repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    q_len, kv_len = q.shape[2], k.shape[2]
    scores = torch.nn.functional.pad(q @ k.transpose(-1, -2), (0, -kv_len % block, 0, -q_len % block))
    tiles = scores.unflatten(2, (-1, stride)).unflatten(4, (-1, stride))  # [B, H, rows, S, columns, S]
    strided = sum(tiles[:, :, :, stride - 1 - i, :, i] for i in range(stride)) / (q.shape[-1] ** 0.5 * stride)
    rows, columns = strided.shape[2:]
    before = (kv_len - q_len) // stride
    seen = torch.ones(rows, columns, dtype=torch.bool, device=q.device).tril(before)
    weights = strided.masked_fill(~seen, -torch.inf).softmax(-1)
    weights[:, :, -(-q_len // stride) :] = 0
    edge = block // stride
    return weights.unflatten(2, (-1, edge)).unflatten(4, (-1, edge)).sum((3, 5))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("case", CASES if INTERPRETED else CASES + LONG, ids=str)
def test_scores_are_those_of_the_definition(
    place: str, case: tuple[tuple[int, int, int, int, int, int], int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, stride, block = case
    device = use(place, monkeypatch)
    for dtype in dtypes(place):
        q, k, _ = attention_inputs(shape, device, dtype)
        poison(device)
        got = antidiagonal_scores(q, k, stride=stride, block=block)
        tolerance = 2e-5 if dtype == torch.float32 else 5e-3
        torch.testing.assert_close(got.double(), by_definition(q, k, stride, block), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("place", [p for p in PLACES if p.values != ("cpu",)])
def test_slabs_do_not_change_scores(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(place, monkeypatch)
    q, k, _ = attention_inputs((1, 2, 1, 200, 264, 64), device, dtypes(place)[0])
    whole = antidiagonal_scores(q, k, stride=8, block=32)
    monkeypatch.setattr("kernels.triton.antidiagonal_scores.ROOM", 3000)
    assert torch.equal(antidiagonal_scores(q, k, stride=8, block=32), whole)


def test_a_chunk_must_begin_at_a_stride() -> None:
    with pytest.raises(ArgumentError, match="multiple of the stride"):
        antidiagonal_scores(torch.randn(1, 1, 16, 64), torch.randn(1, 1, 25, 64))
    with pytest.raises(ArgumentError, match="power of two"):
        antidiagonal_scores(torch.randn(1, 1, 16, 64), torch.randn(1, 1, 16, 64), stride=12)
