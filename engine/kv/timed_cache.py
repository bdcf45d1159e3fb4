"""TimedCache: a cache as a model's layers fill it, the time that moving keys and values takes counted."""

from __future__ import annotations

from typing import Any

from transformers.cache_utils import Cache

from engine.prefill.stopwatch import Stopwatch


class TimedCache(Cache):  # type: ignore[misc]
    """Passes everything on to another cache."""

    def __init__(self, cache: Cache, watch: Stopwatch) -> None:
        super().__init__(layers=cache.layers)
        self._cache, self._watch = cache, watch

    def update(self, *args: Any, **kw: Any) -> Any:
        """As the other cache does it."""
        with self._watch.part("copies"):
            return self._cache.update(*args, **kw)
