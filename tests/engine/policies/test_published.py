"""Each published policy chooses what its paper's formulas choose, on noise with structure and on real heads."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.models.model import LanguageModel
from engine.policies import FlexPrefill, MInference, Streaming, TriangleMix, XAttention
from engine.policies.pattern_file import HeadPattern
from kernels import BlockIndex
from tests.benchmarks.real_heads import heads_of
from tests.engine.policies import transcriptions as literal
from tests.texts import long_text


def structured(heads: int, kv_heads: int, rows: int, keys: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noise in which some keys and some distances stand out; every head differs."""
    generator = torch.Generator().manual_seed(seed)
    walk = torch.randn(1, kv_heads, keys, 64, generator=generator).cumsum(2)
    k = walk / walk.norm(dim=-1, keepdim=True) * 4 + torch.randn(1, kv_heads, keys, 64, generator=generator)
    k[:, :, 5::317] += 3
    q = k.repeat_interleave(heads // kv_heads, 1)[:, :, keys - rows :] + torch.randn(
        1, heads, rows, 64, generator=generator
    )
    return q, k


@pytest.fixture(scope="module")
def inputs(default_language_model: LanguageModel) -> dict[str, tuple[Tensor, Tensor]]:
    """Structured noise, whole and as the last chunk of a prompt, and two layers of the default model's real heads."""
    tokens = default_language_model.encode(long_text("prose")[:9000])[:1500]
    real = heads_of(default_language_model, tokens, [2, 20])
    return {
        "noise": structured(4, 2, 1100, 1100),
        "chunk": structured(4, 2, 600, 1496, seed=1),
        **{f"layer {layer}": (q.float(), k.float()) for layer, (q, k, _) in real.items()},
    }


NAMES = ["noise", "chunk", "layer 2", "layer 20"]


def per_head(q: Tensor, k: Tensor) -> list[tuple[int, Tensor, Tensor]]:
    group = q.shape[1] // k.shape[1]
    return [(h, q[0, h].double(), k[0, h // group].double()) for h in range(q.shape[1])]


def causal(mask: Tensor) -> Tensor:
    return mask.tril(mask.shape[1] - mask.shape[0])


def differing(index: BlockIndex | None, head: int, want: Tensor) -> float:
    """Share of the causal pairs in which a head's index differs from what is wanted."""
    assert index is not None
    index.validate()
    got = index.to_mask()[0, head if index.groups > 1 else 0]
    return ((got ^ causal(want)).sum() / causal(torch.ones_like(want)).sum()).item()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("stride", "threshold"), [(8, 0.9), (16, 0.8)])
def test_xattention_keeps_the_blocks_of_its_formulas(
    inputs: dict[str, tuple[Tensor, Tensor]], name: str, stride: int, threshold: float
) -> None:
    q, k = inputs[name]
    index = XAttention(stride, threshold).index(0, q, k)
    for head, one_q, one_k in per_head(q, k):
        want = literal.xattention_mask(one_q, one_k, stride, threshold)
        assert differing(index, head, want) <= 0.01  # a block on the threshold may go either way in float32


def test_xattention_takes_thresholds_per_head(inputs: dict[str, tuple[Tensor, Tensor]]) -> None:
    q, k = inputs["noise"]
    index = XAttention(16, thresholds=[[0.5] * 4, [0.3, 0.6, 0.9, 0.99]]).index(1, q, k)
    for (head, one_q, one_k), threshold in zip(per_head(q, k), (0.3, 0.6, 0.9, 0.99), strict=True):
        assert differing(index, head, literal.xattention_mask(one_q, one_k, 16, threshold)) <= 0.01


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tau", [0.0, 0.3, 1.0])
def test_flexprefill_keeps_the_blocks_of_its_formulas(
    inputs: dict[str, tuple[Tensor, Tensor]], name: str, tau: float
) -> None:
    q, k = inputs[name]
    index = FlexPrefill(0.9, tau, 256).index(0, q, k)
    kinds = set()
    for head, one_q, one_k in per_head(q, k):
        want, aware = literal.flexprefill_mask(one_q, one_k, 0.9, tau, 256)
        kinds.add(aware)
        assert differing(index, head, want) <= 0.02, (head, aware)
    assert kinds == {tau == 1.0} or tau == 0.3


@pytest.mark.parametrize("name", NAMES)
def test_minference_draws_the_lines_of_its_algorithm(inputs: dict[str, tuple[Tensor, Tensor]], name: str) -> None:
    q, k = inputs[name]
    rows, keys = q.shape[2], k.shape[2]
    index = MInference(default=HeadPattern("vertical_and_slash", 60, 200), block=64).index(0, q, k)
    assert index is not None
    index.validate()
    for head, one_q, one_k in per_head(q, k):
        columns, diagonals = literal.minference_lines(one_q, one_k, 60, 200)
        lines = causal(literal.lines_mask(columns, diagonals, rows, keys))
        got = index.to_mask()[0, head]
        missing = (lines & ~got).sum() / lines.sum()
        assert missing <= 0.005  # lines of nearly the same score change places in float32
        assert set(index.columns[0, head, : int(index.column_counts[0, head])].tolist()) >= set(range(30))
        # covering blocks reach at most this far beyond a diagonal
        most = causal(literal.lines_mask(columns, {d + e for d in diagonals for e in range(-127, 64)}, rows, keys))
        assert (got & ~most).sum() <= 0.03 * most.sum()


def test_minference_mixes_kinds_of_heads_in_one_layer(inputs: dict[str, tuple[Tensor, Tensor]]) -> None:
    q, k = inputs["noise"]
    heads = (
        HeadPattern("stream_llm", 40, 128),
        HeadPattern("block_sparse", 0, 0),
        HeadPattern("vertical_and_slash", 40, 60),
        HeadPattern("stream_llm", 10, 300),
    )
    index = MInference((heads,), block=128).index(0, q, k)
    assert index is not None
    index.validate()
    masks = index.to_mask()[0]
    for head, (first, local) in ((0, (40, 128)), (3, (10, 300))):
        want = causal(literal.streaming_mask(first, local, 1100, 1100))
        assert (want & ~masks[head]).sum() == 0
        assert masks[head].sum() <= causal(literal.streaming_mask(first, local + 128, 1100, 1100)).sum()
    assert masks[1].sum() == causal(torch.ones(1100, 1100)).sum()  # 6,400 keys are all there are
    assert 0 < masks[2].sum() < masks[1].sum()


def test_trianglemix_is_dense_early_and_for_a_question_and_a_triangle_else() -> None:
    policy = TriangleMix(first_layer=2, sink=8, local=128, last=64)
    q, k = structured(4, 2, 600, 1400)
    assert policy.index(1, q, k) is None
    assert policy.index(2, q[:, :, -64:], k) is None
    index = policy.index(2, q, k)
    assert index is not None
    want = Streaming(8, 128).index(0, q, k)
    assert want is not None
    assert torch.equal(index.to_mask(), want.to_mask())


def test_parameters_name_everything_that_changes_the_index() -> None:
    for policy in (XAttention(8, 0.7), FlexPrefill(0.9, 0.2, 512, 4096), MInference(), TriangleMix(3)):
        assert all(isinstance(v, (str, int, float)) for v in policy.parameters().values())
    one = MInference(((HeadPattern(),),)).parameters()
    other = MInference(((HeadPattern("stream_llm", 1, 2),),)).parameters()
    assert one != other
    assert XAttention(thresholds=[[0.5]]).parameters() != XAttention(thresholds=[[0.6]]).parameters()
