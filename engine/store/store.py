"""Store: KV chunks on disk, found by what they were computed from, believed only after they are checked."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from engine.errors import CorruptChunk, StoreError
from engine.store import segment as chunk_file
from engine.store.catalog import Catalog
from engine.store.manifest import Manifest
from engine.store.namespace import Namespace
from engine.store.segment import Segment

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A verified chunk: per layer keys and values [Hkv, T, D]."""

    key: str
    tokens: int
    keys: list[Tensor]
    values: list[Tensor]


@dataclass(frozen=True, slots=True)
class Prefix:
    """The chunks that hold the beginning of a prompt, in order, and why there are no more."""

    segments: tuple[Segment, ...]
    miss_reason: str | None

    @property
    def tokens(self) -> int:
        """Tokens that these chunks hold."""
        return sum(len(s.tokens) for s in self.segments)


class Store:
    """A folder of chunk files and its catalogue; several processes may use one folder.

    Layout: <root>/chunks/<first two of key>/<key>.kv, <root>/catalog.db, <root>/quarantine/.
    """

    def __init__(self, root: Path, *, quota_bytes: int | None = None) -> None:
        self.root, self.quota_bytes = root, quota_bytes
        for folder in (root, root / "chunks", root / "quarantine"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._catalog = Catalog(root / "catalog.db")

    def close(self) -> None:
        """Release the catalogue."""
        self._catalog.close()

    # -- reading ------------------------------------------------------------------------------------------------------

    def longest_prefix(self, namespace: Namespace, tokens: Sequence[int], spans: Sequence[tuple[int, int]]) -> Prefix:
        """The longest run of chunks whose files are there, sound in their headers, and hold these very tokens."""
        found: list[Segment] = []
        parent: str | None = None
        reason: str | None = None
        for start, end in spans:
            want = tokens[start:end]
            key = namespace.chunk_key(parent, _token_bytes(want))
            path = self._path(key)
            if not path.is_file():
                reason = self._explain(namespace) if not found else f"tokens from {start:,} on were not kept"
                break
            try:
                segment = Segment.open(path)
                self._check(segment, namespace, key, parent, want)
            except CorruptChunk as error:
                reason = str(error)
                self._quarantine(key, error)
                break
            found.append(segment)
            parent = key
        return Prefix(tuple(found), reason)

    def load(self, prefix: Prefix) -> Iterator[Chunk]:
        """Read and verify chunk after chunk; a damaged one is set aside and ends the iteration before it."""
        loaded: list[str] = []
        for segment in prefix.segments:
            try:
                layers = segment.read()
            except (CorruptChunk, OSError) as error:
                self._quarantine(segment.key, error)
                break
            loaded.append(segment.key)
            yield Chunk(segment.key, len(segment.tokens), [k for k, _ in layers], [v for _, v in layers])
        if loaded:
            self._catalog.touch(loaded)

    def _check(
        self, segment: Segment, namespace: Namespace, key: str, parent: str | None, tokens: Sequence[int]
    ) -> None:
        if segment.key != key or segment.parent != parent:
            raise CorruptChunk(segment.path, "it belongs elsewhere in the chain")
        if segment.tokens != tuple(tokens):
            raise CorruptChunk(segment.path, "it holds other tokens")
        difference = namespace.difference(segment.namespace)
        if difference:
            raise CorruptChunk(segment.path, difference)

    def _explain(self, namespace: Namespace) -> str:
        other = self._catalog.latest_namespace(namespace.digest)
        if other is None:
            return "nothing like it was kept yet"
        return f"nothing like it was kept under these settings ({namespace.difference(other)})"

    # -- writing ------------------------------------------------------------------------------------------------------

    def save(
        self,
        namespace: Namespace,
        parent: str | None,
        tokens: Sequence[int],
        layers: Sequence[tuple[Tensor, Tensor]],
    ) -> str:
        """Keep one chunk, [Hkv, T, D] keys and values per layer; returns its key. Saving it again changes nothing.

        Raises StoreError when the disk does not take it; nothing is left behind then.
        """
        key = namespace.chunk_key(parent, _token_bytes(tokens))
        path = self._path(key)
        if not path.is_file():
            try:
                path.parent.mkdir(mode=0o700, exist_ok=True)
                chunk_file.write(
                    path.parent,
                    key=key,
                    parent=parent,
                    namespace=namespace.record(),
                    tokens=tokens,
                    layers=layers,
                )
            except OSError as error:
                raise StoreError(f"A KV chunk could not be written: {error.strerror or error}.") from error
        self._catalog.add(Segment.open(path), namespace.digest, path.stat().st_size)
        if self.quota_bytes is not None:
            self.evict(self.quota_bytes)
        return key

    def evict(self, quota_bytes: int) -> int:
        """Delete unpinned chunks, least recently used and tail first, until `quota_bytes` suffice; bytes freed."""
        freed, over = 0, self.usage() - quota_bytes
        while freed < over:
            victims = self._catalog.victims()
            if not victims:
                break
            for key, size in victims:
                self._catalog.forget(key)
                self._path(key).unlink(missing_ok=True)
                freed += size
                if freed >= over:
                    break
        return freed

    def _quarantine(self, key: str, error: Exception) -> None:
        log.warning("%s", error)
        self._catalog.forget(key)
        path = self._path(key)
        if path.is_file():
            path.replace(self.root / "quarantine" / path.name)

    # -- sessions -----------------------------------------------------------------------------------------------------

    def pin(self, name: str, namespace: Namespace, tokens: Sequence[int], spans: Sequence[tuple[int, int]]) -> Manifest:
        """Name the session of these tokens and keep it from eviction; raises StoreError where it is not kept."""
        prefix = self.longest_prefix(namespace, tokens, spans)
        if prefix.tokens != len(tokens):
            raise StoreError(f"The session '{name}' cannot be pinned: {prefix.miss_reason}.")
        self._catalog.name_session(name, namespace.digest, [s.key for s in prefix.segments], pinned=True)
        return next(m for m in self.sessions() if m.name == name)

    def sessions(self) -> list[Manifest]:
        """Every named session."""
        return self._catalog.sessions()

    def remove(self, name: str) -> None:
        """Unpin and forget a session; raises StoreError where there is none."""
        if not self._catalog.drop_session(name):
            raise StoreError(f"There is no session '{name}'.")

    # -- care ---------------------------------------------------------------------------------------------------------

    def usage(self) -> int:
        """Bytes of all chunks."""
        return self._catalog.usage()

    def verify(self) -> list[str]:
        """Read every chunk whole; damaged ones are set aside. Returns one line for each."""
        bad: list[str] = []
        for path in sorted((self.root / "chunks").glob("*/*.kv")):
            try:
                segment = Segment.open(path)
                if segment.key != path.stem:
                    raise CorruptChunk(path, "it has another chunk's name")
                segment.read()
            except CorruptChunk as error:
                bad.append(str(error))
                self._quarantine(path.stem, error)
        return bad

    def rebuild(self) -> int:
        """Make the catalogue's chunk rows anew from the files, and remove leftovers of killed writers; chunks found."""
        for leftover in (self.root / "chunks").glob("*/.*.tmp"):
            leftover.unlink(missing_ok=True)
        segments: dict[str, Segment] = {}
        for path in (self.root / "chunks").glob("*/*.kv"):
            try:
                segments[path.stem] = Segment.open(path)
            except CorruptChunk as error:
                self._quarantine(path.stem, error)
        for key in self._catalog.keys() - segments.keys():
            self._catalog.forget(key)
        for segment in sorted(segments.values(), key=lambda s: _depth(s, segments)):
            record = segment.namespace
            digest = _record_digest(record)
            self._catalog.add(segment, digest, segment.path.stat().st_size)
        return len(segments)

    def _path(self, key: str) -> Path:
        return self.root / "chunks" / key[:2] / f"{key}.kv"


def _token_bytes(tokens: Sequence[int]) -> bytes:
    return np.asarray(tokens, dtype="<u4").tobytes()


def _depth(segment: Segment, among: dict[str, Segment]) -> int:
    depth = 0
    while segment.parent in among:
        segment = among[segment.parent]
        depth += 1
    return depth


def _record_digest(record: dict[str, object]) -> str:
    import hashlib

    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
