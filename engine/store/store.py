"""Store: KV chunks on disk, found by what they were computed from, believed only after they are checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.errors import StoreError
from engine.reason import Reason
from engine.store.care import forget, reconcile, verify
from engine.store.catalog import open_catalog
from engine.store.chunks import Chunks, entry
from engine.store.database import database_at
from engine.store.draft import Draft
from engine.store.errors import ReadOnly, SessionIncomplete, refused
from engine.store.files import make_folder, only_read, place
from engine.store.identity import Identity
from engine.store.lookup import Lookup, Prefix
from engine.store.manifest import Manifest
from engine.store.namespace import Namespace, chain_keys, record_digest
from engine.store.planner import Plan, Planner
from engine.store.quarantine import Quarantine
from engine.store.restore import Layers, Restorer
from engine.store.seal import seal_of
from engine.store.sessions import Sessions
from engine.store.writer import Saving, Writer

QUEUE_BYTES = 1 << 30
"""Copies of chunks that may wait to be saved."""


class Store:
    """A folder of chunk files and its catalogue; several processes may use one folder (of a POSIX file system).

    The folder may be an object store's (s3://bucket/folder); the catalogue is then elsewhere.

    Layout: <root>/chunks/<first two of key>/<key>.kv, sessions/*.session, quarantine/, store.json, catalog.db, lock.
    """

    def __init__(
        self, root: str | Path, *, quota_bytes: int | None = None, key: str = "", catalogue: str | Path | None = None
    ) -> None:
        """Open or make it, and put right what a killed process left; `key`, 64 hex digits, encrypts its files.

        `catalogue` is another place for the SQLite file, or the address of a PostgreSQL database where several machines
        share the folder. A folder that cannot be written is read all the same, its catalogue made from its files in a
        temporary place. Raises StoreError; WrongKey where it was begun with another key or without one.
        """
        self.root = root = place(root)
        self._quota = quota_bytes
        self.seal = seal_of(key)
        self._writer = Writer(self._write_behind, QUEUE_BYTES)
        self._apart = TemporaryDirectory(prefix="omnibus-") if only_read(root) else None
        try:
            for folder in () if self._apart else (root, root / "chunks", root / "sessions", root / "quarantine"):
                make_folder(folder)
        except OSError as error:
            raise refused(f"The session store {root}", error) from error
        quarantine = Quarantine(root / "quarantine")
        self._database = database_at(catalogue or (Path(self._apart.name) if self._apart else root) / "catalog.db")
        with self._locked():
            store = Identity.settle(root, self.seal.key_id).store
            self._catalog = open_catalog(self._database, store, quarantine)
            self._chunks = Chunks(root / "chunks", self._catalog, quarantine, self.seal)
            self._sessions = Sessions(root / "sessions", quarantine, self.seal)
            self._lookup = Lookup(self._chunks, self._catalog, Restorer(), self._writer)
            self._planner = Planner(self._catalog)
            reconcile(self._chunks, self._sessions, self._catalog)

    def close(self) -> None:
        """Wait for what is being saved, and release the catalogue."""
        self.flush()
        self._catalog.close()
        if self._apart:
            self._apart.cleanup()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among processes; what the system refuses meanwhile becomes a StoreError."""
        try:
            with self._database.alone():
                yield
        except OSError as error:
            raise refused(f"The session store {self.root}", error) from error

    # -- reading ------------------------------------------------------------------------------------------------------

    def longest_prefix(self, namespace: Namespace, tokens: Sequence[int], spans: Sequence[tuple[int, int]]) -> Prefix:
        """The longest run of chunks whose files are there, sound in their headers, and hold these very tokens."""
        keys = chain_keys(namespace.digest, tokens, spans)
        self._writer.wait(frozenset(keys))
        return self._lookup.find(namespace, tokens, spans, keys)

    def restore(self, prefix: Prefix, layers: Layers, *, on_tokens: Callable[[int], None] | None = None) -> int:
        """Fill `layers`, keys and values [Hkv, T, D] each, with the prefix; returns how many tokens are there.

        Each is verified; what lies behind them is undefined. A damaged chunk is set aside and ends it. `on_tokens` is
        called with how many there are as they grow; what it raises ends it too.
        """
        started = time.perf_counter()
        tokens = self._lookup.restore(prefix, layers, on_tokens)
        if tokens and tokens == prefix.tokens:
            namespace = record_digest(prefix.segments[0].namespace)
            self._planner.restored(namespace, prefix.bytes, time.perf_counter() - started)
        return tokens

    def plan(self, namespace: Namespace, prefix: Prefix) -> Plan:
        """Whether restoring a prefix is expected to be worth it, by what `restore` and `computed` measured so far."""
        return self._planner.plan(namespace.digest, prefix.tokens, prefix.bytes)

    def computed(self, namespace: Namespace, tokens: int, seconds: float) -> None:
        """Learn how long it took to compute the KV of so many tokens."""
        self._planner.computed(namespace.digest, tokens, seconds)

    def chunk_path(self, key: str) -> Path:
        """Where a chunk's file is, or would be."""
        return self._chunks.path(key)

    def usage(self) -> int:
        """Bytes of all chunks."""
        return self._catalog.usage()

    # -- writing ------------------------------------------------------------------------------------------------------

    def save(self, namespace: Namespace, parent: str | None, tokens: Sequence[int], layers: Layers) -> str:
        """Keep one chunk, [Hkv, T, D] keys and values per layer; returns its key. Saving it again changes nothing.

        Where the namespace's codec quantises, the tensors become what a lookup will give back. Raises StoreFull where
        the disk or the quota has no room, StoreError where the tensors are not what the namespace says or the disk
        refuses; nothing is left behind then.
        """
        draft = Draft.of(namespace, parent, tokens, layers, self.seal)
        self._write(draft)
        return draft.key

    def save_later(self, namespace: Namespace, parent: str | None, tokens: Sequence[int], layers: Layers) -> str:
        """`save` behind the caller's back: only copies the tensors, and waits only while QUEUE_BYTES wait already.

        `flush` and `close` wait for it, and a lookup of the chunk too. What cannot be kept shows in `saving`; raises
        StoreError where the tensors are not what the namespace says, ReadOnly where nothing can be.
        """
        self._require_writable()
        draft = Draft.of(namespace, parent, tokens, layers, self.seal)
        self._writer.put(draft)
        return draft.key

    def flush(self) -> None:
        """Wait until everything given to `save_later` is saved or given up."""
        self._writer.wait()

    @property
    def saving(self) -> Saving:
        """What `save_later` has done so far."""
        return self._writer.saving

    def _require_writable(self) -> None:
        """Raise ReadOnly."""
        if self._apart:
            raise ReadOnly(self.root)

    def _write_behind(self, draft: Draft) -> None:
        if draft.parent is not None and not self.chunk_path(draft.parent).is_file():
            raise StoreError("The chunk before it was not kept.")
        self._write(draft)

    def _write(self, draft: Draft) -> None:
        self.keep(draft.key, draft.parent, draft.namespace, draft.file_bytes, draft.write)

    def keep(
        self, key: str, parent: str | None, namespace: dict[str, Any], size: int, write: Callable[[Path], None]
    ) -> None:
        """Have `write` make a chunk's file of at most `size` bytes, unless it is there; raises what `save` does."""
        self._require_writable()
        path = self.chunk_path(key)
        try:
            if self._chunks.has(key):
                self._chunks.touch([key])
            else:
                if self._quota is not None and self.usage() + size > self._quota:
                    with self._locked():
                        self._chunks.make_room(self._quota, size, parent)
                make_folder(path.parent)
                write(path)
            self._chunks.note(key, parent, namespace)
        except OSError as error:
            raise refused("A KV chunk", error) from error

    def evict(self, quota_bytes: int) -> int:
        """Delete unpinned chunks, least recently used and tail first, until `quota_bytes` suffice; bytes freed."""
        with self._locked():
            return self._chunks.delete(self._catalog.victims(), self.usage() - quota_bytes)

    # -- sessions -----------------------------------------------------------------------------------------------------

    def pin(
        self,
        name: str,
        namespace: Namespace,
        tokens: Sequence[int],
        spans: Sequence[tuple[int, int]],
        *,
        pack: str = "",
    ) -> Manifest:
        """Name the session of these tokens and keep it from eviction; raises SessionIncomplete where it is not kept."""
        keys = chain_keys(namespace.digest, tokens, spans)
        self._writer.wait(frozenset(keys))  # the writer may need the lock
        with self._locked():
            prefix = self._lookup.find(namespace, tokens, spans, keys)
            if prefix.tokens != len(tokens):
                raise SessionIncomplete(name, prefix.tokens, len(tokens), prefix.miss_reason or "it has no spans")
            entries = [entry(s.path, s.parent, s.namespace) for s in prefix.segments]
            size, ids = sum(e.bytes for e in entries), tuple(int(t) for t in tokens)
            manifest = Manifest(name, namespace.record(), ids, tuple(keys), size, pack, time.time_ns())
            self._sessions.put(manifest)
            self._catalog.add(entries)
            self._catalog.name_session(name, keys)
        return manifest

    def sessions(self) -> list[Manifest]:
        """Every named session, by name; a damaged session file is set aside."""
        return self._sessions.all()

    def session(self, name: str) -> Manifest:
        """A named session; raises NoSuchSession, StoreError where its file is damaged."""
        return self._sessions.get(name)

    def prefix_of(self, manifest: Manifest, namespace: Namespace) -> Prefix:
        """What of a session a lookup in this namespace gives, and why no more."""
        difference = namespace.difference(manifest.namespace)
        if difference:
            return Prefix((), Reason(difference))
        total, step = len(manifest.tokens), namespace.chunk_tokens
        spans = [(start, min(start + step, total)) for start in range(0, total, step)]
        return self.longest_prefix(namespace, manifest.tokens, spans)

    def last_use(self, manifest: Manifest) -> int:
        """When a session was last used, in nanoseconds."""
        return self._catalog.last_use(manifest.keys)

    def remove(self, name: str) -> None:
        """Unpin and forget a session, its chunks stay until they are evicted; raises NoSuchSession."""
        with self._locked():
            self._sessions.remove(name)
            self._catalog.drop_session(name)

    def forget(self, keys: Collection[str]) -> int:
        """Delete chunks, whoever holds them, and the sessions that hold any of them; bytes freed."""
        self.flush()
        with self._locked():
            return forget(self._chunks, self._sessions, self._catalog, keys)

    # -- care ---------------------------------------------------------------------------------------------------------

    def verify(self) -> list[str]:
        """Read every chunk whole, and set damaged ones aside; a line for each and for each session that lacks any."""
        self.flush()
        return verify(self._chunks, self._sessions)

    def rebuild(self) -> int:
        """Make the catalogue anew from the files, and remove what killed writers left; chunks found."""
        with self._locked():
            self._catalog.clear()
            reconcile(self._chunks, self._sessions, self._catalog)
            return len(self._catalog.keys())
