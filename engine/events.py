"""What a long run tells its caller, and how the caller stops it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engine.errors import Cancelled

Phase = Literal["wait", "load", "restore", "prefill", "decode", "measure"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a phase is: tokens (bytes for "load", runs for "measure") done of total, the rate, seconds left.

    Of "wait", `total` is how many callers come before.
    """

    phase: Phase
    done: int
    total: int
    tokens_per_second: float | None = None
    eta_seconds: float | None = None
    layer: int | None = None
    cached: int = 0
    """Of the tokens done, those that the session store gave."""


OnProgress = Callable[[Progress], None]


class CancelToken:
    """A switch that any thread may set; the engine looks at it at every chunk and every token."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the running work to stop."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked."""
        return self._event.is_set()

    def raise_if_cancelled(self) -> None:
        """Raise Cancelled once `cancel` was called."""
        if self._event.is_set():
            raise Cancelled
