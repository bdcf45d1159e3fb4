"""Codecs: the stated error, the stated size, and the same states before a restart and after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.engine import Engine
from engine.errors import StoreError
from engine.models.model import LanguageModel
from engine.store import Store
from engine.store.codecs import DTYPES, QUANTISING, Grouped, Raw, Scaled, codec
from engine.store.segment import Segment
from tests.conftest import ROOT
from tests.engine.store.samples import NAMESPACE, Layers, chunk_path, kv, restored, same

DIMS = [64, 80, 96, 128, 256, 2]


def rows(dim: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Rows as keys have them: of all sizes, with channels that stand out, constant ones, zeros and tiny ones."""
    made = torch.Generator().manual_seed(dim)
    x = torch.randn(200, dim, generator=made) * torch.logspace(-6, 4, 200)[:, None]
    x[:, 1] += 20
    x[7], x[8], x[9], x[10, :-1] = 0, 3.25, -1e-30, 0
    return x.to(dtype)


def reference(name: str, row: torch.Tensor) -> torch.Tensor:
    """One row quantised value by value, in plain numbers; the scale is what the codec itself rounds it to."""
    out = []
    how = QUANTISING[name]
    size = len(row) if isinstance(how, Scaled) else next(n for n in (32, 16, 8, 4, 2) if len(row) % n == 0)
    for group in row.float().view(-1, size):
        least = torch.tensor(0.0) if isinstance(how, Scaled) else group.min().bfloat16().float()
        top = how.top if isinstance(how, Scaled) else 15.0
        span = group.abs().max() if isinstance(how, Scaled) else group.max() - least
        scale = (span / top * (1 + 2**-7)).clamp_min(torch.finfo(torch.bfloat16).tiny).bfloat16().float()
        for value in group:
            code = (value - least) / scale
            code = code.to(torch.float8_e4m3fn).float() if name == "fp8" else code.round()
            out.append((code if name != "int4" else code.clamp(0, 15)) * scale + least)
    return torch.stack(out)


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("name", QUANTISING)
def test_a_codec_is_its_plain_reference(name: str, dim: int) -> None:
    x = rows(dim)[::10]
    how = codec(name)
    assert torch.equal(how.decode(how.encode(x), dim, torch.float32), torch.stack([reference(name, row) for row in x]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("name", QUANTISING)
def test_the_error_is_within_what_is_stated(name: str, dim: int, dtype: str) -> None:
    how, x = codec(name), rows(dim, DTYPES[dtype])
    data = how.encode(x)
    assert (data.dtype, data.shape) == (torch.uint8, (200, how.row_bytes(dim)))
    back = how.decode(data, dim, x.dtype)
    assert back.dtype == x.dtype
    x = x.float()
    if isinstance(how, Scaled):
        bound = how.relative * x.abs() + how.absolute * x.abs().amax(-1, keepdim=True)
    else:
        groups = x.view(200, -1, next(n for n in (32, 16, 8, 4, 2) if dim % n == 0))
        span = groups.amax(-1, keepdim=True) - groups.amin(-1, keepdim=True)
        bound = (span / 29 + groups.abs().amax(-1, keepdim=True) / 250).expand_as(groups).reshape(200, dim)
    rounding = torch.finfo(DTYPES[dtype]).eps * x.abs() + torch.finfo(DTYPES[dtype]).tiny
    assert ((back.float() - x).abs() <= bound + rounding).all()


@pytest.mark.parametrize(
    ("name", "bits"), [("float32", 32), ("bfloat16", 16), ("float16", 16), ("fp8", 8.125), ("int8", 8.125), ("int4", 5)]
)
def test_a_value_takes_as_many_bits_as_stated(name: str, bits: float) -> None:
    assert codec(name).row_bytes(128) * 8 / 128 == bits


@pytest.mark.parametrize("name", QUANTISING)
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_what_is_not_finite_is_not_quantised(store: Store, name: str, wrong: float) -> None:
    layers = kv(range(16), 0)
    layers[1][0][0, 3, 5] = wrong
    with pytest.raises(StoreError, match="not finite"):
        store.save(replace(NAMESPACE, codec=name), None, range(16), layers)


@pytest.mark.parametrize("name", QUANTISING)
def test_attention_reads_the_same_before_a_restart_and_after_it(store: Store, name: str) -> None:
    namespace = replace(NAMESPACE, codec=name)
    layers: Layers = kv(range(16), 0)
    before = [(k.clone(), v.clone()) for k, v in layers]
    key = store.save(namespace, None, range(16), layers)
    assert not same(layers, before)
    assert same(restored(store, store.longest_prefix(namespace, range(16), [(0, 16)]), namespace), layers)
    assert store.longest_prefix(NAMESPACE, range(16), [(0, 16)]).tokens == 0
    (place, _) = Segment.open(chunk_path(store, key)).layers
    assert place.length == 2 * 3 * 16 * codec(name).row_bytes(8)


@pytest.mark.parametrize("name", QUANTISING)
def test_an_engine_answers_the_same_before_a_restart_and_after_it(
    default_language_model: LanguageModel, tmp_path: Path, name: str
) -> None:
    ids = default_language_model.encode((ROOT / "data" / "samples" / "handbook.md").read_text())[:700]
    store = Store(tmp_path / "store")
    engine = Engine(default_language_model, store=store, chunk_tokens=256, codec=name)
    first, again = engine.context(ids), engine.context(ids)
    assert again.stats.cached_tokens == len(ids)
    assert same(first.cache.span(0, len(ids)), again.cache.span(0, len(ids)))
    raw = Engine(default_language_model, chunk_tokens=256).context(ids)
    assert not torch.equal(raw.cache.layer(3)[0], again.cache.layer(3)[0])
    assert "codec is 'bfloat16'" in str(
        Engine(default_language_model, store=store, chunk_tokens=256).context(ids).stats
    )
    store.close()


def test_an_unknown_codec_is_refused_with_those_there_are(store: Store) -> None:
    with pytest.raises(StoreError, match="no KV codec 'zip'; there are bfloat16, float16, float32, fp8, int8, int4"):
        store.save(replace(NAMESPACE, codec="zip"), None, range(16), kv(range(16), 0))
    assert isinstance(codec("int4"), Grouped)
    assert isinstance(codec("float16"), Raw)
