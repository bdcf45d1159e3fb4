"""Lookup: the longest prefix that is kept, checked against the very tokens, and why it is no longer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.errors import CorruptChunk, StoreError
from engine.misses import miss
from engine.reason import Reason
from engine.store.catalog import Catalog
from engine.store.chunks import Chunks
from engine.store.namespace import Namespace
from engine.store.restore import Layers, Restorer
from engine.store.segment import Segment
from engine.store.writer import Writer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prefix:
    """The chunks that hold the beginning of a prompt, in order, and why there are no more."""

    segments: tuple[Segment, ...]
    miss_reason: Reason | None

    @property
    def tokens(self) -> int:
        """Tokens that these chunks hold."""
        return sum(len(s.tokens) for s in self.segments)

    @property
    def bytes(self) -> int:
        """Bytes of their layers."""
        return sum(place.length for s in self.segments for place in s.layers)


class Lookup:
    """Finds prefixes among the chunks, and fills memory with them."""

    def __init__(self, chunks: Chunks, catalog: Catalog, restorer: Restorer, writer: Writer) -> None:
        self._chunks, self._catalog, self.restorer, self._writer = chunks, catalog, restorer, writer

    def find(
        self, namespace: Namespace, tokens: Sequence[int], spans: Sequence[tuple[int, int]], keys: Sequence[str]
    ) -> Prefix:
        """The longest run of chunks whose files are there, sound in their headers, and hold these very tokens."""
        found: list[Segment] = []
        reason: Reason | None = None
        for (start, end), key in zip(spans, keys, strict=True):
            try:
                segment = self._chunks.open(key)
                _check(segment, namespace, tokens[start:end])
            except FileNotFoundError:
                reason = self._explain(namespace, key, start)
                break
            except OSError as error:
                reason = miss("unreadable", start=start, error=error.strerror)
                break
            except CorruptChunk as error:
                reason = miss("chunk_damaged", error=str(error))
                self._chunks.set_aside(key, error)
                break
            found.append(segment)
        return Prefix(tuple(found), reason)

    def _explain(self, namespace: Namespace, key: str, start: int) -> Reason:
        """Why a chunk is not there: its save tells, or of the first one the namespace that comes closest."""
        if (fate := self._writer.fate(key)) is not None:
            return miss(f"rest_{fate}" if start else fate, start=start, error=self._writer.failure(key))
        if start:
            return miss("rest_not_kept", start=start)
        try:
            others = self._catalog.namespaces()
        except StoreError as error:
            return miss("catalogue", error=str(error))
        waiting = self._writer.saving.waiting
        if not others:
            return miss("nothing_kept_saving", waiting=waiting) if waiting else miss("nothing_kept")
        closest = min(others, key=lambda other: len(namespace.differing(other)))
        fields, difference = ", ".join(namespace.differing(closest)), namespace.difference(closest)
        return miss("other_settings", fields=fields, difference=difference) if fields else miss("other_beginning")

    def restore(self, prefix: Prefix, layers: Layers, on_tokens: Callable[[int], None] | None) -> int:
        """What Store.restore does."""
        segments, done, start = list(prefix.segments), 0, 0
        while done < len(segments):
            more, error = self.restorer.restore(segments[done:], layers, start=start, on_tokens=on_tokens)
            start += sum(len(s.tokens) for s in segments[done : done + more])
            done += more
            if isinstance(error, OSError):  # evicted meanwhile, or unreadable for now
                log.warning("The KV chunk %s cannot be read: %s", segments[done].key, error.strerror)
                break
            if error is not None:
                again = segments[done].reopened()
                if again is None:
                    self._chunks.set_aside(segments[done].key, error)
                    break
                segments[done] = again
        self._chunks.touch([s.key for s in segments[:done]])
        return start


def _check(segment: Segment, namespace: Namespace, tokens: Sequence[int]) -> None:
    if segment.tokens != tuple(tokens):
        raise CorruptChunk(segment.path, "it holds other tokens")
    difference = namespace.difference(segment.namespace)
    if difference:
        raise CorruptChunk(segment.path, difference)
