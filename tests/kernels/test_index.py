"""BlockIndex: what goes in comes out, and it stays small."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import ArgumentError, BlockIndex
from kernels.cover import cover_diagonals


def causal(q_len: int, kv_len: int) -> torch.Tensor:
    return torch.ones(q_len, kv_len, dtype=torch.bool).tril(kv_len - q_len)


@st.composite
def lengths(draw: st.DrawFn) -> tuple[int, int]:
    q_len = draw(st.integers(1, 150))
    return q_len, q_len + draw(st.integers(0, 100))


@settings(max_examples=60, deadline=None)
@given(lengths(), st.sampled_from([16, 32, 64]), st.sampled_from([16, 32]), st.integers(0, 2**31), st.floats(0, 1))
def test_a_block_mask_survives_the_round_trip(
    lens: tuple[int, int], q_block: int, k_block: int, seed: int, density: float
) -> None:
    q_len, kv_len = lens
    generator = torch.Generator().manual_seed(seed)
    shape = (2, 3, -(-q_len // q_block), -(-kv_len // k_block))
    mask = torch.rand(shape, generator=generator) < density
    index = BlockIndex.from_mask(mask, q_len=q_len, kv_len=kv_len, q_block=q_block, k_block=k_block)
    index.validate()
    pairs = mask.repeat_interleave(q_block, 2)[:, :, :q_len].repeat_interleave(k_block, 3)[..., :kv_len]
    assert torch.equal(index.to_mask(), pairs & causal(q_len, kv_len))


@settings(max_examples=60, deadline=None)
@given(lengths(), st.integers(0, 2**31), st.integers(0, 20), st.integers(0, 12))
def test_every_line_of_a_vertical_slash_pattern_is_attended(
    lens: tuple[int, int], seed: int, n_columns: int, n_diagonals: int
) -> None:
    q_len, kv_len = lens
    generator = torch.Generator().manual_seed(seed)
    columns = torch.randperm(kv_len, generator=generator)[:n_columns].view(1, 1, -1)
    diagonals = torch.randperm(kv_len, generator=generator)[:n_diagonals].view(1, 1, -1)
    index = BlockIndex.vertical_slash(columns, diagonals, q_len=q_len, kv_len=kv_len, q_block=32, k_block=32)
    index.validate()
    mask = index.to_mask()[0, 0]
    distance = torch.arange(q_len).unsqueeze(1) + kv_len - q_len - torch.arange(kv_len)
    lines = torch.isin(distance, diagonals) | torch.isin(torch.arange(kv_len), columns)
    assert (mask | ~(lines & causal(q_len, kv_len))).all()


@settings(max_examples=40, deadline=None)
@given(lengths(), st.integers(0, 2**31))
def test_density_counts_each_pair_once(lens: tuple[int, int], seed: int) -> None:
    q_len, kv_len = lens
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand((1, 2, -(-q_len // 32), -(-kv_len // 32)), generator=generator) < 0.4
    columns = torch.randperm(kv_len, generator=generator)[:9].sort().values.int().expand(1, 2, -1)
    index = BlockIndex.from_mask(mask, q_len=q_len, kv_len=kv_len, q_block=32, k_block=32, columns=columns)
    want = index.to_mask().sum() / (2 * causal(q_len, kv_len).sum())
    assert index.density() == pytest.approx(float(want), abs=1e-6)


def test_dense_is_everything_that_causality_allows() -> None:
    index = BlockIndex.dense(300, 700)
    assert torch.equal(index.to_mask()[0, 0], causal(300, 700))
    assert index.density() == 1.0


def test_streaming_keeps_the_sink_and_the_window() -> None:
    mask = BlockIndex.streaming(500, 900, sink=20, window=100).to_mask()[0, 0]
    distance = torch.arange(500).unsqueeze(1) + 400 - torch.arange(900)
    wanted = ((distance >= 0) & (distance < 100)) | (torch.arange(900) < 20)
    assert (mask | ~(wanted & causal(500, 900))).all()
    assert BlockIndex.streaming(500, 900, sink=20, window=100).density() < 0.6


def test_isolated_diagonals_take_one_block_each_and_runs_are_packed() -> None:
    starts, used = cover_diagonals(torch.tensor([[[1000, 5000, *range(256)]]]), q_block=128, k_block=128)
    assert used.item() == 2 + 3  # 256 diagonals need 383 keys
    assert starts[0, 0, :5].tolist() == [-5000, -1000, -255, -127, 1]


def test_counts_limit_columns_and_diagonals() -> None:
    columns, diagonals = torch.tensor([[[5, 90, 7]]]), torch.tensor([[[0, 64]]])
    one = torch.ones(1, 1, dtype=torch.int32)
    index = BlockIndex.vertical_slash(
        columns, diagonals, q_len=100, column_counts=one, diagonal_counts=one, q_block=32, k_block=32
    )
    assert index.columns[0, 0, : int(index.column_counts[0, 0])].tolist() == [5]
    assert index.row(0, 0, 3) == [96]


def test_a_million_tokens_at_five_percent_take_less_than_300_mb_per_layer() -> None:
    tokens, block, heads = 1 << 20, 128, 32
    mask = torch.rand(1, 1, tokens // block, tokens // block) < 0.05
    index = BlockIndex.from_mask(mask, q_len=tokens, kv_len=tokens)
    assert index.density() == pytest.approx(0.05, abs=0.002)
    assert index.nbytes * heads < 300e6
    slash = BlockIndex.vertical_slash(
        torch.arange(1000).expand(1, heads, -1), torch.arange(6096).expand(1, heads, -1), q_len=tokens
    )
    assert slash.nbytes < 10e6


@pytest.mark.parametrize(
    ("blocks", "complaint"), [([0, 64, 64], "overlapping"), ([64, 0, 128], "unsorted"), ([0, 8, 64], "overlapping")]
)
def test_validate_refuses_lists_the_kernels_cannot_read(blocks: list[int], complaint: str) -> None:
    lists, counts = torch.tensor(blocks).view(1, 1, 1, 3), torch.tensor([[[3]]])
    index = BlockIndex.from_lists(lists, counts, q_len=64, kv_len=256, q_block=64, k_block=64)
    with pytest.raises(ArgumentError, match=complaint):
        index.validate()


def test_validate_refuses_columns_out_of_order() -> None:
    mask = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    columns = torch.tensor([[[5, 3]]], dtype=torch.int32)
    with pytest.raises(ArgumentError, match="columns"):
        BlockIndex.from_mask(mask, q_len=64, kv_len=64, columns=columns).validate()


def test_an_index_of_the_wrong_shape_names_the_field() -> None:
    counts = torch.zeros(1, 1, 3, dtype=torch.int32)
    with pytest.raises(ArgumentError, match=r"offsets is of shape \[1, 1, 3\]; expected .*1\]"):
        BlockIndex.from_lists(torch.zeros(1, 1, 3, 4, dtype=torch.int32), counts, q_len=64, kv_len=64)
    with pytest.raises(ArgumentError, match="mask"):
        BlockIndex.from_mask(torch.ones(1, 1, 2, 2, dtype=torch.bool), q_len=64, kv_len=64)


def test_one_list_may_serve_several_rows() -> None:
    lists = torch.tensor([[[[0, 64, 0], [32, 96, 128]]]], dtype=torch.int32)
    counts = torch.tensor([[[2, 3]]], dtype=torch.int32)
    index = BlockIndex.from_lists(
        lists, counts, q_len=90, kv_len=160, q_block=32, k_block=32, rows_per_list=2, alignment=32
    )
    index.validate()
    assert [index.row(0, 0, r) for r in range(3)] == [[0, 64], [0, 64], [32, 96, 128]]
