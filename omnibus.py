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
    from app.answer import Answer, AnswerStats, Citation, Guidance, Turn
    from app.batch import BatchAnswer, BatchProgress
    from app.collection import Collection
    from app.errors import OmnibusError
    from app.library import Library
    from app.planner import Plan
    from app.reports import AddReport
    from app.settings import Settings
    from app.stream import AnswerStream, CancelToken
    from engine.sampling import Sampling

_HOMES = {
    "AddReport": "app.reports",
    "Answer": "app.answer",
    "AnswerStats": "app.answer",
    "AnswerStream": "app.stream",
    "BatchAnswer": "app.batch",
    "BatchProgress": "app.batch",
    "CancelToken": "app.stream",
    "Citation": "app.answer",
    "Collection": "app.collection",
    "Guidance": "app.answer",
    "Library": "app.library",
    "OmnibusError": "app.errors",
    "Plan": "app.planner",
    "Sampling": "engine.sampling",
    "Settings": "app.settings",
    "Turn": "app.answer",
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
