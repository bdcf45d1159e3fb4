"""Auto keeps the attention it promises, measured by the whole attention matrix, with fewer keys than others need."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from engine.errors import UnknownPolicy
from engine.models.model import LanguageModel
from engine.policies import Auto, XAttention
from engine.policies.auto import causal_pairs, sampling
from engine.policies.structured import structured_heads
from engine.prefill.attention import Attending, attending, attention
from engine.prefill.audit import audited_rows, kept_mass
from kernels import BlockIndex, dense_attention, sparse_attention
from tests.benchmarks.real_heads import heads_of
from tests.engine.policies.test_published import structured
from tests.texts import long_text


def kept(q: Tensor, k: Tensor, index: BlockIndex) -> Tensor:
    """The share of every query's attention that an index keeps, [H, Tq], from the whole matrix."""
    k = k.double().repeat_interleave(q.shape[1] // k.shape[1], 1)
    scores = q.double() @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(k.shape[2] - q.shape[2] + 1)
    weights = scores.masked_fill(later, -torch.inf).softmax(-1)
    return (weights * index.to_mask()).sum(-1)[0]


@pytest.fixture(scope="module")
def real(default_language_model: LanguageModel) -> dict[int, tuple[Tensor, Tensor]]:
    tokens = default_language_model.encode(long_text("prose")[:20000])[:2600]
    return {
        layer: (q.float(), k.float())
        for layer, (q, k, _) in heads_of(default_language_model, tokens, [2, 9, 20]).items()
    }


@pytest.mark.parametrize("recall", [0.9, 0.95, 0.98])
def test_real_heads_keep_the_recall_on_average(real: dict[int, tuple[Tensor, Tensor]], recall: float) -> None:
    for layer, (q, k) in real.items():
        index = Auto(recall, minimum=128).index(layer, q, k)
        assert index is not None
        index.validate()
        assert kept(q, k, index).mean() >= recall - 0.01, layer


def test_it_needs_fewer_keys_than_blocks_alone_for_more_attention(real: dict[int, tuple[Tensor, Tensor]]) -> None:
    figures = []
    for policy in (Auto(0.85, minimum=128), XAttention(16, 0.9)):
        indices = [(policy.index(layer, q, k), q, k) for layer, (q, k) in real.items()]
        held = [kept(q, k, index).mean().item() for index, q, k in indices if index is not None]
        figures.append((sum(held) / 3, sum(index.density() for index, _, _ in indices if index is not None) / 3))
    (our_kept, our_density), (their_kept, their_density) = figures
    assert our_kept > their_kept
    assert our_density < 0.75 * their_density


def test_the_last_chunk_of_a_prompt_is_chosen_alike() -> None:
    q, k = structured(4, 2, 600, 1501, seed=2)
    policy = Auto(0.95, minimum=128)
    index = policy.index(0, q, k)
    assert index is not None
    index.validate()
    assert kept(q, k, index).mean() >= 0.92
    again = policy.index(0, q.clone(), k.clone())
    assert again is not None
    assert torch.equal(index.blocks, again.blocks)
    assert torch.equal(index.columns, again.columns)


def test_short_prompts_and_short_chunks_are_dense() -> None:
    q, k = structured(4, 2, 200, 1000)
    assert Auto(minimum=1001).index(0, q, k) is None
    assert Auto(minimum=100).index(0, q[:, :, -50:], k) is None


def test_sampling_is_rarer_in_longer_prompts_so_that_its_work_stays_linear() -> None:
    assert [sampling(n) for n in (8192, 32768, 65536, 262144, 524288, 1 << 20)] == [32, 32, 64, 128, 128, 256]
    q, k = structured(2, 1, 1024, 4096)
    policy = Auto(0.9, minimum=128)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.policies.auto.sampling", lambda keys: 256)  # as beyond half a million keys
        index = policy.index(0, q, k)
    assert index is not None
    index.validate()
    assert kept(q, k, index).mean() >= 0.8


def test_levels_have_names() -> None:
    assert Auto(level="high").recall == 0.997
    with pytest.raises(UnknownPolicy, match="fast, balanced, high"):
        Auto(level="best")
    with pytest.raises(UnknownPolicy, match="between 0 and 1"):
        Auto(1.5)


def test_the_audit_measures_what_an_index_keeps() -> None:
    q, k = structured(4, 2, 700, 1500, seed=3)
    index = BlockIndex.streaming(700, 1500, sink=4, window=200)
    _, lse = sparse_attention(q, k, torch.randn_like(k), index)
    rows = audited_rows(700)
    want = kept(q, k, index)[:, rows].mean(-1)
    torch.testing.assert_close(kept_mass(q, k, lse).double(), want, atol=1e-4, rtol=1e-4)
    assert len({row % 128 for row in rows}) > 3  # not always at the same place of a block


def test_the_audit_is_as_right_in_bfloat16_so_that_no_head_is_computed_again_for_rounding() -> None:
    q, k, v = structured_heads(4096, heads=6, kv_heads=2, dim=64, device="cpu", dtype=torch.bfloat16)
    q = q[:, :, -1024:]
    state = Attending(Auto(level="high", minimum=0))
    state.attend(0, q, k, v, None)
    index = state.policy.index(0, q, k)
    assert index is not None
    assert state.recall.mean == pytest.approx(kept(q, k, index).mean().item(), abs=2e-3)
    assert state.recall.redone == 0


def test_short_chunks_behind_many_keys_are_dense_where_they_have_few_pairs() -> None:
    q, k = structured(4, 2, 256, 4096)
    pairs = causal_pairs(256, 4096)
    assert pairs == sum(range(4096 - 256 + 1, 4096 + 1))
    assert Auto(minimum=128, pairs=pairs).index(0, q, k) is not None
    assert Auto(minimum=128, pairs=pairs + 1).index(0, q, k) is None


def test_heads_that_missed_are_asked_again_and_end_dense_if_need_be() -> None:
    """Sampled queries look at the beginning, all others at keys in the middle: the first index must miss."""
    torch.manual_seed(0)
    keys, queries = 2048, 1024
    k = torch.randn(1, 2, keys, 64) * 0.1
    v = torch.randn(1, 2, keys, 64)
    k[:, 0, 0] += 3
    k[:, 0, 300:900:5] -= 3
    q = torch.randn(1, 4, queries, 64) * 0.1
    q[:, :2] -= 3
    q[:, :2, 16::32] = 3
    module = SimpleNamespace(layer_idx=0)
    policy = Auto(0.95, minimum=128)
    index = policy.index(0, q, k)
    assert index is not None
    assert kept(q, k, index)[0].mean() < 0.9
    state = Attending(policy)
    with attending(state):
        out, _ = attention(module, q, k, v, None)  # type: ignore[arg-type]
    exact, _ = dense_attention(q, k, v)
    error = (out.transpose(1, 2) - exact)[:, :2].norm() / exact[:, :2].norm()
    assert error < 0.1
    assert state.recall.redone >= 2
    assert state.recall.mean is not None
    assert state.recall.mean > 0.93
    assert state.density is not None
