"""Care: read everything and find what rotted; let the catalogue follow the files again; forget."""

from __future__ import annotations

import logging
from collections.abc import Collection

from engine.errors import CorruptChunk
from engine.store.catalog import Catalog
from engine.store.chunks import Chunks, entry
from engine.store.files import sweep
from engine.store.segment import Segment
from engine.store.sessions import Sessions

log = logging.getLogger(__name__)


def verify(chunks: Chunks, sessions: Sessions) -> list[str]:
    """Read every chunk whole, and set damaged ones aside; a line for each and for each session that lacks any."""
    bad: list[str] = []
    for path in chunks.files():
        try:
            _read_through(chunks.open(path.stem))
        except FileNotFoundError:
            continue
        except (CorruptChunk, OSError) as error:
            bad.append(str(error))
            if isinstance(error, CorruptChunk):
                chunks.set_aside(path.stem, error)
    for manifest in sessions.all():
        lost = sum(not chunks.path(key).is_file() for key in manifest.keys)
        if lost:
            bad.append(f"The session '{manifest.name}' lacks {lost} of its {len(manifest.keys)} chunks.")
    return bad


def _read_through(segment: Segment) -> None:
    try:
        segment.check()
    except CorruptChunk:
        again = segment.reopened()
        if again is None:
            raise
        _read_through(again)


def reconcile(chunks: Chunks, sessions: Sessions, catalog: Catalog) -> None:
    """Let the catalogue know what the files are, where a crash or its loss set them apart."""
    sweep(sessions.folder)
    sweep(chunks.folder)
    files = {path.stem for path in chunks.files()}
    known = catalog.keys()
    catalog.forget(known - files)
    new = []
    for key in files - known:
        try:
            segment = chunks.open(key)
            new.append(entry(segment.path, segment.parent, segment.namespace))
        except CorruptChunk as error:
            chunks.set_aside(key, error)
        except OSError as error:
            log.warning("The KV chunk %s cannot be read: %s", key, error.strerror)
    catalog.add(new)
    named, kept = catalog.session_names(), {m.name: m for m in sessions.all()}
    for name in named - kept.keys():
        catalog.drop_session(name)
    for name in kept.keys() - named:
        catalog.name_session(name, kept[name].keys)


def forget(chunks: Chunks, sessions: Sessions, catalog: Catalog, keys: Collection[str]) -> int:
    """Delete chunks, whoever holds them, and the sessions that hold any of them; bytes freed."""
    for manifest in sessions.all():
        if not set(keys).isdisjoint(manifest.keys):
            sessions.remove(manifest.name)
            catalog.drop_session(manifest.name)
    paths = {key: chunks.path(key) for key in keys}
    sizes = [(key, path.stat().st_size) for key, path in paths.items() if path.exists()]
    return chunks.delete(sizes, sum(size for _, size in sizes) + 1)
