"""Blocks beside columns: each row gets the share it was promised, from the fewest blocks, the same ones each time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kernels import ArgumentError, choose_blocks
from kernels.reference.choose_blocks import choose_blocks as reference
from tests.kernels.cases import INTERPRETED, PLACES, poison, use

# queries, keys, edge of a row, block, columns
CASES = [(500, 700, 128, 128, 40), (300, 2000, 64, 32, 100), (64, 4100, 64, 64, 0), (512, 513, 256, 128, 1)]
LONG = [(2048, 131072, 128, 128, 1024), (1024, 1 << 20, 256, 128, 700)]


def drawn(case: tuple[int, int, int, int, int], device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """scores, held, columns and how many of them, for two heads: columns hold part of what their blocks do."""
    queries, keys, edge, block, capacity = case
    rows, blocks = -(-queries // edge), -(-keys // block)
    torch.manual_seed(1)
    columns = torch.stack([torch.randperm(keys)[:capacity].sort().values for _ in range(2)]).int().unsqueeze(0)
    counts = torch.tensor([[capacity, capacity // 2]], dtype=torch.int32)
    used = torch.arange(capacity) < counts.unsqueeze(-1)
    held = torch.rand(1, 2, rows, capacity) * 0.01 * used.unsqueeze(2)
    scores = torch.rand(1, 2, rows, blocks) ** 8
    scores.scatter_add_(-1, (columns.long() // block).unsqueeze(2).expand(held.shape), held)
    return scores.to(device), held.to(device), columns.to(device), counts.to(device)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("neighbours", [0.0, 0.5])
@pytest.mark.parametrize("case", CASES if INTERPRETED else CASES + LONG, ids=str)
def test_each_row_gets_its_share_from_the_fewest_blocks(
    place: str, case: tuple[int, int, int, int, int], neighbours: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = use(place, monkeypatch)
    queries, keys, edge, block, _ = case
    scores, held, columns, counts = drawn(case, device)
    aim = torch.tensor([[0.9, 0.6]], device=device)
    sizes = {"q_len": queries, "kv_len": keys, "edge": edge, "block": block, "neighbours": neighbours}
    poison(device)
    starts, many = choose_blocks(scores, held, columns, counts, aim, **sizes)
    want, want_many = reference(scores, held, columns, counts, aim, **sizes)
    assert (many - want_many).abs().max() <= 1  # sums in another order, right at the goal
    same = 0
    for head in range(2):
        for row in range(scores.shape[2]):
            got = starts[0, head, row, : many[0, head, row]].tolist()
            assert got == sorted(set(got))
            first = keys - queries + row * edge
            last = min(first + edge, keys) - 1
            assert {0, first // block * block, last // block * block} <= set(got)
            assert got[-1] <= last
            same += got == want[0, head, row, : want_many[0, head, row]].tolist()
    assert same >= 0.9 * many.numel()


@pytest.mark.parametrize("place", PLACES)
def test_the_same_scores_give_the_same_lists(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(place, monkeypatch)
    scores, held, columns, counts = drawn((500, 700, 128, 32, 200), device)
    aim = torch.full((1, 2), 0.95, device=device)
    runs = []
    for _ in range(3):
        starts, many = choose_blocks(scores, held, columns, counts, aim, q_len=500, kv_len=700, block=32)
        valid = torch.arange(starts.shape[-1], device=device) < many.unsqueeze(-1)
        runs.append(starts.masked_fill(~valid, -1))
    assert torch.equal(runs[0], runs[1])
    assert torch.equal(runs[0], runs[2])


def test_scores_must_fit_the_queries_and_keys() -> None:
    scores, held, columns, counts = drawn((500, 700, 128, 128, 40), torch.device("cpu"))
    with pytest.raises(ArgumentError, match="4 rows and 8 blocks"):
        choose_blocks(scores, held, columns, counts, torch.ones(1, 2), q_len=500, kv_len=900)
    with pytest.raises(ArgumentError, match="held"):
        choose_blocks(scores, held[..., 1:], columns, counts, torch.ones(1, 2), q_len=500, kv_len=700)
