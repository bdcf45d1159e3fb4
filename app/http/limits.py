"""Limits: how often a token's holder may ask, and how much may come at once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

COUNTED = ("/v1/", "/api/")
"""What counts: a program's requests, not the many small ones of the page."""
MOST = 10_000
"""Buckets that are remembered."""


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


class Buckets:
    """Buckets by name, each of which fills steadily; those that were used longest ago are forgotten beyond MOST."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def wait_s(self, key: str, *, size: int, per_s: float) -> int | None:
        """Take one from a bucket of that size; None where there was one, else seconds after which there will be."""
        now = self._clock()
        bucket = self._buckets.pop(key, None) or _Bucket(size, now)
        self._buckets[key] = bucket
        if len(self._buckets) > MOST:
            del self._buckets[next(iter(self._buckets))]
        bucket.left = min(size, bucket.left + (now - bucket.seen) * per_s)
        bucket.seen = now
        if bucket.left < 1:
            return max(1, math.ceil((1 - bucket.left) / per_s))
        bucket.left -= 1
        return None

    def give_back(self, key: str, count: float = math.inf) -> None:
        """Put back what was taken, at most until the bucket is full (which the next look sees to)."""
        if key in self._buckets:
            self._buckets[key].left += count


class Limits:
    """One server's count of requests by token: a bucket that holds a minute's worth."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = Buckets(clock)

    def wait_s(self, token: Limited, path: str) -> int | None:
        """Take a request from the token's bucket; None lets it through, else seconds after which the next will be."""
        if token.per_minute is None or not path.startswith(COUNTED):
            return None
        return self._buckets.wait_s(token.digest, size=token.per_minute, per_s=token.per_minute / 60)


class SignInLimits:
    """One server's count of attempts to sign in: a few for a name from an address, more for an address as a whole."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = Buckets(clock)

    def wait_s(self, address: str, name: str) -> int | None:
        """Count an attempt; None lets it through, else seconds after which the next will be."""
        by_name = self._buckets.wait_s(f"{address} {name}", size=5, per_s=1 / 60)
        by_address = self._buckets.wait_s(address, size=20, per_s=1 / 10)
        return max((wait for wait in (by_name, by_address) if wait is not None), default=None)

    def succeeded(self, address: str, name: str) -> None:
        """Forget the failures of somebody who knew the password; for the address it was no attempt."""
        self._buckets.give_back(f"{address} {name}")
        self._buckets.give_back(address, 1)


def largest(token: Limited | None, server_mb: int) -> int:
    """Bytes that a request may have: the server's limit, or the token's where that is less."""
    limit = (server_mb + 1) << 20
    return limit if token is None or token.max_mb is None else min(limit, token.max_mb << 20)
