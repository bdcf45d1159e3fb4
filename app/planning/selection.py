"""Selection: what of a collection goes into a prompt, before it is packed."""

from __future__ import annotations

from dataclasses import dataclass

from app.answering.answer import Mode
from app.planning.planner import Share
from app.planning.reasons import Reason
from ingest import Excerpt


@dataclass(frozen=True, slots=True)
class Selection:
    """What goes into the prompt, in which mode and why; and per path what became of it, its tokens, and why."""

    mode: Mode
    reason: Reason
    excerpts: list[Excerpt]
    listed: list[str]
    shares: dict[str, Share]
    tokens: dict[str, int]
    why: dict[str, str]
