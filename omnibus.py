"""Omnibus: whole books and codebases in one prompt, answers tied to the exact place they came from.

from omnibus import Library

library = Library()
books = library.collection("books")
books.add("~/books")
print(books.ask("Who repainted the bridge?").text)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.answering.answer import Answer, AnswerStats, Citation, Guidance, Turn
    from app.answering.stream import AnswerStream, CancelToken
    from app.batch.batch_answer import BatchAnswer
    from app.batch.batch_progress import BatchProgress
    from app.collection import Collection
    from app.errors import OmnibusError
    from app.library import Library
    from app.planning.planner import Plan
    from app.reports import AddReport
    from app.settings import Settings
    from engine.decode.sampling import Sampling

_HOMES = {
    "AddReport": "app.reports",
    "Answer": "app.answering.answer",
    "AnswerStats": "app.answering.answer",
    "AnswerStream": "app.answering.stream",
    "BatchAnswer": "app.batch.batch_answer",
    "BatchProgress": "app.batch.batch_progress",
    "CancelToken": "app.answering.stream",
    "Citation": "app.answering.answer",
    "Collection": "app.collection",
    "Guidance": "app.answering.answer",
    "Library": "app.library",
    "OmnibusError": "app.errors",
    "Plan": "app.planning.planner",
    "Sampling": "engine.decode.sampling",
    "Settings": "app.settings",
    "Turn": "app.answering.answer",
}
__all__ = [
    "AddReport",
    "Answer",
    "AnswerStats",
    "AnswerStream",
    "BatchAnswer",
    "BatchProgress",
    "CancelToken",
    "Citation",
    "Collection",
    "Guidance",
    "Library",
    "OmnibusError",
    "Plan",
    "Sampling",
    "Settings",
    "Turn",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import omnibus` is instant."""
    if name not in _HOMES:
        raise AttributeError(f"module 'omnibus' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__


if __name__ == "__main__":
    from app.cli import main

    main()
