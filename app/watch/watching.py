"""Watching: the folders that collections are kept equal to, remembered, and watched by this process's threads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from app.database.models import WatchedRootRow
from app.errors import AlreadyWatched
from app.watch.watch import Watcher

if TYPE_CHECKING:
    from app.library import Library

LOG = logging.getLogger(__name__)


class Watching:
    """Which folders are watched for which collections, and the watches that run in this process."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._running: dict[str, tuple[threading.Thread, threading.Event]] = {}

    def roots(self) -> dict[str, list[Path]]:
        """Collection -> its watched folders."""
        found: dict[str, list[Path]] = {}
        with self._library.sessions() as db:
            for row in db.scalars(select(WatchedRootRow).order_by(WatchedRootRow.id)):
                found.setdefault(row.collection, []).append(Path(row.path))
        return found

    def remember(self, collection: str, roots: Sequence[Path]) -> None:
        """Watch these folders, beside those that are watched for the collection, from the next start on."""
        rows = [{"collection": collection, "path": str(root.expanduser().absolute())} for root in roots]
        with self._library.sessions.begin() as db:
            db.execute(insert(WatchedRootRow).values(rows).on_conflict_do_nothing())

    def forget(self, collection: str) -> None:
        """Watch for a collection no more; its documents stay."""
        running = self._running.pop(collection, None)
        if running is not None:
            _end(*running)
        with self._library.sessions.begin() as db:
            db.execute(delete(WatchedRootRow).where(WatchedRootRow.collection == collection))

    def start(self, *, warm: bool = True, settle_s: float = 1.0, every_s: float = 60.0) -> list[str]:
        """Watch all remembered folders, a thread for each collection; gives the collections' names.

        What another process watches is left to it. After each change a collection that is read whole is read into the
        session store, so that the next question starts at once.
        """
        for collection, roots in self.roots().items():
            if collection in self._running:
                continue
            watcher = Watcher(self._library, collection, roots, settle_s=settle_s, warm=warm)
            stop = threading.Event()
            thread = threading.Thread(
                target=_run, args=(watcher, stop, every_s), name=f"watch-{collection}", daemon=True
            )
            self._running[collection] = (thread, stop)
            thread.start()
        return list(self._running)

    def stop(self) -> None:
        """End the watches of this process."""
        running = [self._running.pop(name) for name in list(self._running)]
        for _, stop in running:
            stop.set()
        for thread, stop in running:
            _end(thread, stop)


def _run(watcher: Watcher, stop: threading.Event, every_s: float) -> None:
    try:
        watcher.run(stop, every_s=every_s)
    except AlreadyWatched as error:
        LOG.info("%s", error)


def _end(thread: threading.Thread, stop: threading.Event) -> None:
    stop.set()
    thread.join()
