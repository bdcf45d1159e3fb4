"""OmnibusReader: files and folders as LlamaIndex documents, read by our readers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.readers.base import BasePydanticReader
from llama_index.core.schema import Document as LlamaDocument

from app.llama_index.nodes import document_node
from ingest import read, walk


class OmnibusReader(BasePydanticReader):
    """Reads what `omnibus add` would. After a reading `skipped` says which files gave no text, and why."""

    is_remote: bool = False
    _skipped: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def class_name(cls) -> str:
        """Name under which LlamaIndex writes it down."""
        return "OmnibusReader"

    @property
    def skipped(self) -> dict[str, str]:
        """Files of the last reading without text, by path, with the reason."""
        return dict(self._skipped)

    def lazy_load_data(self, *paths: str | Path, **_: Any) -> Iterable[LlamaDocument]:
        """One document per file, in canonical order; raises FileMissing before anything is read."""
        self._skipped = {}
        found = list(walk([Path(p).expanduser() for p in paths], on_skip=self._skip))
        for file in found:
            document = read(file.path, file.relative)
            if document.verdict.status == "skipped":
                self._skipped[document.path] = document.verdict.reason or "it holds no text"
            else:
                yield document_node(document)

    def load_data(self, *paths: str | Path, **_: Any) -> list[LlamaDocument]:
        """All of them at once."""
        return list(self.lazy_load_data(*paths))

    def _skip(self, path: Path, reason: str) -> None:
        self._skipped[str(path)] = reason
