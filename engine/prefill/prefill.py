"""Prefill: segment × layer × chunk through a transformers model's own decoder layers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from engine.events import CancelToken, OnProgress, Progress
from engine.kv.cache import KVCache
from engine.kv.host_cache import HostCache
from engine.kv.timed_cache import TimedCache
from engine.models.layers import run_layer
from engine.prefill.attention import Attends, attending
from engine.prefill.stopwatch import Stopwatch


@torch.inference_mode()
def prefill_segment(
    decoder: Any,
    cache: KVCache | HostCache,
    tokens: Sequence[int],
    spans: Sequence[tuple[int, int]],
    *,
    attends: Attends,
    cancel: CancelToken | None = None,
    report: Report | None = None,
    watch: Stopwatch | None = None,
) -> Tensor:
    """Run the tokens of `spans`, which stand behind what the cache holds, through every layer, chunk by chunk in each.

    The hidden states of the segment stay on the device; the cache gains the segment's keys and values. Returns the
    last token's hidden state [1, 1, hidden] after the final norm. When it is cancelled (Cancelled) the cache is cut
    back to where the segment began. `watch` counts what moving keys and values takes.
    """
    begin, end = spans[0][0], spans[-1][1]
    device = cache.device
    ids = torch.tensor(tokens, dtype=torch.long, device=device)[None]
    positions = torch.arange(begin, end, device=device)[None]
    hidden: Tensor = decoder.embed_tokens(ids)
    rotary = decoder.rotary_emb(hidden, position_ids=positions)
    last = len(decoder.layers) - 1
    filled = cache if watch is None else TimedCache(cache, watch)
    try:
        with attending(attends):
            for i, layer in enumerate(decoder.layers):
                with _copies(watch):
                    cache.begin_layer(i)
                for start, stop in spans:
                    if cancel is not None:
                        cancel.raise_if_cancelled()
                    part = slice(start - begin, stop - begin)
                    turned = rotary[0][:, part], rotary[1][:, part]
                    out = run_layer(layer, hidden[:, part], positions[:, part], turned, filled)
                    if i < last or stop == end:
                        hidden[:, part] = out
                    if report is not None:
                        report.chunk(stop - start, i)
                with _copies(watch):
                    cache.end_layer(i)
        with _copies(watch):
            cache.commit(end)
    except BaseException:
        cache.truncate(begin)
        raise
    normed: Tensor = decoder.norm(hidden[:, -1:])
    return normed


def _copies(watch: Stopwatch | None) -> AbstractContextManager[None]:
    return nullcontext() if watch is None else watch.part("copies")


class Report:
    """Turns chunk × layer steps into Progress events in tokens."""

    def __init__(self, on_progress: OnProgress, *, done: int, total: int, layers: int, cached: int = 0) -> None:
        self._emit, self._done, self._total, self._layers = on_progress, done, total, layers
        self._cached = cached
        self._steps = 0
        self._start = time.perf_counter()

    def chunk(self, tokens: int, layer: int) -> None:
        """One chunk of one layer is done."""
        self._steps += tokens
        made = self._steps / self._layers
        rate = made / max(time.perf_counter() - self._start, 1e-9)
        done = min(self._total, self._done + int(made))
        left = (self._total - done) / rate if rate else None
        self._emit(Progress("prefill", done, self._total, rate, left, layer, self._cached))
