"""Makers: every kind of task, and how many times it is called for a sample, on average."""

from __future__ import annotations

from app.reader.ask import Maker
from app.reader.code_tasks import (
    constants,
    defaults,
    definitions,
    functions,
    options,
    purposes,
    raised,
    subclasses,
)
from app.reader.tasks import cloze, composed, defined, invented, mentions, pairs, passes, several, tracking, which

PROSE: dict[Maker, float] = {
    invented: 0.5, composed: 0.8, cloze: 2.0, defined: 0.6, mentions: 0.4, which: 0.12, pairs: 0.2, passes: 0.15,
    several: 0.2, tracking: 0.15,
}  # fmt: skip
CODE: dict[Maker, float] = {
    functions: 0.8, purposes: 0.6, defaults: 0.4, options: 0.5, constants: 0.3, raised: 0.3, subclasses: 0.2,
    definitions: 0.3,
}  # fmt: skip
"""Where there is code among the documents."""
