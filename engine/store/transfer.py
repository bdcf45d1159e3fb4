"""A session as one file: a tar of its session file and, in order, its chunk files, each of which checks itself."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Sequence
from io import FileIO
from pathlib import Path
from typing import IO

from engine.errors import CorruptChunk, StoreError
from engine.store.errors import NotImportable, SessionExists, SessionIncomplete, refused
from engine.store.files import write_all, write_whole
from engine.store.manifest import Manifest
from engine.store.namespace import Namespace
from engine.store.seal import Seal
from engine.store.segment import Segment
from engine.store.store import Store

HEAD = "session"
BLOCK = 1 << 20
FOREIGN = "its chunks are not those of its session"


class _Refused(Exception):
    """Why a file cannot be imported."""


def export_session(store: Store, name: str, path: Path) -> int:
    """Write a session, verified, to a file that `import_session` takes elsewhere; returns its bytes.

    What an encrypted store keeps is exported as it is: another store needs the same key to take it in.

    Raises NoSuchSession, SessionIncomplete, StoreError where the file cannot be written.
    """
    manifest = store.session(name)
    segments: list[Segment] = []
    for key in manifest.keys:
        try:
            segment = Segment.open(store.chunk_path(key), store.seal)
            segment.check()
        except (CorruptChunk, OSError) as error:
            kept = sum(len(s.tokens) for s in segments)
            reason = "a chunk is gone" if isinstance(error, FileNotFoundError) else str(error).rstrip(".")
            raise SessionIncomplete(name, kept, len(manifest.tokens), reason, what="exported") from error
        segments.append(segment)

    def fill(stream: FileIO) -> None:
        buffered = io.BufferedWriter(stream, BLOCK)
        with tarfile.open(fileobj=buffered, mode="w") as tar:
            data = manifest.dump(store.seal)
            _add(tar, HEAD, len(data), io.BytesIO(data))
            for segment in segments:
                with segment.path.open("rb") as chunk:
                    _add(tar, f"{segment.key}.kv", segment.path.stat().st_size, chunk)
        buffered.detach()  # flushes

    try:
        write_whole(path, fill)
        return path.stat().st_size
    except OSError as error:
        raise refused(f"'{path}'", error) from error


def import_session(store: Store, path: Path, namespace: Namespace, *, name: str | None = None) -> Manifest:
    """Take an exported session in, under its own name or another; every byte is checked before it can be used.

    Raises NotImportable where the file is damaged or its namespace is not this one (with the fields that differ),
    SessionExists, StoreFull. Checksums tell damage, not malice: whoever made the file decides what the model takes for
    read.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            manifest = _session(tar, namespace, store.seal)
            name = name or manifest.name
            if any(known.name == name and known.keys != manifest.keys for known in store.sessions()):
                raise SessionExists(name)
            spans = _take_chunks(store, tar, manifest)
    except OSError as error:
        raise NotImportable(path, error.strerror or str(error)) from error
    except tarfile.TarError as error:
        raise NotImportable(path, "it is no exported session, or not all of one") from error
    except (_Refused, CorruptChunk) as error:
        raise NotImportable(path, str(error).rstrip(".")) from error
    return store.pin(name, namespace, manifest.tokens, spans, pack=manifest.pack)


def _session(tar: tarfile.TarFile, namespace: Namespace, seal: Seal) -> Manifest:
    """The session that the file says it holds."""
    _, stream = _next(tar, HEAD)
    try:
        manifest = Manifest.parse(stream.read(), "in it", seal)
    except StoreError as error:
        raise _Refused(str(error)) from error
    difference = namespace.difference(manifest.namespace)
    if difference:
        raise _Refused(f"it was made under other settings ({difference})")
    if not all(re.fullmatch("[0-9a-f]{64}", key) for key in manifest.keys):  # they become file names
        raise _Refused(FOREIGN)
    return manifest


def _take_chunks(store: Store, tar: tarfile.TarFile, manifest: Manifest) -> list[tuple[int, int]]:
    """Keep each chunk that is what the session says comes next; returns their spans."""
    spans: list[tuple[int, int]] = []
    parent = None
    for key in manifest.keys:
        size, stream = _next(tar, f"{key}.kv")
        start = spans[-1][1] if spans else 0
        fill = _checked(stream, key, parent, manifest.tokens[start:], store.seal)
        store.keep(key, parent, manifest.namespace, size, fill)
        spans.append((start, start + len(Segment.open(store.chunk_path(key), store.seal).tokens)))
        parent = key
    if not spans or spans[-1][1] != len(manifest.tokens):
        raise _Refused(FOREIGN)
    return spans


def _checked(
    stream: IO[bytes], key: str, parent: str | None, tokens: Sequence[int], seal: Seal
) -> Callable[[Path], None]:
    """Writes a chunk's file from the stream, unless it is not this chunk, whole, with the next of these tokens."""

    def fill(target: FileIO) -> None:
        while block := stream.read(BLOCK):
            write_all(target, block)

    def check(place: Path) -> None:
        segment = Segment.open(place, seal)
        segment.check()
        if (segment.key, segment.parent, segment.tokens) != (key, parent, tuple(tokens[: len(segment.tokens)])):
            raise _Refused(FOREIGN)

    return lambda place: write_whole(place, fill, check)


def _add(tar: tarfile.TarFile, name: str, size: int, stream: IO[bytes]) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    tar.addfile(member, stream)


def _next(tar: tarfile.TarFile, name: str) -> tuple[int, IO[bytes]]:
    """Size and bytes of the next member, which must have this name."""
    member = tar.next()
    stream = tar.extractfile(member) if member is not None and member.isreg() and member.name == name else None
    if member is None or stream is None:
        raise _Refused("it is no exported session" if name == HEAD else "it ends too early")
    return member.size, stream
