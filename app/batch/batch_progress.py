"""How far a batch is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from app.batch.batch_answer import BatchAnswer


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How many questions are answered (failed ones among them) of how many; questions per second; seconds left."""

    done: int
    total: int
    failed: int
    per_second: float | None
    eta_seconds: float | None


OnBatchProgress = Callable[[BatchProgress], None]


class Reporter:
    """Counts answers and says how long the rest takes, by the rate since the first."""

    def __init__(self, total: int, on_progress: OnBatchProgress | None) -> None:
        self._total, self._tell = total, on_progress
        self._done = self._failed = 0
        self._started = time.perf_counter()

    def __call__(self, answer: BatchAnswer) -> None:
        self._done += 1
        self._failed += answer.error is not None
        if self._tell:
            rate = self._done / (time.perf_counter() - self._started)
            self._tell(BatchProgress(self._done, self._total, self._failed, rate, (self._total - self._done) / rate))
