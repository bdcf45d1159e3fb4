"""What can go wrong in a bench."""

from __future__ import annotations

from engine.errors import EngineError


class BenchError(EngineError):
    """Base of this package's errors."""


class NotHere(BenchError):
    """Another engine cannot be measured here; the reason is for the person."""


class TooLong(BenchError):
    """The model's window, or the text that is at hand, has fewer tokens."""

    def __init__(self, tokens: int, most: int) -> None:
        self.tokens, self.most = tokens, most
        super().__init__(f"{tokens:,} tokens cannot be read here, at most {most:,}: give smaller --tokens.")
