"""A bad argument is refused with its name, its shape and what was expected."""

from __future__ import annotations

import pytest
import torch

from kernels import ArgumentError, BackendUnavailable, BlockIndex, dense_attention, merge_attention, sparse_attention
from kernels.backend import backend
from kernels.fp8 import quantize


def tensors(heads: int = 4, kv_heads: int = 2, q_len: int = 8, kv_len: int = 16, dim: int = 64) -> list[torch.Tensor]:
    return [torch.randn(1, h, t, dim) for h, t in ((heads, q_len), (kv_heads, kv_len), (kv_heads, kv_len))]


def test_heads_that_do_not_divide() -> None:
    with pytest.raises(ArgumentError, match="q is of 3 heads with 2 KV heads"):
        dense_attention(*tensors(heads=3))


def test_more_queries_than_keys() -> None:
    with pytest.raises(ArgumentError, match="q is of 20 tokens with 16 keys"):
        dense_attention(*tensors(q_len=20))


def test_a_dtype_that_is_not_taken() -> None:
    q, k, v = tensors()
    with pytest.raises(ArgumentError, match=r"q is torch\.int32; expected bfloat16"):
        dense_attention(q.int(), k.int(), v.int())
    with pytest.raises(ArgumentError, match=r"k is torch\.float16"):
        dense_attention(q, k.half(), v)


def test_a_last_dimension_with_gaps() -> None:
    q, k, v = tensors()
    with pytest.raises(ArgumentError, match=r"k is strided .*contiguous in its last dimension"):
        dense_attention(q, k.transpose(2, 3).contiguous().transpose(2, 3), v)


def test_keys_and_values_of_different_shapes() -> None:
    q, k, v = tensors()
    with pytest.raises(ArgumentError, match=r"v is of shape \[1, 2, 15, 64\]") as caught:
        dense_attention(q, k, v[:, :, 1:])
    assert caught.value.argument == "v"
    with pytest.raises(ArgumentError, match="q is of shape"):
        dense_attention(q[0], k, v)


def test_an_index_made_for_something_else() -> None:
    q, k, v = tensors()
    with pytest.raises(ArgumentError, match="index is for 8 queries over 17 keys; expected for 8 queries over 16"):
        sparse_attention(q, k, v, BlockIndex.dense(8, 17))
    mask = torch.ones(1, 3, 1, 1, dtype=torch.bool)
    with pytest.raises(ArgumentError, match="index is for 1 sequences of 3 heads"):
        sparse_attention(q, k, v, BlockIndex.from_mask(mask, q_len=8, kv_len=16))


def test_lengths_and_scales_of_the_wrong_shape() -> None:
    q, k, v = tensors()
    with pytest.raises(ArgumentError, match="q_lens"):
        dense_attention(q, k, v, q_lens=torch.tensor([1, 2], dtype=torch.int32))
    k8, scale = quantize(k)
    with pytest.raises(ArgumentError, match="k_scale"):
        dense_attention(q, k8, k8, k_scale=scale[0], v_scale=scale)
    with pytest.raises(ArgumentError, match="scale is of 3 blocks for 16 keys"):
        dense_attention(q, k8, k8, k_scale=scale.expand(-1, -1, 3), v_scale=scale)


def test_merging_different_shapes() -> None:
    out, lse = torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3)
    with pytest.raises(ArgumentError, match="out_b"):
        merge_attention(out, lse, out, lse[:, :1])


def test_an_unknown_backend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIBUS_KERNELS", "cuda")
    with pytest.raises(ArgumentError, match="OMNIBUS_KERNELS is 'cuda'; expected triton or torch"):
        dense_attention(*tensors())


def test_triton_without_a_gpu_is_refused_and_torch_always_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setenv("OMNIBUS_KERNELS", "triton")
    with pytest.raises(BackendUnavailable, match="triton kernels cannot run here"):
        backend(torch.device("cpu"))
    monkeypatch.setenv("OMNIBUS_KERNELS", "torch")
    assert backend(torch.device("cuda")) == "torch"
    monkeypatch.delenv("OMNIBUS_KERNELS")
    assert backend(torch.device("cpu")) == "torch"
