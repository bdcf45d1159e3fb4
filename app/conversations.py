"""Conversations: dialogues with a collection, kept to be found, gone on with, and taken away as a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any, Literal

from sqlalchemy import ColumnElement, String, cast, delete, func, or_, select, update
from sqlalchemy.orm import Session, sessionmaker

from app.answering.answer import Answer, AnswerStats, Citation
from app.answering.inside import Inside
from app.answering.looked_at import LookedAt
from app.database.models import CollectionRow, ConversationRow, ConversationTurnRow
from app.errors import NoSuchConversation
from app.planning.reasons import Reason

Format = Literal["markdown", "html", "jsonl"]
LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """A conversation as lists show it; `updated` in UTC."""

    id: int
    name: str
    turns: int
    updated: datetime


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation whole: questions with their answers, in order."""

    id: int
    name: str
    turns: tuple[tuple[str, Answer], ...]


class Conversations:
    """A user's conversations with one collection (null: those of no user); every method is one transaction."""

    def __init__(self, sessions: sessionmaker[Session], collection: str, user: int | None = None) -> None:
        self._sessions, self._collection, self._user = sessions, collection, user

    def all(self, words: str = "") -> list[ConversationInfo]:
        """Those whose name, questions or answers hold `words`, the one used last first."""
        turn, row = ConversationTurnRow, ConversationRow
        query = select(row.id, row.name, func.count(turn.id), row.updated).outerjoin(turn).group_by(row.id)
        query = query.join(CollectionRow).where(CollectionRow.name == self._collection, self._mine)
        if words:
            said = or_(turn.question.icontains(words), cast(turn.answer["text"], String).icontains(words))
            holding = select(turn.conversation_id).where(said)
            query = query.where(or_(row.name.icontains(words), row.id.in_(holding)))
        with self._sessions() as db:
            rows = db.execute(query.order_by(row.updated.desc(), row.id.desc())).all()
        return [ConversationInfo(i, name, turns, at.replace(tzinfo=UTC)) for i, name, turns, at in rows]

    def add(self, question: str, answer: Answer, number: int | None = None) -> int:
        """Keep a turn at the end of a conversation, or as the first of a new one; returns its number.

        Raises NoSuchConversation.
        """
        with self._sessions.begin() as db:
            if number is None:
                collection = select(CollectionRow.id).where(CollectionRow.name == self._collection)
                name = " ".join(question.split())[:LONGEST_NAME]
                row = ConversationRow(collection_id=db.scalars(collection).one(), name=name, user_id=self._user)
                db.add(row)
            else:
                row = self._row(db, number)
            row.updated = datetime.now(UTC).replace(tzinfo=None)
            row.turns.append(ConversationTurnRow(question=question, answer=_written(answer)))
            db.flush()
            return row.id

    def cut(self, number: int, turns: int) -> None:
        """Keep only the first turns of a conversation; raises NoSuchConversation."""
        with self._sessions.begin() as db:
            row = self._row(db, number)
            del row.turns[turns:]

    def branch(self, number: int, turns: int) -> int:
        """A new conversation that begins with the first turns of another; raises NoSuchConversation."""
        with self._sessions.begin() as db:
            row = self._row(db, number)
            again = ConversationRow(collection_id=row.collection_id, name=row.name, user_id=self._user)
            again.turns = [ConversationTurnRow(question=t.question, answer=t.answer) for t in row.turns[:turns]]
            db.add(again)
            db.flush()
            return again.id

    def get(self, number: int) -> Conversation:
        """A conversation; raises NoSuchConversation."""
        with self._sessions() as db:
            row = self._row(db, number)
            return Conversation(row.id, row.name, tuple((turn.question, _read(turn.answer)) for turn in row.turns))

    def rename(self, number: int, name: str) -> None:
        """Give a conversation another name; raises NoSuchConversation."""
        with self._sessions.begin() as db:
            self._row(db, number)
            short = " ".join(name.split())[:LONGEST_NAME]
            db.execute(update(ConversationRow).where(ConversationRow.id == number).values(name=short))

    def delete(self, number: int) -> None:
        """Forget a conversation; raises NoSuchConversation."""
        with self._sessions.begin() as db:
            self._row(db, number)
            db.execute(delete(ConversationRow).where(ConversationRow.id == number))

    def export(self, number: int, form: Format) -> str:
        """A conversation as a file's text; raises NoSuchConversation."""
        whole = self.get(number)
        return {"markdown": _markdown, "html": _html, "jsonl": _jsonl}[form](whole)

    @property
    def _mine(self) -> ColumnElement[bool]:
        return ConversationRow.user_id.is_not_distinct_from(self._user)

    def _row(self, db: Session, number: int) -> ConversationRow:
        here = select(ConversationRow).join(CollectionRow).where(CollectionRow.name == self._collection, self._mine)
        row = db.scalar(here.where(ConversationRow.id == number))
        if row is None:
            raise NoSuchConversation(number)
        return row


def _written(answer: Answer) -> dict[str, Any]:
    return {key: value for key, value in asdict(answer, dict_factory=_with_reasons).items() if key != "logprobs"}


def _with_reasons(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value.record() if isinstance(value, Reason) else value for key, value in pairs}


def _read(kept: dict[str, Any]) -> Answer:
    return Answer(
        kept["text"],
        tuple(Citation(**c) for c in kept["citations"]),
        AnswerStats(**kept["stats"]),
        Reason.read(kept["notice"]),
        tuple(LookedAt(**place) for place in kept["looked_at"]),
        inside=Inside.of(kept["inside"]) if kept.get("inside") else None,
    )


def _markdown(whole: Conversation) -> str:
    parts = [f"# {whole.name}"]
    for question, answer in whole.turns:
        parts.append(f"## {question}\n\n{answer.text}")
        parts += [f"{i}. {c.place} ({c.state}): “{_line(c.quote)}”" for i, c in enumerate(answer.citations, 1)]
        parts.append(f"*{answer.notice}*{_snapshot(answer)}")
    return "\n\n".join(parts) + "\n"


def _html(whole: Conversation) -> str:
    parts = [f"<h1>{escape(whole.name)}</h1>"]
    for question, answer in whole.turns:
        cited = "".join(
            f"<li>{escape(c.place)} ({c.state}): <q>{escape(_line(c.quote))}</q></li>" for c in answer.citations
        )
        text = escape(answer.text).replace("\n", "<br>")
        parts.append(f"<h2>{escape(question)}</h2><p>{text}</p><ol>{cited}</ol>")
        parts.append(f"<p><em>{escape(answer.notice)}</em>{escape(_snapshot(answer))}</p>")
    head = f'<!doctype html><html><head><meta charset="utf-8"><title>{escape(whole.name)}</title></head>'
    return f"{head}<body>{''.join(parts)}</body></html>\n"


def _jsonl(whole: Conversation) -> str:
    turns: Sequence[tuple[str, Answer]] = whole.turns
    return "".join(json.dumps({"question": q, **a.to_dict()}, ensure_ascii=False) + "\n" for q, a in turns)


def _line(text: str) -> str:
    return " ".join(text.split())


def _snapshot(answer: Answer) -> str:
    return f" Snapshot {answer.stats.snapshot}." if answer.stats.snapshot else ""
