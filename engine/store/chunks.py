"""Chunks: the chunk files, and what the catalogue knows of them."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from engine.errors import CorruptChunk, StoreError
from engine.store.catalog import Catalog
from engine.store.errors import StoreFull
from engine.store.files import mark_used
from engine.store.quarantine import Quarantine
from engine.store.seal import Seal
from engine.store.segment import Segment
from engine.store.tables import Entry

log = logging.getLogger(__name__)


class Chunks:
    """Files <first two of key>/<key>.kv in a folder; the files are believed, the catalogue follows them."""

    def __init__(self, folder: Path, catalog: Catalog, quarantine: Quarantine, seal: Seal) -> None:
        self.folder, self.seal = folder, seal
        self._catalog, self._quarantine = catalog, quarantine

    def path(self, key: str) -> Path:
        """Where a chunk's file is, or would be."""
        return self.folder / key[:2] / f"{key}.kv"

    def files(self) -> list[Path]:
        """Every chunk file."""
        return sorted(self.folder.glob("*/*.kv"))

    def open(self, key: str) -> Segment:
        """A chunk whose header is sound; raises FileNotFoundError, OSError, CorruptChunk."""
        segment = Segment.open(self.path(key), self.seal)
        if segment.key != key:
            raise CorruptChunk(segment.path, "it has another chunk's name")
        return segment

    def has(self, key: str) -> bool:
        """Whether a chunk's file is there and sound in its header; a damaged one is set aside."""
        try:
            self.open(key)
        except FileNotFoundError:
            return False
        except CorruptChunk as error:
            self.set_aside(key, error)
            return False
        return True

    def note(self, key: str, parent: str | None, namespace: dict[str, Any]) -> None:
        """Have the catalogue know a chunk, unless another process has evicted it already."""
        with contextlib.suppress(FileNotFoundError):
            self._catalog.add([entry(self.path(key), parent, namespace)])

    def touch(self, keys: Sequence[str]) -> None:
        """Mark chunks used, in their files and in the catalogue; a store that cannot be written to is still read."""
        if not keys:
            return
        now = time.time_ns()
        try:
            for key in keys:
                with contextlib.suppress(FileNotFoundError):
                    mark_used(self.path(key), now)
            self._catalog.touch(keys, now)
        except (OSError, StoreError) as error:
            log.warning("The session store could not note what was used: %s", error)

    def make_room(self, quota: int, size: int, parent: str | None) -> None:
        """Evict what a new chunk needs gone, never what stands before it; StoreFull, and nothing gone, if in vain."""
        over = self._catalog.usage() + size - quota
        victims = list(self._catalog.victims(spare=parent))
        if sum(freed for _, freed in victims) < over:
            raise StoreFull(f"The session store's quota of {quota / 1e9:.2f} GB has no room for another KV chunk.")
        self.delete(victims, over)

    def delete(self, victims: Iterable[tuple[str, int]], over: int) -> int:
        """Delete chunks, (key, bytes), in this order until `over` bytes are freed; how many were."""
        freed, gone = 0, []
        for key, size in victims:
            if freed >= over:
                break
            self.path(key).unlink(missing_ok=True)
            gone.append(key)
            freed += size
        self._catalog.forget(gone)
        return freed

    def set_aside(self, key: str, error: Exception) -> None:
        """Believe a chunk no more, and say why."""
        log.warning("%s", error)
        self._quarantine.take(self.path(key))
        with contextlib.suppress(StoreError):
            self._catalog.forget([key])


def entry(path: Path, parent: str | None, namespace: dict[str, Any]) -> Entry:
    """What the catalogue should know of a chunk file; raises OSError."""
    stat = path.stat()
    return Entry(path.stem, namespace, parent, stat.st_size, stat.st_mtime_ns)
