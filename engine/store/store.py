"""Store: KV chunks on disk, found by what they were computed from, believed only after they are checked."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import CorruptChunk, StoreError
from engine.store.catalog import Catalog, Entry
from engine.store.codecs import DTYPES, Codec, codec
from engine.store.errors import CatalogueDamaged, NoSuchSession, SessionIncomplete, StoreFull, refused
from engine.store.files import locked, make_folder, sweep
from engine.store.manifest import Manifest
from engine.store.namespace import Namespace, chain_keys, chunk_key
from engine.store.restore import Layers, Restorer
from engine.store.segment import Draft, Segment
from engine.store.writer import Saving, Writer

log = logging.getLogger(__name__)

QUEUE_BYTES = 1 << 30
"""Copies of chunks that may wait to be saved."""
QUARANTINED = 16
"""Damaged files kept for a look; older ones go."""


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
    """A folder of chunk files and its catalogue; several processes may use one folder (of a POSIX file system).

    Layout: <root>/chunks/<first two of key>/<key>.kv, sessions/*.session, catalog.db, quarantine/, lock.
    """

    def __init__(self, root: Path, *, quota_bytes: int | None = None) -> None:
        """Open or make it, and put right what a killed process left; raises StoreError."""
        self.root, self.quota_bytes = root, quota_bytes
        self._restorer = Restorer()
        self._writer = Writer(self._write_behind, QUEUE_BYTES)
        try:
            for folder in (root, root / "chunks", root / "sessions", root / "quarantine"):
                make_folder(folder)
        except OSError as error:
            raise refused(f"The session store {root}", error) from error
        with self._locked():
            self._catalog = self._open_catalog()
            self._reconcile()

    def close(self) -> None:
        """Wait for what is being saved, and release the catalogue."""
        self.flush()
        self._catalog.close()

    def _open_catalog(self) -> Catalog:
        path = self.root / "catalog.db"
        try:
            return Catalog(path)
        except CatalogueDamaged as error:
            log.warning("%s It is made again from the files.", error)
            for suffix in ("", "-wal", "-shm"):
                self._set_aside(Path(f"{path}{suffix}"))
            return Catalog(path)

    # -- reading ------------------------------------------------------------------------------------------------------

    def longest_prefix(self, namespace: Namespace, tokens: Sequence[int], spans: Sequence[tuple[int, int]]) -> Prefix:
        """The longest run of chunks whose files are there, sound in their headers, and hold these very tokens."""
        keys = chain_keys(namespace.digest, tokens, spans)
        self._writer.wait(frozenset(keys))
        return self._find(namespace, tokens, spans, keys)

    def _find(
        self, namespace: Namespace, tokens: Sequence[int], spans: Sequence[tuple[int, int]], keys: Sequence[str]
    ) -> Prefix:
        found: list[Segment] = []
        reason: str | None = None
        for (start, end), key in zip(spans, keys, strict=True):
            want = tokens[start:end]
            try:
                segment = Segment.open(self.chunk_path(key))
                self._check(segment, namespace, key, want)
            except FileNotFoundError:
                reason = f"tokens from {start:,} on were not kept" if found else self._explain(namespace)
                break
            except OSError as error:
                reason = f"tokens from {start:,} on cannot be read: {error.strerror}"
                break
            except CorruptChunk as error:
                reason = str(error)
                self._quarantine(key, error)
                break
            found.append(segment)
        return Prefix(tuple(found), reason)

    def restore(self, prefix: Prefix, layers: Layers, *, on_tokens: Callable[[int], None] | None = None) -> int:
        """Fill `layers`, keys and values [Hkv, T, D] each, with the prefix; returns how many tokens are there.

        Each is verified; what lies behind them is undefined. A damaged chunk is set aside and ends it. `on_tokens` is
        called with how many there are as they grow; what it raises ends it too.
        """
        segments, done, start = list(prefix.segments), 0, 0

        def report(chunks: int) -> None:
            if on_tokens is not None:
                on_tokens(start + sum(len(s.tokens) for s in segments[done : done + chunks]))

        while done < len(segments):
            places = [(keys[:, start:], values[:, start:]) for keys, values in layers]
            more, error = self._restorer.restore(segments[done:], places, on_chunk=report)
            start += sum(len(s.tokens) for s in segments[done : done + more])
            done += more
            if isinstance(error, OSError):  # evicted meanwhile, or unreadable for now
                log.warning("The KV chunk %s cannot be read: %s", segments[done].key, error.strerror)
                break
            if error is not None:
                again = _reopened(segments[done])
                if again is None:
                    self._quarantine(segments[done].key, error)
                    break
                segments[done] = again
        self._touch([s.key for s in segments[:done]])
        return start

    def _check(self, segment: Segment, namespace: Namespace, key: str, tokens: Sequence[int]) -> None:
        if segment.key != key:
            raise CorruptChunk(segment.path, "it has another chunk's name")
        if segment.tokens != tuple(tokens):
            raise CorruptChunk(segment.path, "it holds other tokens")
        difference = namespace.difference(segment.namespace)
        if difference:
            raise CorruptChunk(segment.path, difference)

    def _explain(self, namespace: Namespace) -> str:
        """Why not even the first chunk is there: the namespace that comes closest tells."""
        try:
            others = self._catalog.namespaces()
        except StoreError as error:
            return str(error)
        if not others:
            return "nothing was kept yet"
        difference = namespace.difference(min(others, key=lambda other: len(namespace.differing(other))))
        return f"kept under other settings only: {difference}" if difference else "nothing kept begins with them"

    def _touch(self, keys: Sequence[str]) -> None:
        """Mark chunks used, in their files and in the catalogue; a store that cannot be written to is still read."""
        if not keys:
            return
        now = time.time_ns()
        try:
            for key in keys:
                with contextlib.suppress(FileNotFoundError):
                    os.utime(self.chunk_path(key), ns=(now, now))
            self._catalog.touch(keys, now)
        except (OSError, StoreError) as error:
            log.warning("The session store could not note what was used: %s", error)

    # -- writing ------------------------------------------------------------------------------------------------------

    def save(
        self,
        namespace: Namespace,
        parent: str | None,
        tokens: Sequence[int],
        layers: Layers,
    ) -> str:
        """Keep one chunk, [Hkv, T, D] keys and values per layer; returns its key. Saving it again changes nothing.

        Where the namespace's codec quantises, the tensors become what a lookup will give back. Raises StoreFull where
        the disk or the quota has no room, StoreError where the tensors are not what the namespace says or the disk
        refuses; nothing is left behind then.
        """
        draft = _draft(namespace, parent, tokens, layers)
        self._write(draft)
        return draft.key

    def save_later(
        self,
        namespace: Namespace,
        parent: str | None,
        tokens: Sequence[int],
        layers: Layers,
    ) -> str:
        """`save` behind the caller's back: only copies the tensors, and waits only while QUEUE_BYTES wait already.

        `flush` and `close` wait for it, and a lookup of the chunk too. What cannot be kept shows in `saving`; raises
        StoreError where the tensors are not what the namespace says.
        """
        draft = _draft(namespace, parent, tokens, layers)
        self._writer.put(draft)
        return draft.key

    def flush(self) -> None:
        """Wait until everything given to `save_later` is saved or given up."""
        self._writer.wait()

    @property
    def saving(self) -> Saving:
        """What `save_later` has done so far."""
        return self._writer.saving

    def _write_behind(self, draft: Draft) -> None:
        if draft.parent is not None and not self.chunk_path(draft.parent).is_file():
            raise StoreError("The chunk before it was not kept.")
        self._write(draft)

    def _write(self, draft: Draft) -> None:
        self.keep(draft.key, draft.parent, draft.namespace, draft.file_bytes_at_most, draft.write)

    def keep(
        self, key: str, parent: str | None, namespace: dict[str, Any], size: int, write: Callable[[Path], None]
    ) -> None:
        """Have `write` make a chunk's file of at most `size` bytes, unless it is there; raises what `save` does."""
        path = self.chunk_path(key)
        try:
            if self._kept(key):
                self._touch([key])
            else:
                self._make_room(size, parent)
                make_folder(path.parent)
                write(path)
            with contextlib.suppress(FileNotFoundError):  # another process has evicted it already
                self._catalog.add([_entry(path, parent, namespace)])
        except OSError as error:
            raise refused("A KV chunk", error) from error

    def _kept(self, key: str) -> bool:
        try:
            return Segment.open(self.chunk_path(key)).key == key
        except FileNotFoundError:
            return False
        except CorruptChunk as error:
            self._quarantine(key, error)
            return False

    def _make_room(self, size: int, parent: str | None) -> None:
        """Evict what a new chunk needs gone, never what stands before it; StoreFull, and nothing gone, if in vain."""
        if self.quota_bytes is None or self.usage() + size <= self.quota_bytes:
            return
        with self._locked():
            over = self.usage() + size - self.quota_bytes
            victims = list(self._catalog.victims(spare=parent))
            if sum(freed for _, freed in victims) < over:
                raise StoreFull(
                    f"The session store's quota of {self.quota_bytes / 1e9:.2f} GB has no room for another KV chunk."
                )
            self._delete(victims, over)

    def evict(self, quota_bytes: int) -> int:
        """Delete unpinned chunks, least recently used and tail first, until `quota_bytes` suffice; bytes freed."""
        with self._locked():
            return self._delete(self._catalog.victims(), self.usage() - quota_bytes)

    def _delete(self, victims: Iterable[tuple[str, int]], over: int) -> int:
        freed, gone = 0, []
        for key, size in victims:
            if freed >= over:
                break
            self.chunk_path(key).unlink(missing_ok=True)
            gone.append(key)
            freed += size
        self._catalog.forget(gone)
        return freed

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
            prefix = self._find(namespace, tokens, spans, keys)
            if prefix.tokens != len(tokens):
                raise SessionIncomplete(name, prefix.tokens, len(tokens), prefix.miss_reason or "it has no spans")
            size = sum(s.path.stat().st_size for s in prefix.segments)
            ids = tuple(int(t) for t in tokens)
            manifest = Manifest(name, namespace.record(), ids, tuple(keys), size, pack, time.time_ns())
            manifest.write(self.root / "sessions")
            self._catalog.add([_entry(s.path, s.parent, namespace) for s in prefix.segments])
            self._catalog.name_session(name, keys)
        return manifest

    def sessions(self) -> list[Manifest]:
        """Every named session, by name; a damaged session file is set aside."""
        found = []
        for path in (self.root / "sessions").glob("*.session"):
            try:
                found.append(Manifest.read(path))
            except StoreError as error:
                log.warning("%s It was set aside.", error)
                self._set_aside(path)
            except OSError as error:  # removed meanwhile, or unreadable for now
                log.warning("The session file %s cannot be read: %s", path.name, error.strerror)
        return sorted(found, key=lambda m: m.name)

    def session(self, name: str) -> Manifest:
        """A named session; raises NoSuchSession, StoreError where its file is damaged."""
        try:
            return Manifest.read(self.root / "sessions" / Manifest.file_name(name))
        except FileNotFoundError:
            raise NoSuchSession(name) from None

    def prefix_of(self, manifest: Manifest, namespace: Namespace) -> Prefix:
        """What of a session a lookup in this namespace gives, and why no more."""
        difference = namespace.difference(manifest.namespace)
        if difference:
            return Prefix((), difference)
        total, step = len(manifest.tokens), namespace.chunk_tokens
        spans = [(start, min(start + step, total)) for start in range(0, total, step)]
        return self.longest_prefix(namespace, manifest.tokens, spans)

    def last_use(self, manifest: Manifest) -> int:
        """When a session was last used, in nanoseconds."""
        return self._catalog.last_use(manifest.keys)

    def remove(self, name: str) -> None:
        """Unpin and forget a session, its chunks stay until they are evicted; raises NoSuchSession."""
        with self._locked():
            try:
                (self.root / "sessions" / Manifest.file_name(name)).unlink()
            except FileNotFoundError:
                raise NoSuchSession(name) from None
            self._catalog.drop_session(name)

    # -- care ---------------------------------------------------------------------------------------------------------

    def usage(self) -> int:
        """Bytes of all chunks."""
        return self._catalog.usage()

    def verify(self) -> list[str]:
        """Read every chunk whole, and set damaged ones aside; a line for each and for each session that lacks any."""
        self.flush()
        bad: list[str] = []
        for path in self._chunk_files():
            try:
                segment = Segment.open(path)
                if segment.key != path.stem:
                    raise CorruptChunk(path, "it has another chunk's name")
                self._read_through(segment)
            except FileNotFoundError:
                continue
            except (CorruptChunk, OSError) as error:
                bad.append(str(error))
                if isinstance(error, CorruptChunk):
                    self._quarantine(path.stem, error)
        for manifest in self.sessions():
            lost = sum(not self.chunk_path(key).is_file() for key in manifest.keys)
            if lost:
                bad.append(f"The session '{manifest.name}' lacks {lost} of its {len(manifest.keys)} chunks.")
        return bad

    def _read_through(self, segment: Segment) -> None:
        try:
            segment.check()
        except CorruptChunk:
            again = _reopened(segment)
            if again is None:
                raise
            self._read_through(again)

    def rebuild(self) -> int:
        """Make the catalogue anew from the files, and remove what killed writers left; chunks found."""
        with self._locked():
            self._catalog.clear()
            self._reconcile()
            return len(self._catalog.keys())

    def _reconcile(self) -> None:
        """Let the catalogue know what the files are, where a crash or its loss set them apart."""
        for folder in (self.root / "sessions", *(self.root / "chunks").iterdir()):
            sweep(folder)
        files = {path.stem: path for path in self._chunk_files()}
        known = self._catalog.keys()
        self._catalog.forget(known - files.keys())
        new = []
        for key in files.keys() - known:
            try:
                segment = Segment.open(files[key])
                if segment.key != key:
                    raise CorruptChunk(files[key], "it has another chunk's name")
                new.append(_entry(segment.path, segment.parent, segment.namespace))
            except CorruptChunk as error:
                self._quarantine(key, error)
            except OSError as error:
                log.warning("The KV chunk %s cannot be read: %s", key, error.strerror)
        self._catalog.add(new)
        named, kept = self._catalog.session_names(), {m.name: m for m in self.sessions()}
        for name in named - kept.keys():
            self._catalog.drop_session(name)
        for name in kept.keys() - named:
            self._catalog.name_session(name, kept[name].keys)

    def _quarantine(self, key: str, error: Exception) -> None:
        log.warning("%s", error)
        self._set_aside(self.chunk_path(key))
        with contextlib.suppress(StoreError):
            self._catalog.forget([key])

    def _set_aside(self, path: Path) -> None:
        folder = self.root / "quarantine"
        try:
            path.replace(folder / path.name)
            for old in sorted(folder.iterdir(), key=lambda p: p.stat().st_ctime)[:-QUARANTINED]:
                old.unlink(missing_ok=True)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("%s could not be set aside: %s", path.name, error.strerror)

    def _chunk_files(self) -> list[Path]:
        return sorted((self.root / "chunks").glob("*/*.kv"))

    def chunk_path(self, key: str) -> Path:
        """Where a chunk's file is, or would be."""
        return self.root / "chunks" / key[:2] / f"{key}.kv"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among processes; what the system refuses meanwhile becomes a StoreError."""
        try:
            with locked(self.root / "lock"):
                yield
        except OSError as error:
            raise refused(f"The session store {self.root}", error) from error


def _entry(path: Path, parent: str | None, namespace: Namespace | dict[str, Any]) -> Entry:
    stat = path.stat()
    record = namespace.record() if isinstance(namespace, Namespace) else namespace
    return Entry(path.stem, record, parent, stat.st_size, stat.st_mtime_ns)


def _draft(namespace: Namespace, parent: str | None, tokens: Sequence[int], layers: Layers) -> Draft:
    """Copy what is to be kept; StoreError where it cannot be KV of these tokens under this namespace."""
    ids = tuple(int(t) for t in tokens)
    shape = (namespace.kv_heads, len(ids), namespace.head_dim)
    kinds = {(tuple(t.shape), str(t.dtype).removeprefix("torch.")) for pair in layers for t in pair}
    dtype = namespace.codec if namespace.codec in DTYPES else namespace.dtype
    if not ids or len(layers) != namespace.layers or kinds != {(shape, dtype)}:
        raise StoreError(
            f"A KV chunk was not kept: {len(layers)} layers of {sorted(kinds)} are not "
            f"{namespace.layers} of {shape} in {dtype}."
        )
    how = codec(namespace.codec)
    written = tuple(_written(how, keys, values) for keys, values in layers)
    key = chunk_key(namespace.digest, parent, ids)
    return Draft(key, parent, namespace.record(), ids, layers[0][0].dtype, shape, written)


@torch.inference_mode()
def _written(how: Codec, keys: Tensor, values: Tensor) -> Tensor:
    """A layer's bytes, in memory of their own; the layer becomes what they say where they say less."""
    dim = keys.shape[-1]
    rows = how.encode(torch.stack((keys, values)).view(-1, dim))
    if not how.exact:
        back = how.decode(rows, dim, keys.dtype).view(2, *keys.shape)
        keys.copy_(back[0])
        values.copy_(back[1])
    return rows.view(-1).to("cpu")


def _reopened(segment: Segment) -> Segment | None:
    """The chunk as another process has written it anew since its header was read; None where none has."""
    try:
        again = Segment.open(segment.path)
    except (CorruptChunk, OSError):
        return None
    return None if again.layers == segment.layers else again
