"""Inside: how an answer was made, beyond its statistics: time by part, attention by head and place, the store's use."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from app.answering.attention_map import AttentionMap, Cell, MappedDocument, attention_map
from app.answering.kept_figures import KeptFigures
from engine.prefill.head_figures import HeadFigures as HeadFigures
from engine.prefill.head_figures import Rows as Rows
from engine.reason import Reason

if TYPE_CHECKING:
    from app.planning.planning import Prepared
    from engine.context import Context
    from engine.decode.generate import GenerationStats
    from engine.decode.provenance import Provenance
    from engine.engine import Engine

Part = Literal[
    "waiting", "packing", "restore", "index", "attention", "audit", "linear", "copies", "question", "decode", "proof"
]
"""In the order in which they come: the turn waited for, documents packed, KV restored; of the reading the choice of
keys, attention, its audit, linear layers and the rest, KV moved; the question read, words written, a proof picked."""


@dataclass(frozen=True, slots=True)
class StoreUse:
    """What the session store gave and holds. Tokens, bytes (a quota of 0 has no limit), seconds expected."""

    prompt_tokens: int
    restored_tokens: int
    kv_bytes: int
    store_bytes: int
    quota_bytes: int
    miss_reason: Reason | None
    restore_seconds: float | None
    compute_seconds: float | None


@dataclass(frozen=True, slots=True)
class Inside:
    """Seconds by part; figures of the heads over `read_tokens` tokens (null where none are left), `earlier` where they
    were measured at an earlier reading; where the answer looked; the store's use, null where there is no store."""

    seconds: dict[Part, float]
    heads: HeadFigures | None
    read_tokens: int
    earlier: bool
    map: AttentionMap
    store: StoreUse | None

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Inside:
        """From what asdict made of it, through JSON."""
        heads, store, drawn = kept["heads"], kept["store"], kept["map"]
        documents = tuple(
            MappedDocument(d["path"], d["share"], tuple(Cell(**c) for c in d["cells"])) for d in drawn["documents"]
        )
        return cls(
            kept["seconds"],
            _heads(heads) if heads else None,
            kept["read_tokens"],
            kept["earlier"],
            AttentionMap(documents, drawn["others"], drawn["elsewhere"]),
            _use(store) if store else None,
        )


@dataclass(slots=True)
class Laps:
    """What an answer's steps take, measured while it is made."""

    waiting: float = 0.0
    taken: dict[Part, float] = field(default_factory=dict)

    @contextmanager
    def lap(self, part: Part) -> Iterator[None]:
        """Count the block as this part."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.taken[part] = time.perf_counter() - started


def inside(
    engine: Engine,
    context: Context,
    prepared: Prepared,
    generation: GenerationStats,
    seen: Provenance,
    laps: Laps,
    figures: KeptFigures,
    quota_bytes: int,
) -> Inside:
    """The inside of an answer that has just been made; what was read now is kept for the answers to come."""
    stats = context.stats
    heads, read, earlier = stats.heads, stats.prompt_tokens - stats.cached_tokens, False
    key = _key(engine, context.tokens)
    if heads is not None:
        figures.put(key, heads, read)
    elif (kept := figures.get(key)) is not None:
        (heads, read), earlier = kept, True
    parts: dict[Part, float] = {"waiting": laps.waiting, "restore": stats.restore_seconds, **laps.taken}
    parts.update(stats.parts.items())
    parts["linear"] = max(0.0, stats.prefill_seconds - sum(stats.parts.values())) if stats.heads is not None else 0.0
    parts["question"], parts["decode"] = generation.ttft_seconds, generation.decode_seconds
    drawn = attention_map(prepared.packed, seen.shares(), block=seen.block, before=len(prepared.head))
    return Inside(
        {part: round(parts[part], 4) for part in get_args(Part) if part in parts},
        heads,
        read,
        earlier,
        drawn,
        _store(engine, context, quota_bytes),
    )


def _store(engine: Engine, context: Context, quota_bytes: int) -> StoreUse | None:
    if engine.store is None:
        return None
    stats, expected = context.stats, context.stats.plan
    return StoreUse(
        stats.prompt_tokens,
        stats.cached_tokens,
        stats.prompt_tokens * engine.model.fingerprint.kv_bytes_per_token,
        engine.store.usage(),
        quota_bytes,
        stats.miss_reason,
        expected.restore_seconds if expected else None,
        expected.compute_seconds if expected else None,
    )


def _use(kept: dict[str, Any]) -> StoreUse:
    why = kept["miss_reason"]
    return StoreUse(**{**kept, "miss_reason": None if why is None else Reason.read(why)})


def _key(engine: Engine, tokens: list[int]) -> str:
    """What the figures of a reading depend on."""
    digest = hashlib.sha256(engine.namespace.digest.encode())
    digest.update(np.asarray(tokens, dtype="<i4").tobytes())
    return digest.hexdigest()


def _heads(kept: dict[str, Any]) -> HeadFigures:
    return HeadFigures(tuple(map(tuple, kept["density"])), tuple(map(tuple, kept["kept"])))
