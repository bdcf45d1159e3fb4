"""Heads of different patterns in one index attend to what each of their own would."""

from __future__ import annotations

import pytest
import torch

from kernels import ArgumentError, BlockIndex
from kernels.combine import choose_heads


def test_each_head_keeps_its_own_pattern() -> None:
    lines = BlockIndex.vertical_slash(
        torch.randint(0, 900, (1, 4, 7)).sort(-1).values.int(),
        torch.randint(0, 900, (1, 4, 5)).int(),
        q_len=300,
        kv_len=900,
    )
    blocks = BlockIndex.from_mask(torch.rand(1, 4, 3, 8) < 0.4, q_len=300, kv_len=900)
    second = torch.tensor([False, True, True, False])
    both = choose_heads(second, lines, blocks)
    both.validate()
    want = torch.where(second.view(1, 4, 1, 1), blocks.to_mask(), lines.to_mask())
    assert torch.equal(both.to_mask(), want)
    shared = choose_heads(second, lines, BlockIndex.dense(300, 900))
    assert torch.equal(shared.to_mask()[0, 1], BlockIndex.dense(300, 900).to_mask()[0, 0])


def test_indices_of_other_shapes_do_not_mix() -> None:
    with pytest.raises(ArgumentError, match="kv_len 800"):
        choose_heads(torch.tensor([True]), BlockIndex.dense(300, 900), BlockIndex.dense(300, 800))
