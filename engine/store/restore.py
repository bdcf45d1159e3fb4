"""Restorer: brings chunks from their files to where attention reads them, layers read while others are copied."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from queue import SimpleQueue
from threading import Lock

import torch
from torch import Tensor

from engine.errors import CorruptChunk
from engine.kv.paged_layer import PagedLayer
from engine.store.files import File, open_file
from engine.store.lane import Lane
from engine.store.pages import Pages
from engine.store.segment import Segment

THREADS = min(8, os.cpu_count() or 1)
"""Layers on their way at once: each reads, checks and copies, and one alone does so at the rate of one core. More are
slower, 1.25 s with 16 instead of 1.04 (data/results/restore.json): they wait for Python's lock."""
BUFFER_BYTES = 4 << 20
RING = 2
"""Buffers of a thread: one is filled and checked while what the other held is on its way."""

Layer = tuple[Tensor, Tensor] | PagedLayer
"""Keys and values [Hkv, T, D] of a layer."""
Layers = Sequence[Layer]


class Restorer:
    """A lane for each of a few threads and each device, made once.

    A layer larger than a buffer goes through it in several runs of rows.
    """

    def __init__(self, *, threads: int = THREADS, buffer_bytes: int = BUFFER_BYTES, ring: int = RING) -> None:
        self._threads, self._bytes, self._ring = threads, buffer_bytes, ring
        self._lanes: dict[torch.device, SimpleQueue[Lane]] = {}
        self._making = Lock()

    def restore(
        self,
        segments: Sequence[Segment],
        layers: Layers,
        *,
        start: int = 0,
        on_tokens: Callable[[int], None] | None = None,
    ) -> tuple[int, CorruptChunk | OSError | None]:
        """Fill `layers` from token `start` on with these chunks.

        Returns how many chunks are there, whole and verified, and why not the next one; what lies behind them is
        undefined. `on_tokens` is called with how many tokens are there as they grow, in the caller's thread; what it
        raises ends it.
        """
        device = layers[0][0].device
        lanes = self._lanes_to(device)
        ready = torch.cuda.current_stream(device).record_event() if device.type == "cuda" else None
        count, limit = len(segments[0].layers), len(segments)
        starts = list(accumulate((len(segment.tokens) for segment in segments), initial=start))
        failures: dict[int, CorruptChunk | OSError] = {}
        files: dict[int, File] = {}
        done, lock = 0, Lock()

        def opened(chunk: int) -> File:
            with lock:
                if chunk not in files:
                    files[chunk] = open_file(segments[chunk].path)
                return files[chunk]

        def bring(job: int) -> None:
            nonlocal limit
            chunk, i = divmod(job, count)
            if chunk >= limit:
                return
            lane = lanes.get()
            try:
                with lane.working(ready):
                    _bring(segments[chunk], opened(chunk), i, starts[chunk], layers[i], lane)
            except (CorruptChunk, OSError) as error:
                with lock:
                    failures[chunk] = error
                    limit = min(limit, chunk)
            finally:
                lanes.put(lane)

        try:
            with ThreadPoolExecutor(self._threads, "omnibus-restore") as pool:
                try:
                    for job, _ in enumerate(pool.map(bring, range(len(segments) * count)), 1):
                        if job % count == 0 and job // count <= limit:
                            done = job // count
                            files.pop(done - 1).close()
                            if on_tokens is not None:
                                on_tokens(starts[done])
                finally:
                    limit = 0  # after an error, what is still to come need not
        finally:
            for file in files.values():
                file.close()
        return done, failures.get(done)

    def _lanes_to(self, device: torch.device) -> SimpleQueue[Lane]:
        with self._making:
            if device not in self._lanes:
                lanes: SimpleQueue[Lane] = SimpleQueue()
                with ThreadPoolExecutor(self._threads) as pool:  # pages are pinned faster side by side
                    for lane in pool.map(lambda _: Lane(device, self._ring, self._bytes), range(self._threads)):
                        lanes.put(lane)
                self._lanes[device] = lanes
            return self._lanes[device]


def _bring(segment: Segment, file: File, i: int, start: int, place: Layer, lane: Lane) -> None:
    """Layer i to its place from token `start` on; raises CorruptChunk or OSError."""
    heads, tokens, dim = segment.shape
    how = segment.layout
    for first, data in segment.rows(file, i, lane.take):
        if isinstance(how, Pages):
            how.put(data, first, tokens, PagedLayer(*place), start)
            continue
        if not how.exact:  # unpacked where it goes, from fewer bytes
            data = data.to(place[0].device, non_blocking=True)
        rows = how.decode(data, dim, segment.dtype)
        while len(rows):  # the run may begin and end within a head; whole ones of one side go over in one copy
            row, token = divmod(first, tokens)
            side, head = divmod(row, heads)
            n = min(len(rows), tokens - token)
            over = 1 if token or n < tokens else min(len(rows) // tokens, heads - head)
            target = place[side][head : head + over, start + token : start + token + n]
            lane.copy(target, rows[: over * n].view(over, n, dim))
            rows, first = rows[over * n :], first + over * n
