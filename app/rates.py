"""Rates: how fast this machine has read prompts, remembered in the database."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.database.models import MeasurementRow

LAST = 5
"""Prefills that count."""


class Rates:
    """Prefill rates by model."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def of(self, model: str) -> float | None:
        """Tokens per second, from the model's last prefills; None before the first."""
        query = select(MeasurementRow).where(MeasurementRow.model == model).order_by(MeasurementRow.id.desc())
        with self._sessions() as db:
            rows = list(db.scalars(query.limit(LAST)))
        return sum(r.tokens for r in rows) / sum(r.seconds for r in rows) if rows else None

    def note(self, model: str, tokens: int, seconds: float) -> None:
        """Remember how long a prefill took."""
        with self._sessions.begin() as db:
            db.add(MeasurementRow(model=model, tokens=tokens, seconds=seconds))
