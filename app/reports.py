"""What adding, warming and looking up a collection tell."""

from __future__ import annotations

from dataclasses import dataclass

from app.document_info import DocumentInfo


@dataclass(frozen=True, slots=True)
class AddReport:
    """What became of the files: loaded (or decoded by a guess), and skipped with reasons."""

    loaded: tuple[DocumentInfo, ...]
    skipped: tuple[DocumentInfo, ...]


@dataclass(frozen=True, slots=True)
class WarmReport:
    """What warming took; tokens, seconds."""

    prompt_tokens: int
    cached_tokens: int
    prefill_s: float


@dataclass(frozen=True, slots=True)
class Kept:
    """How many of a prompt's tokens the session store gives back, and why not more of them."""

    tokens: int
    kept: int
    reason: str | None
