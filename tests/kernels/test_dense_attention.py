"""Dense attention: every path agrees with the float64 reference, whatever the lengths."""

from __future__ import annotations

import pytest
import torch

from kernels import dense_attention, merge_attention
from kernels.fp8 import dequantize, quantize
from kernels.reference.dense_attention import dense_attention as reference
from tests.kernels.cases import INTERPRETED, PLACES, assert_close, attention_inputs, dtypes, poison, use

# (batch, heads, KV heads, queries, keys, head dim)
SHAPES = [
    (1, 1, 1, 1, 1, 64),
    (1, 4, 1, 1, 127, 64),
    (2, 7, 1, 17, 129, 64),
    (1, 4, 2, 127, 300, 80),
    (3, 2, 2, 129, 129, 128),
    (1, 2, 2, 40, 100, 96),
    (1, 2, 1, 33, 70, 256),
]
LONG = [(1, 4, 1, 1000, 1000, 64), (1, 7, 1, 17, 4097, 64), (1, 2, 2, 1000, 4097, 128), (2, 8, 1, 129, 1000, 96)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("shape", SHAPES if INTERPRETED else SHAPES + LONG, ids=str)
def test_agrees_with_the_reference(
    place: str, shape: tuple[int, int, int, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = use(place, monkeypatch)
    for dtype in dtypes(place):
        q, k, v = attention_inputs(shape, device, dtype)
        for causal in (True, False):
            poison(device)
            got = dense_attention(q, k, v, causal=causal)
            assert got[0].dtype == dtype
            assert got[1].dtype == torch.float32
            assert_close(got, reference(q.double(), k.double(), v.double(), causal=causal), dtype, f"{dtype} {causal}")


@pytest.mark.parametrize("place", PLACES)
def test_sequences_of_a_batch_have_their_own_lengths(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(place, monkeypatch)
    q_lens, kv_lens = (torch.tensor(x, dtype=torch.int32, device=device) for x in ([40, 1, 17], [130, 64, 17]))
    for dtype in dtypes(place):
        q, k, v = attention_inputs((3, 4, 2, 40, 130, 64), device, dtype)
        k[1, :, 64:], v[1, :, 64:], v[2, :, 17:] = torch.nan, torch.nan, torch.nan  # whatever padding holds
        poison(device)
        got = dense_attention(q, k, v, q_lens=q_lens, kv_lens=kv_lens)
        want = reference(q.double(), k.double(), v.double(), q_lens=q_lens, kv_lens=kv_lens)
        assert_close(got, want, dtype)


@pytest.mark.parametrize("place", PLACES)
def test_heads_may_be_interleaved_with_tokens(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(place, monkeypatch)
    dtype = dtypes(place)[0]
    q, k, v = (
        x.transpose(1, 2).contiguous().transpose(1, 2) for x in attention_inputs((2, 4, 2, 30, 90, 64), device, dtype)
    )
    assert_close(dense_attention(q, k, v), reference(q.double(), k.double(), v.double()), dtype)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("block", [None, 64])
def test_fp8_keys_and_values_stay_within_their_precision(
    place: str, block: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = use(place, monkeypatch)
    dtype = dtypes(place)[-1] if place == "interpreter" else dtypes(place)[0]
    for head_dim in (64, 128):
        q, k, v = attention_inputs((1, 4, 2, 130, 300, head_dim), device, dtype)
        (k8, k_scale), (v8, v_scale) = quantize(k, block=block), quantize(v * 3, block=block)
        poison(device)
        got = dense_attention(q, k8, v8, k_scale=k_scale, v_scale=v_scale)
        want = reference(q.double(), k8, v8, k_scale=k_scale, v_scale=v_scale)
        assert_close(got, want, torch.float8_e4m3fn)


def test_quantising_keeps_three_bits_of_mantissa() -> None:
    x = torch.randn(2, 3, 100, 64)
    for block in (None, 32):
        x8, scale = quantize(x, block=block)
        assert scale.shape == (2, 3, 1 if block is None else 4)
        error = (dequantize(x8, scale, torch.float32) - x).norm() / x.norm()
        assert error < 0.04


@pytest.mark.parametrize("place", PLACES)
def test_merging_parts_gives_the_whole(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(place, monkeypatch)
    q, k, v = attention_inputs((1, 4, 2, 20, 150, 64), device, torch.float32)
    before = dense_attention(q, k[:, :, :130], v[:, :, :130], causal=False)
    after = dense_attention(q, k[:, :, 130:], v[:, :, 130:])
    assert_close(merge_attention(*before, *after), reference(q.double(), k.double(), v.double()), torch.float32)


def test_merging_with_nothing_changes_nothing() -> None:
    out, lse = torch.randn(1, 2, 3, 4), torch.randn(1, 2, 3)
    nothing = torch.zeros_like(out), torch.full_like(lse, -torch.inf)
    merged = merge_attention(out, lse, *nothing)
    assert torch.equal(merged[0], out)
    assert torch.equal(merged[1], lse)
    both = merge_attention(*nothing, *nothing)
    assert (both[0] == 0).all()
    assert (both[1] == -torch.inf).all()


@pytest.mark.parametrize("place", PLACES)
def test_no_queries_and_no_keys_are_answered(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(place, monkeypatch)
    q, k, v = attention_inputs((1, 2, 1, 0, 5, 64), device, torch.float32)
    assert dense_attention(q, k, v)[0].shape == (1, 2, 0, 64)
    q = torch.randn(1, 2, 3, 64, device=device)
    out, lse = dense_attention(q, k[:, :, :0], v[:, :, :0], causal=False)
    assert (out == 0).all()
    assert (lse == -torch.inf).all()
