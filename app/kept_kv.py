"""KeptKV: which chunks of the session store were made of a collection's text, so that deleting reaches them too."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session, sessionmaker

from app.database.models import CollectionRow, KeptChunkRow
from engine.prefill.spans import chunk_spans
from engine.store.namespace import chain_keys

if TYPE_CHECKING:
    from app.planning.planning import Prepared
    from engine.engine import Engine
    from engine.store import Store

END = "\U0010ffff"
"""Behind every path: what holds names of documents that are only listed."""
AT_ONCE = 500
"""Rows in a statement."""


class KeptKV:
    """The chunks of one collection."""

    def __init__(self, sessions: sessionmaker[Session], collection: str) -> None:
        self._sessions, self._name = sessions, collection

    def note(self, engine: Engine, prepared: Prepared) -> None:
        """Remember the chunks that reading a prompt makes; before it is read, for a kill leaves some of them."""
        keys, lasts = _chain(engine, prepared)
        with self._sessions.begin() as db:
            collection = db.scalars(select(CollectionRow.id).where(CollectionRow.name == self._name)).one()
            known = set(db.scalars(select(KeptChunkRow.key).where(KeptChunkRow.collection_id == collection)))
            new = [
                {"collection_id": collection, "namespace": engine.namespace.digest, "key": key, "last": last}
                for key, last in zip(keys, lasts, strict=True)
                if key not in known
            ]
            for start in range(0, len(new), AT_ONCE):
                db.execute(insert(KeptChunkRow).values(new[start : start + AT_ONCE]).on_conflict_do_nothing())

    def forget(self, paths: Iterable[str], store: Callable[[], Store]) -> int:
        """Delete the KV made of documents and of what stood behind them, sessions that hold any of it included.

        Gives the bytes freed. Nothing was noted: the store is not opened.
        """
        first = min((path.encode() for path in paths), default=None)
        return 0 if first is None else self._drop(lambda row: row.last.encode() >= first, store)

    def forget_all(self, store: Callable[[], Store]) -> int:
        """Delete all KV of the collection; bytes freed."""
        return self._drop(lambda row: True, store)

    def forget_stale(self, engine: Engine, prepared: Prepared, store: Callable[[], Store]) -> int:
        """Delete this model's KV of earlier states of the collection, but for what named sessions hold; bytes freed."""
        keys, _ = _chain(engine, prepared)
        spared = {*keys, *(key for manifest in store().sessions() for key in manifest.keys)}
        here = KeptChunkRow.namespace == engine.namespace.digest
        return self._drop(lambda row: row.key not in spared, store, here)

    def _drop(
        self, goes: Callable[[KeptChunkRow], bool], store: Callable[[], Store], *where: ColumnElement[bool]
    ) -> int:
        mine = select(KeptChunkRow).join(CollectionRow, CollectionRow.id == KeptChunkRow.collection_id)
        with self._sessions() as db:
            rows = [row for row in db.scalars(mine.where(CollectionRow.name == self._name, *where)) if goes(row)]
        if not rows:
            return 0
        freed = store().forget([row.key for row in rows])
        with self._sessions.begin() as db:
            for start in range(0, len(rows), AT_ONCE):
                these = [row.id for row in rows[start : start + AT_ONCE]]
                db.execute(delete(KeptChunkRow).where(KeptChunkRow.id.in_(these)))
        return freed


def _chain(engine: Engine, prepared: Prepared) -> tuple[list[str], list[str]]:
    """The chunks' names, and of each the path of the last document that it holds some of."""
    prefix, before = prepared.prefix, len(prepared.head)
    spans = chunk_spans(len(prefix), engine.chunk_tokens)
    entries = prepared.packed.entries
    starts = [before + entry.token_start for entry in entries]
    end = before + (entries[-1].token_end if entries else 0)
    lasts = [END if b > end else entries[bisect_left(starts, b) - 1].document_path for _, b in spans]
    return chain_keys(engine.namespace.digest, prefix, spans), lasts
