"""Content: what every reader returns."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.document import Page, Verdict


@dataclass(frozen=True, slots=True)
class Content:
    """A file's text, title, verdict, and pages where it has any."""

    text: str
    title: str
    verdict: Verdict
    pages: tuple[Page, ...] = ()
