"""Limits: how often a token's holder may ask, and how much may come at once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

COUNTED = ("/v1/", "/api/")
"""What counts: a program's requests, not the many small ones of the page."""


class Limited(Protocol):
    """A token with its limits; null sets none."""

    @property
    def digest(self) -> str:
        """What it is known by."""
        ...

    @property
    def per_minute(self) -> int | None:
        """Requests in a minute, and at most so many at once."""
        ...

    @property
    def max_mb(self) -> int | None:
        """Size of one request in MB."""
        ...


@dataclass(slots=True)
class _Bucket:
    left: float
    seen: float


class Limits:
    """One server's count of requests by token: a bucket that holds a minute's worth and fills steadily."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def wait_s(self, token: Limited, path: str) -> int | None:
        """Take a request from the token's bucket; None lets it through, else seconds after which the next will be."""
        if token.per_minute is None or not path.startswith(COUNTED):
            return None
        now, rate = self._clock(), token.per_minute / 60
        bucket = self._buckets.setdefault(token.digest, _Bucket(token.per_minute, now))
        bucket.left = min(token.per_minute, bucket.left + (now - bucket.seen) * rate)
        bucket.seen = now
        if bucket.left < 1:
            return max(1, math.ceil((1 - bucket.left) / rate))
        bucket.left -= 1
        return None


def largest(token: Limited | None, server_mb: int) -> int:
    """Bytes that a request may have: the server's limit, or the token's where that is less."""
    limit = (server_mb + 1) << 20
    return limit if token is None or token.max_mb is None else min(limit, token.max_mb << 20)
