"""Watch: a collection kept equal to folders. Events only wake it; what to do is found by comparing, so none is missed.

A file is read once it has kept still, text, index and stamp change in one transaction, and a file read while it was
being written is read again. So a process killed at any moment leaves either the old state of a file or the new one, and
the next start goes on from there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from filelock import FileLock, Timeout

from app.errors import AlreadyWatched
from app.reading import Reading
from app.shelf import FileState
from app.stamp import stamp_of
from app.watch.watch_status import WatchStatus, status_file
from engine.errors import Cancelled
from engine.events import CancelToken
from ingest import FileMissing, read_all, skipped, source_of, walk

if TYPE_CHECKING:
    from app.library import Library

LOG = logging.getLogger(__name__)
BATCH = 50
"""Files per transaction."""
NETWORK = {"nfs", "nfs4", "cifs", "smbfs", "smb3", "9p", "virtiofs", "fuse.sshfs", "vboxsf", "afpfs", "davfs"}
"""File systems that do not tell of changes made elsewhere."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What one comparison did: files read, of them moved here from elsewhere, files gone, files not still yet."""

    read: int = 0
    moved: int = 0
    gone: int = 0
    pending: int = 0

    def __bool__(self) -> bool:
        """Whether the collection changed."""
        return bool(self.read or self.gone)


@dataclass(frozen=True, slots=True)
class _Seen:
    path: Path
    relative: str
    stamp: str
    reason: str | None = None


class Watcher:
    """Keeps one collection equal to its roots."""

    def __init__(
        self, library: Library, collection: str, roots: Sequence[Path], *, settle_s: float = 1.0, warm: bool = False
    ) -> None:
        self.library, self.name, self.settle_s, self.warm = library, collection, settle_s, warm
        self.roots = [root.expanduser().absolute() for root in roots]
        self.shelf = library.collection(collection).shelf
        self._first: dict[str, tuple[str, float]] = {}
        self._wake = threading.Event()
        self._cancel = CancelToken()
        self._purge = False
        self.status = WatchStatus(collection, [str(root) for root in self.roots])

    # -- comparing ----------------------------------------------------------------------------------------------------

    def reconcile(self) -> Changes:
        """Compare folders and collection once, and carry over what has kept still for `settle_s` seconds.

        Raises FileMissing where a root is gone: a drive that is not mounted must not empty the collection.
        """
        now = self._scan()
        kept = self.shelf.stamps()
        changed = [source for source, seen in now.items() if kept.get(source) != seen.stamp]
        ready = [source for source in changed if self._still(source, now[source].stamp)]
        self._first = {s: first for s, first in self._first.items() if s in set(changed) - set(ready)}
        gone = [source for source in kept if source not in now]
        moved = self._moved(ready, gone, now, kept)
        done = self._read(ready, gone, now)
        waiting = sorted(set(changed) - done)
        self.status.queue = waiting
        return Changes(len(done), moved, len(gone), len(waiting))

    def _scan(self) -> dict[str, _Seen]:
        missed: list[tuple[Path, str]] = []
        found = list(walk(self.roots, on_skip=lambda path, reason: missed.append((path, reason))))
        now = {source_of(path): _Seen(path, path.name, f"skipped {why}", why) for path, why in missed}
        for file in found:
            if (stamp := stamp_of(file.path)) is not None:
                now[source_of(file.path)] = _Seen(file.path, file.relative, stamp)
        return now

    def _still(self, source: str, stamp: str) -> bool:
        """Whether a changed file has had the same stamp for long enough."""
        known, since = self._first.get(source, ("", 0.0))
        if known != stamp:
            since = time.monotonic()
            self._first[source] = (stamp, since)
        return time.monotonic() - since >= self.settle_s

    def _moved(self, ready: list[str], gone: list[str], now: dict[str, _Seen], kept: dict[str, str]) -> int:
        """New files that are gone ones under another name: a move changes the name's time, not inode nor contents."""
        left = {_identity(kept[source]) for source in gone}
        return sum(source not in kept and _identity(now[source].stamp) in left for source in ready)

    def _read(self, ready: list[str], gone: list[str], now: dict[str, _Seen]) -> set[str]:
        """Carry files over, a batch in a transaction; those that are gone leave together with the first batch."""
        done: set[str] = set()
        batch: list[FileState] = []
        for source in ready:
            state = _file_state(source, now[source])
            if state is not None:
                batch.append(state)
                done.add(source)
            if len(batch) == BATCH:
                self._carry(batch, gone)
                batch, gone = [], []
        if batch or gone:
            self._carry(batch, gone)
        return done

    def _carry(self, batch: list[FileState], gone: list[str]) -> None:
        """Change the collection; documents that leave take their KV along, and soon what indices hold of old texts."""
        left = self.shelf.sync(batch, gone)
        self.library.collection(self.name).kept_kv.forget(left.gone, lambda: self.library.store)
        self._purge |= bool(left.gone or left.changed)

    # -- running ------------------------------------------------------------------------------------------------------

    def run(
        self, stop: threading.Event, *, every_s: float = 60.0, on_change: Callable[[Changes], None] | None = None
    ) -> None:
        """Watch until told to stop: woken by events, and every `every_s` seconds anyway. Raises AlreadyWatched."""
        file = status_file(self.library.settings.home, self.name)
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{file}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise AlreadyWatched(self.name) from None
        events = threading.Thread(target=self._listen, args=(stop,), daemon=True)
        events.start()
        try:
            while not stop.is_set():
                self._wake.clear()
                changes = self._once(file)
                if changes and on_change:
                    on_change(changes)
                if not changes.pending:
                    self._wake_or(stop, every_s)
                stop.wait(self.settle_s)  # lets a burst of events become one comparison
        finally:
            self.status.stopped(file)
            events.join(timeout=10)
            lock.release()

    def _once(self, file: Path) -> Changes:
        changes = Changes()
        try:
            changes = self.reconcile()
            self.status.failed(None)
            if self._purge and not changes.pending:
                self.library.collection(self.name).purge()
                self._purge = False
            if self.warm and changes and not changes.pending:
                self._warm()
        except Cancelled:  # told to stop while reading
            pass
        except Exception as error:  # a daemon outlives a full disk, a lost mount and a missing model, and says so
            LOG.warning("watching '%s': %s", self.name, error, exc_info=not isinstance(error, FileMissing))
            self.status.failed(error)
        self.status.compared(file, changes.read, changes.moved, changes.gone)
        return changes

    def _warm(self) -> None:
        """Read the collection into the session store where questions read it whole."""
        collection = self.library.collection(self.name)
        if self.shelf.documents() and collection.plan().mode == "whole":
            collection.warm(cancel=self._cancel)
            engine = self.library.engine
            prepared = Reading(collection, engine).whole()
            collection.kept_kv.forget_stale(engine, prepared, lambda: self.library.store)

    def _wake_or(self, stop: threading.Event, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not stop.is_set() and time.monotonic() < until and not self._wake.wait(0.2):
            pass

    def _listen(self, stop: threading.Event) -> None:
        """Wake the comparison at every event; without events (no inotify left) the periodic one remains."""
        from watchfiles import watch

        try:
            slow = any(on_network(root) for root in self.roots)
            for _ in watch(
                *self.roots,
                watch_filter=None,
                debounce=400,
                rust_timeout=1000,
                stop_event=stop,
                force_polling=slow or None,
                raise_interrupt=False,
            ):
                self._wake.set()
        except (OSError, RuntimeError) as error:
            LOG.warning("no events from the folders of '%s' (%s); comparing from time to time", self.name, error)
        stop.wait()
        self._cancel.cancel()


def on_network(path: Path) -> bool:
    """Whether a path lies on a file system that tells nothing of changes made elsewhere."""
    real = path.resolve()
    mounts = [m for m in psutil.disk_partitions(all=True) if real.is_relative_to(m.mountpoint)]
    return bool(mounts) and max(mounts, key=lambda m: len(m.mountpoint)).fstype.lower() in NETWORK


def _identity(stamp: str) -> str:
    """Inode, size and contents' time: what a move keeps."""
    return stamp.rpartition(" ")[0]


def _file_state(source: str, seen: _Seen) -> FileState | None:
    """A file read; None where it changed under the reading, or has gone."""
    if seen.reason is not None:
        name = source.rpartition("/")[2]
        return FileState(source, seen.stamp, (skipped(seen.path, seen.reason, relative=name),))
    try:
        documents = read_all(seen.path, seen.relative)
    except FileMissing:
        return None
    return FileState(source, seen.stamp, tuple(documents)) if stamp_of(seen.path) == seen.stamp else None
