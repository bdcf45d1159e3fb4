"""Rules: patterns that pin documents into a plan or keep them out, stored with their collection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pathspec import GitIgnoreSpec
from sqlalchemy import delete, select
from sqlalchemy.orm import Session, sessionmaker

from app.database.models import CollectionRow, RuleRow
from app.errors import NotARule

Effect = Literal["pin", "exclude"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern as in .gitignore, matched with a document's path, and what it does."""

    effect: Effect
    pattern: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """The rule that each path falls under; where a pin and an exclusion meet, the pin wins."""

    pinned: dict[str, Rule]
    excluded: dict[str, Rule]


class Rules:
    """The rules of one collection."""

    def __init__(self, sessions: sessionmaker[Session], collection: str) -> None:
        self._sessions, self._name = sessions, collection

    def all(self) -> list[Rule]:
        """Every rule, in the order they were given."""
        query = select(RuleRow).join(CollectionRow, CollectionRow.id == RuleRow.collection_id)
        with self._sessions() as db:
            rows = db.scalars(query.where(CollectionRow.name == self._name).order_by(RuleRow.id))
            return [Rule(row.effect, row.pattern) for row in rows]  # type: ignore[arg-type]

    def set(self, effect: Effect, patterns: Sequence[str]) -> None:
        """Give patterns an effect, in place of the one they had; raises NotARule."""
        for pattern in patterns:
            _spec(pattern)
        with self._sessions.begin() as db:
            collection = db.scalars(select(CollectionRow.id).where(CollectionRow.name == self._name)).one()
            mine = RuleRow.collection_id == collection
            db.execute(delete(RuleRow).where(mine, RuleRow.pattern.in_(patterns)))
            db.add_all(RuleRow(collection_id=collection, effect=effect, pattern=p) for p in dict.fromkeys(patterns))

    def drop(self, patterns: Sequence[str]) -> None:
        """Undo rules by their patterns; raises NotARule for one that is none."""
        known = [rule.pattern for rule in self.all()]
        for pattern in patterns:
            if pattern not in known:
                have = f"There are: {', '.join(known)}." if known else "There is none."
                raise NotARule(f"'{pattern}' is no rule of collection '{self._name}'. {have}")
        with self._sessions.begin() as db:
            mine = select(CollectionRow.id).where(CollectionRow.name == self._name).scalar_subquery()
            db.execute(delete(RuleRow).where(RuleRow.collection_id == mine, RuleRow.pattern.in_(patterns)))

    def ruling(self, paths: Iterable[str]) -> Ruling:
        """Which paths are pinned and which excluded, and by what."""
        rules = [(rule, _spec(rule.pattern)) for rule in self.all()]
        found: dict[Effect, dict[str, Rule]] = {"pin": {}, "exclude": {}}
        for path in paths if rules else ():
            hit = [rule for rule, spec in rules if spec.match_file(path)]
            hit.sort(key=lambda rule: rule.effect != "pin")
            if hit:
                found[hit[0].effect][path] = hit[0]
        return Ruling(found["pin"], found["exclude"])


def _spec(pattern: str) -> GitIgnoreSpec:
    if not pattern.strip() or pattern.startswith(("#", "!")):
        raise NotARule(f"'{pattern}' matches nothing. Name a path or a pattern: 'README.md', 'docs/', '*.py'.")
    try:
        return GitIgnoreSpec.from_lines([pattern])
    except ValueError as error:
        raise NotARule(f"'{pattern}' is no pattern: {error}") from error
