"""Attention of sampled queries per block, per key and per column: what the whole attention matrix says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kernels import ArgumentError, column_scores, column_shares, sampled_lse, sampled_scores
from tests.kernels.cases import INTERPRETED, PLACES, attention_inputs, dtypes, poison, use

# (batch, heads, KV heads, samples, keys, head dim), block, per
CASES = [
    ((1, 4, 2, 9, 300, 64), 128, 1),
    ((2, 2, 1, 40, 500, 64), 64, 4),
    ((1, 2, 2, 1, 17, 80), 16, 1),
    ((1, 2, 1, 5, 257, 128), 128, 3),
]
LONG = [((1, 8, 2, 200, 4097, 128), 128, 2), ((1, 2, 2, 130, 1000, 96), 32, 8), ((1, 2, 1, 64, 2000, 256), 128, 1)]


def weights(q: Tensor, k: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Every sampled query's attention, and its lse, in float64."""
    k = k.double().repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    scores = q.double() @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    scores = scores.masked_fill(torch.arange(k.shape[2], device=k.device) > positions.unsqueeze(-1), -torch.inf)
    return scores.softmax(-1), scores.logsumexp(-1)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("case", CASES if INTERPRETED else CASES + LONG, ids=str)
def test_blocks_columns_and_lse_are_those_of_the_attention_matrix(
    place: str, case: tuple[tuple[int, int, int, int, int, int], int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, block, per = case
    device = use(place, monkeypatch)
    samples, keys = shape[3], shape[4]
    positions = torch.linspace(keys // 3, keys - 1, samples, device=device).int()
    for dtype in dtypes(place):
        q, k, _ = attention_inputs(shape, device, dtype)
        poison(device)
        scores, lse = sampled_scores(q, k, positions, block=block, per=per)
        want, want_lse = weights(q, k, positions)
        blocks = torch.nn.functional.pad(want, (0, -keys % block, 0, -samples % per))
        blocks = blocks.view(*shape[:2], -1, per, -(-keys // block), block).sum((3, 5))
        tolerance = 2e-5 if dtype == torch.float32 else 3e-3
        torch.testing.assert_close(scores.double(), blocks, atol=tolerance, rtol=tolerance)
        torch.testing.assert_close(lse.double(), want_lse, atol=1e-4 if dtype == torch.float32 else 3e-3, rtol=1e-4)
        torch.testing.assert_close(sampled_lse(q, k, positions), lse, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("case", CASES if INTERPRETED else CASES + LONG, ids=str)
def test_scores_and_shares_of_columns_are_those_of_the_attention_matrix(
    place: str, case: tuple[tuple[int, int, int, int, int, int], int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, block, _ = case
    device = use(place, monkeypatch)
    batch, heads, _, samples, keys, _ = shape
    positions = torch.linspace(keys // 3, keys - 1, samples, device=device).int()
    numbers = torch.arange(-(-keys // block) + 1, device=device, dtype=torch.int32)[::2]  # the last may not exist
    columns = torch.arange(0, keys, 3, device=device, dtype=torch.int32)
    counts = torch.arange(batch * heads, device=device, dtype=torch.int32).view(batch, heads) + columns.numel() // 2
    used = torch.arange(columns.numel(), device=device) < counts.view(batch, heads, 1, 1)
    for dtype in dtypes(place):
        q, k, _ = attention_inputs(shape, device, dtype)
        want, lse = weights(q, k, positions)
        tolerance = 2e-5 if dtype == torch.float32 else 3e-3
        poison(device)
        blocks = numbers.expand(batch, heads, -1)
        scores = column_scores(q, k, positions, lse.float(), blocks, block=block)
        whole = torch.nn.functional.pad(want.sum(2), (0, 2 * block))
        at = (numbers.long().unsqueeze(-1) * block + torch.arange(block, device=device)).flatten()
        torch.testing.assert_close(scores.double(), whole[:, :, at], atol=tolerance, rtol=tolerance)
        for per in (1, 4):
            listed = columns.expand(batch, heads, -1)
            shares = column_shares(q, k, positions, lse.float(), listed, counts, per=per)
            held = torch.nn.functional.pad(want[..., ::3] * used, (0, 0, 0, -samples % per))
            held = held.view(batch, heads, -1, per, columns.numel()).sum(3)
            torch.testing.assert_close(shares.double(), held, atol=tolerance, rtol=tolerance)


def test_positions_must_fit_the_samples() -> None:
    q, k = torch.randn(1, 2, 3, 64), torch.randn(1, 2, 50, 64)
    with pytest.raises(ArgumentError, match="positions"):
        sampled_scores(q, k, torch.tensor([1, 2], dtype=torch.int32))
