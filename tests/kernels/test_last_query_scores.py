"""Column and diagonal sums of the last queries' attention: what a literal walk over the matrix gives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kernels import ArgumentError, last_query_scores
from tests.kernels.cases import INTERPRETED, PLACES, attention_inputs, dtypes, poison, use

SHAPES = [(1, 4, 2, 64, 300, 64), (2, 2, 1, 1, 129, 64), (1, 2, 2, 17, 17, 80), (1, 1, 1, 128, 500, 128)]
LONG = [(1, 7, 1, 64, 4097, 64), (1, 2, 2, 100, 1000, 96), (1, 2, 1, 64, 2000, 256)]


def walked(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """Both sums, diagonal by diagonal."""
    q, k = q.double(), k.double().repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    last, keys = q.shape[2], k.shape[2]
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    causal = torch.ones(last, keys, dtype=torch.bool, device=q.device).tril(keys - last)
    weights = scores.masked_fill(~causal, -torch.inf).softmax(-1)
    diagonals = [weights.diagonal(keys - last - distance, dim1=-2, dim2=-1).sum(-1) for distance in range(keys)]
    return weights.sum(-2), torch.stack(diagonals, -1)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("shape", SHAPES if INTERPRETED else SHAPES + LONG, ids=str)
def test_sums_are_those_of_the_attention_matrix(
    place: str, shape: tuple[int, int, int, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = use(place, monkeypatch)
    for dtype in dtypes(place):
        q, k, _ = attention_inputs(shape, device, dtype)
        poison(device)
        got = last_query_scores(q, k)
        for sums, want in zip(got, walked(q, k), strict=True):
            assert sums.dtype == torch.float32
            torch.testing.assert_close(sums.double(), want, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("place", PLACES)
def test_the_same_input_gives_the_same_bits(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(place, monkeypatch)
    q, k, _ = attention_inputs((1, 4, 2, 64, 700, 64), device, dtypes(place)[0])
    first, second = last_query_scores(q, k), last_query_scores(q, k)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_too_many_queries_are_refused() -> None:
    with pytest.raises(ArgumentError, match="at most 128"):
        last_query_scores(torch.randn(1, 1, 129, 64), torch.randn(1, 1, 200, 64))
