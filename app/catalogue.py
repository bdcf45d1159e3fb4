"""Catalogue: which collections there are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.database.models import CollectionRow, DocumentRow
from app.database.session import truncate
from app.search.search import Search

if TYPE_CHECKING:
    from app.users import User


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection as lists show it; `documents` counts those with text, `created` is in UTC."""

    name: str
    documents: int
    created: datetime


class Catalogue:
    """A library's collections in the database."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def infos(self, viewer: User | None) -> list[CollectionInfo]:
        """Every collection that the viewer sees, by name; no viewer sees all."""
        count = func.count(DocumentRow.id).filter(DocumentRow.status != "skipped")
        query = select(CollectionRow.name, count, CollectionRow.created).outerjoin(DocumentRow)
        if viewer is not None:
            from app.users import seen_by

            query = query.where(seen_by(viewer.id))
        with self._sessions() as db:
            rows = db.execute(query.group_by(CollectionRow.id).order_by(CollectionRow.name))
            return [CollectionInfo(name, held, made.replace(tzinfo=UTC)) for name, held, made in rows]

    def delete(self, name: str) -> None:
        """Forget a collection, its texts and its index, and leave no trace of them."""
        with self._sessions.begin() as db:
            row = db.scalars(select(CollectionRow).where(CollectionRow.name == name)).one()
            Search(db, row.id).drop()
            db.delete(row)
        truncate(self._sessions)
