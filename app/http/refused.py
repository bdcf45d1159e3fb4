"""Refused: a request that goes no further."""

from __future__ import annotations


class Refused(Exception):
    """Status, sentence, OpenAI's code, and seconds after which the request may come again."""

    def __init__(self, status: int, message: str, code: str, retry_after: int | None = None) -> None:
        self.status, self.message, self.code, self.retry_after = status, message, code, retry_after
        super().__init__(message)
