"""Stopwatch: how long each part of a prefill took, measured where the work is done and not guessed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

Part = Literal["index", "attention", "audit", "copies"]


class Stopwatch:
    """Seconds by part. On a GPU events in its stream are timed, and nothing waits for them until somebody looks."""

    def __init__(self, device: torch.device) -> None:
        self._gpu = device.type == "cuda"
        self._taken: dict[Part, float] = {}
        self._events: list[tuple[Part, Any, Any]] = []

    @contextmanager
    def part(self, name: Part) -> Iterator[None]:
        """Count the block as this part; parts do not lie in one another."""
        begin = self._now()
        try:
            yield
        finally:
            end = self._now()
            if self._gpu:
                self._events.append((name, begin, end))
            else:
                self._taken[name] = self._taken.get(name, 0.0) + end - begin

    @property
    def seconds(self) -> dict[Part, float]:
        """Seconds of each part so far; waits for the device."""
        if self._events:
            torch.cuda.synchronize()
            for name, begin, end in self._events:
                self._taken[name] = self._taken.get(name, 0.0) + begin.elapsed_time(end) / 1000
            self._events.clear()
        return dict(self._taken)

    def _now(self) -> Any:
        if not self._gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event
