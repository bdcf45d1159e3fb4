"""Decode attention: every path agrees with the float64 reference, over whole caches, pages and shared prefixes."""

from __future__ import annotations

import pytest
import torch

from kernels import ArgumentError, Pages, decode_attention, shared_prefix_attention
from kernels.fp8 import quantize
from kernels.reference.decode_attention import decode_attention as reference
from kernels.reference.dense_attention import dense_attention
from tests.kernels.cases import INTERPRETED, PLACES, assert_close, attention_inputs, dtypes, poison, use

# (batch, heads, KV heads, queries, keys, head dim)
SHAPES = [
    (1, 1, 1, 1, 1, 64),
    (1, 4, 1, 1, 127, 64),
    (2, 7, 1, 1, 129, 64),
    (1, 4, 2, 3, 300, 80),
    (3, 2, 2, 1, 1000, 128),
    (1, 2, 1, 2, 70, 256),
]
LONG = [(1, 8, 1, 1, 4097, 128), (2, 8, 2, 5, 9000, 96), (1, 4, 1, 100, 4097, 64), (3, 4, 4, 1, 17, 128)]


def rounded(place: str, dtype: torch.dtype) -> bool:
    """Whether scores are kept in bfloat16 there: torch's CPU products have no wider output."""
    return place == "cpu" and dtype == torch.bfloat16


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
            out, lse, mass = decode_attention(q, k, v, causal=causal)
            assert mass is None
            assert (out.dtype, lse.dtype) == (dtype, torch.float32)
            want = dense_attention(q.double(), k.double(), v.double(), causal=causal)
            assert_close((out, lse), want, dtype, f"{dtype} {causal}", scores_rounded=rounded(place, dtype))


@pytest.mark.parametrize("place", PLACES)
def test_sequences_of_a_batch_have_their_own_lengths(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(place, monkeypatch)
    kv_lens = torch.tensor([700, 64, 17], dtype=torch.int32, device=device)
    for dtype in dtypes(place):
        q, k, v = attention_inputs((3, 4, 2, 1, 700, 64), device, dtype)
        k[1, :, 64:], v[1, :, 64:], v[2, :, 17:] = torch.nan, torch.nan, torch.nan  # whatever padding holds
        poison(device)
        out, lse, _ = decode_attention(q, k, v, kv_lens=kv_lens)
        assert_close(
            (out, lse),
            reference(q.double(), k.double(), v.double(), kv_lens=kv_lens)[:2],
            dtype,
            scores_rounded=rounded(place, dtype),
        )


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("per_head", [True, False])
def test_only_listed_pages_are_read(place: str, per_head: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    device = use(place, monkeypatch)
    numbers = torch.tensor([[[9, 0, 4, 17], [3, 1, 17, 2]], [[5, 11, 6, 1], [0, 2, 8, 7]]], device=device)
    counts = torch.tensor([[4, 2], [3, 4]], device=device)
    pages = Pages.of(numbers if per_head else numbers[:, :1], 32, counts if per_head else counts[:, :1])
    for dtype in dtypes(place):
        q, k, v = attention_inputs((2, 4, 2, 1, 560, 64), device, dtype)  # page 17 is half full
        want = reference(q.double(), k.double(), v.double(), pages=pages, mass_block=64)
        unread = ~pages.to_mask(560).expand(2, 2, -1)
        k[unread], v[unread] = torch.nan, torch.nan
        poison(device)
        if place != "cpu":  # the reference multiplies everything, and masks then
            out, lse, mass = decode_attention(q, k, v, pages=pages, mass_block=64)
            assert_close((out, lse), want[:2], dtype)
            assert mass is not None
            torch.testing.assert_close(mass, want[2], atol=2e-2, rtol=2e-2)
        else:
            assert_close(decode_attention(q, k.nan_to_num(), v.nan_to_num(), pages=pages)[:2], want[:2], dtype)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("block", [16, 128, 512])
def test_attention_mass_is_the_share_of_each_block_of_keys(
    place: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = use(place, monkeypatch)
    q, k, v = attention_inputs((2, 4, 2, 2, 700, 64), device, torch.float32)
    k[0, 0, 300] = 3 * q[0, 0, 0]  # one key that gets nearly everything
    poison(device)
    _, _, mass = decode_attention(q, k, v, mass_block=block)
    assert mass is not None
    scores = q.double() @ k.double().repeat_interleave(2, dim=1).transpose(-1, -2) / 8
    scores[:, :, 0, -1] = -torch.inf
    shares = torch.nn.functional.pad(scores.softmax(-1), (0, -700 % block)).view(2, 4, 2, -1, block).sum(-1)
    torch.testing.assert_close(mass.double(), shares, atol=1e-4, rtol=1e-4)
    assert mass[0, 0, 0].argmax() == 300 // block
    torch.testing.assert_close(mass.sum(-1), torch.ones_like(mass[..., 0]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("block", [None, 64])
def test_fp8_keys_and_values_stay_within_their_precision(
    place: str, block: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = use(place, monkeypatch)
    dtype = dtypes(place)[-1] if place == "interpreter" else dtypes(place)[0]
    q, k, v = attention_inputs((1, 4, 2, 1, 300, 64), device, dtype)
    (k8, k_scale), (v8, v_scale) = quantize(k, block=block), quantize(v * 3, block=block)
    poison(device)
    got = decode_attention(q, k8, v8, k_scale=k_scale, v_scale=v_scale)
    want = reference(q.double(), k8, v8, k_scale=k_scale, v_scale=v_scale)
    assert_close(got[:2], want[:2], dtype)  # both read the same 8 bits


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("tokens", [1, 3])
def test_a_shared_prefix_gives_what_each_query_alone_would_get(
    place: str, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = use(place, monkeypatch)
    lengths = [5, 40, 17]
    for dtype in dtypes(place):
        q, k, v = attention_inputs((3, 4, 2, tokens, 40, 64), device, dtype)
        _, prefix_k, prefix_v = attention_inputs((1, 4, 2, 1, 500, 64), device, dtype, seed=1)
        kv_lens = torch.tensor(lengths, dtype=torch.int32, device=device)
        poison(device)
        out, lse = shared_prefix_attention(q, prefix_k, prefix_v, k, v, kv_lens=kv_lens)
        for b, own in enumerate(lengths):
            keys, values = (
                torch.cat([prefix[0], x[b, :, :own]], dim=1).unsqueeze(0).double()
                for prefix, x in ((prefix_k, k), (prefix_v, v))
            )
            want = dense_attention(q[b : b + 1].double(), keys, values)
            assert_close((out[b : b + 1], lse[b : b + 1]), want, dtype, scores_rounded=rounded(place, dtype))


def test_bad_pages_are_named() -> None:
    q, k, v = torch.randn(1, 2, 1, 64), torch.randn(1, 2, 64, 64), torch.randn(1, 2, 64, 64)
    with pytest.raises(ArgumentError, match=r"pages\.size"):
        Pages.of(torch.zeros(1, 1, 1), 24)
    with pytest.raises(ArgumentError, match="for 1 or 1 and 1 or 2"):
        decode_attention(q, k, v, pages=Pages.of(torch.zeros(1, 3, 1), 32))
