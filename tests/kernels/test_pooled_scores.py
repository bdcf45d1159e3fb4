"""Pooling: means of blocks, and the attention between them."""

from __future__ import annotations

import torch

from kernels import pool, pooled_scores


def test_pooling_takes_the_mean_of_each_block_and_of_the_rest() -> None:
    x = torch.randn(2, 3, 300, 8)
    means = pool(x, 128)
    assert means.shape == (2, 3, 3, 8)
    torch.testing.assert_close(means[:, :, 1], x[:, :, 128:256].mean(2))
    torch.testing.assert_close(means[:, :, 2], x[:, :, 256:].mean(2))
    torch.testing.assert_close(pool(x[:, :, :100], 128), x[:, :, :100].mean(2, keepdim=True))


def test_a_block_of_queries_sees_the_blocks_up_to_its_own() -> None:
    q, k = torch.randn(1, 4, 2, 16), torch.randn(1, 2, 5, 16)
    scores = pooled_scores(q, k)
    assert (scores[:, :, 0, 4] == 0).all()
    torch.testing.assert_close(scores.sum(-1), torch.ones(1, 4, 2))
    want = (q[0, 3, 1] @ k[0, 1].T / 4).softmax(-1)
    torch.testing.assert_close(scores[0, 3, 1], want)
