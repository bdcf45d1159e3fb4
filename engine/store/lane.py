"""Lane: one thread's way from chunk files to memory, a ring of staging buffers; to a GPU's on a stream of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from engine.kv.host_memory import host_memory
from engine.store.segment import padded


class Lane:
    """Reads go into one buffer while copies from the others are on their way; pinned where a GPU reads them.

    Copies end behind the thread's back; that all have, only the end of `working` says.
    """

    def __init__(self, device: torch.device, ring: int, buffer_bytes: int) -> None:
        gpu = device.type == "cuda"
        self._room = host_memory((ring, padded(buffer_bytes)), torch.uint8, pinned=gpu)  # pinned while it is held
        self._buffers: list[Tensor] = [part[:buffer_bytes] for part in self._room]
        self._stream = torch.cuda.Stream(device) if gpu else None  # type: ignore[no-untyped-call]
        # waiting for them a thread sleeps, and leaves its core to the others
        self._copied = [torch.cuda.Event(blocking=True) for _ in range(ring)] if gpu else []  # type: ignore[no-untyped-call]
        self._turn = 0

    @contextmanager
    def working(self, after: torch.cuda.Event | None) -> Iterator[None]:
        """What is done inside begins `after` and has ended behind it, whatever is raised."""
        if self._stream is not None and after is not None:
            self._stream.wait_event(after)
        try:
            with torch.cuda.stream(self._stream):  # nothing where there is none
                yield
        finally:
            self._mark()
            self._wait()

    def take(self) -> Tensor:
        """The next buffer, once everything read from it has arrived."""
        self._mark()
        self._turn = (self._turn + 1) % len(self._buffers)
        self._wait()
        return self._buffers[self._turn]

    def copy(self, target: Tensor, source: Tensor) -> None:
        """Begin to copy from a buffer."""
        target.copy_(source, non_blocking=True)

    def _mark(self) -> None:
        """Note that all copies begun so far are behind the buffer of this turn."""
        if self._stream is not None:
            self._copied[self._turn].record(self._stream)

    def _wait(self) -> None:
        """For the copies that were noted last time at this turn, and all before them."""
        if self._stream is not None:
            self._copied[self._turn].synchronize()
