"""Originals: the files behind documents whose pages are shown as they look, kept by what they hold."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.database.models import DocumentRow
from ingest import Document, PageImage, page_image
from ingest.errors import Unreadable

LOG = logging.getLogger(__name__)
KINDS = ("pdf",)
"""Documents that have pages to show."""


class Originals:
    """PDFs that came as bytes, in a folder; one that was added by its path is read where it lies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, document: Document, data: bytes) -> None:
        """Keep an upload's bytes where its pages can be shown."""
        if document.kind not in KINDS or document.content_hash != hashlib.sha256(data).hexdigest():
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".part", delete=False) as part:
            part.write(data)
        os.replace(part.name, self._place(document.content_hash))

    def get(self, document: Document) -> bytes | None:
        """The file's bytes; None where it is gone, holds something else by now, or has no pages to show."""
        if document.kind not in KINDS:
            return None
        for place in (self._place(document.content_hash), Path(document.source) if document.source else None):
            try:
                data = place.read_bytes() if place else b""
            except OSError:
                continue
            if hashlib.sha256(data).hexdigest() == document.content_hash:
                return data
        return None

    def page_image(self, document: Document, char_start: int, char_end: int) -> PageImage | None:
        """The page on which characters begin, with boxes around them; None where it cannot be shown."""
        page, data = document.page_of(char_start), self.get(document)
        if page is None or data is None:
            return None
        try:
            return page_image(data, page.index, document.text[char_start : min(char_end, page.end)])
        except Unreadable as error:
            LOG.warning("%s is shown without its pages: %s", document.path, error)
            return None

    def purge(self, sessions: sessionmaker[Session]) -> None:
        """Delete what no document holds any more."""
        if not self._folder.is_dir():
            return
        with sessions() as db:
            held = set(db.scalars(select(DocumentRow.content_hash).where(DocumentRow.kind.in_(KINDS))))
        for file in self._folder.glob("*.original"):
            if file.stem not in held:
                file.unlink(missing_ok=True)

    def _place(self, content_hash: str) -> Path:
        return self._folder / f"{content_hash}.original"
