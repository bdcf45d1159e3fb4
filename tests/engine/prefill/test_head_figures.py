"""What each head computed and kept, and what took how long: from real prefills, not from guesses."""

from __future__ import annotations

import pytest
import torch

from engine.engine import Engine
from engine.models.model import LanguageModel
from engine.policies import policy_by_name
from engine.policies.structured import structured_heads
from engine.prefill.attention import Attending
from engine.prefill.head_figures import head_figures
from kernels.density import attended_pairs, computed_share, computed_shares
from tests.conftest import SAMPLES

PARTS = {"index", "attention", "audit", "copies"}


def test_shares_of_groups_average_to_the_share_of_all_and_are_those_of_the_pairs() -> None:
    q, k, _ = structured_heads(2048, heads=4, kv_heads=2, dim=32, device="cpu", dtype=torch.float32)
    index = policy_by_name("blocks:density=0.3").index(0, q, k)
    assert index is not None
    shares = computed_shares(index)
    assert shares.shape == (index.groups,)
    assert float(shares.mean()) == pytest.approx(float(computed_share(index)))
    pairs = 2048 * 2049 / 2 * index.groups
    assert float(shares.mean()) == pytest.approx(attended_pairs(index) / pairs, rel=0.05)


def test_figures_of_calls_are_weighted_by_their_pairs() -> None:
    state = Attending(policy_by_name("dense"))
    q, k = torch.zeros(1, 4, 1, 8), torch.zeros(1, 2, 10, 8)
    state.count(0, q, k, 1.0)  # 10 pairs a head
    state.count(0, q, k[:, :, :5], torch.tensor([0.2, 0.8]))  # 5 pairs a head, two groups
    state.count_again(0, q[:, :2], k[:, :1, :5], 1.0, torch.tensor([2, 3]))
    state.recall.add(0, torch.tensor([0.9, 0.8, 1.0, 1.0]))
    figures = state.heads
    assert figures is not None
    assert figures.density == (pytest.approx((11 / 15, 11 / 15, 19 / 15, 19 / 15), abs=1e-4),)
    assert figures.kept == (pytest.approx((0.9, 0.8, 1.0, 1.0), abs=1e-4),)
    assert state.density == pytest.approx(1.0)
    assert head_figures({}, {}, {}).density == ()


def test_a_dense_prefill_is_full_in_every_head_and_keeps_all(default_language_model: LanguageModel) -> None:
    model = default_language_model
    tokens = _tokens(model, 300)
    stats = Engine(model, policy=policy_by_name("dense"), chunk_tokens=128).context(tokens).stats
    assert stats.heads is not None
    assert len(stats.heads.density) == model.fingerprint.layers
    assert all(len(row) == model.fingerprint.heads for row in stats.heads.density)
    assert {share for row in stats.heads.density for share in row} == {1.0}
    assert {share for row in stats.heads.kept for share in row} == {1.0}
    assert stats.heads.dense
    assert set(stats.parts) == {"index", "attention", "copies"}


def test_a_sparse_prefill_tells_heads_apart_and_its_parts_do_not_pass_the_whole(
    default_language_model: LanguageModel,
) -> None:
    model = default_language_model
    tokens = _tokens(model, 1024)
    stats = Engine(model, policy=policy_by_name("auto:minimum=256"), chunk_tokens=512).context(tokens).stats
    assert stats.heads is not None
    assert stats.density is not None
    assert stats.recall is not None
    assert not stats.heads.dense
    density, kept = torch.tensor(stats.heads.density), torch.tensor(stats.heads.kept)
    assert density.std() > 0.01, "heads differ"
    assert float(density.mean()) == pytest.approx(stats.density, abs=1e-3)
    assert float(kept.mean()) == pytest.approx(stats.recall, abs=1e-3)
    assert set(stats.parts) == PARTS
    assert all(seconds > 0 for seconds in stats.parts.values())
    assert sum(stats.parts.values()) < stats.prefill_seconds


def _tokens(model: LanguageModel, count: int) -> list[int]:
    words = "".join((SAMPLES / name).read_text() for name in ("handbook.md", "booking.py"))
    return (list(model.encode_with_offsets(words)[0]) * 9)[:count]
