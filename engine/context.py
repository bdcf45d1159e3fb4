"""Context: a prefix whose keys and values are in memory, and what it took to make it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.kv.cache import KVCache
from engine.kv.host_cache import HostCache
from engine.kv.prefix import HostPrefix, Prefix, ResidentPrefix
from engine.prefill.head_figures import HeadFigures
from engine.prefill.stopwatch import Part
from engine.reason import Reason

if TYPE_CHECKING:
    from engine.store import Plan


@dataclass(frozen=True, slots=True)
class PrefillStats:
    """What it took to make a context. density and recall are null where every key was computed or none."""

    prompt_tokens: int
    cached_tokens: int
    prefill_seconds: float
    restore_seconds: float
    density: float | None
    recall: float | None
    miss_reason: Reason | None
    plan: Plan | None = None
    """What restoring and computing the kept prefix were expected to take."""
    parts: Mapping[Part, float] = field(default_factory=dict)
    """Of prefill_seconds, those that had a part of their own; the rest are the model's linear layers."""
    heads: HeadFigures | None = None
    """Of the tokens that were computed; null where none was."""


@dataclass(slots=True)
class Context:
    """A prefix whose KV is in memory: tokens, cache, and how it came to be."""

    tokens: list[int]
    cache: KVCache | HostCache = field(repr=False)
    stats: PrefillStats
    prefix: Prefix = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.prefix = HostPrefix(self.cache) if isinstance(self.cache, HostCache) else ResidentPrefix(self.cache)
