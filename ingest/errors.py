"""What can go wrong while files are read; content problems are verdicts, not errors."""

from __future__ import annotations

from pathlib import Path


class IngestError(Exception):
    """Base of every error of this package."""


class FileMissing(IngestError):
    """A path that was named does not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"There is no file or folder '{path}'. Check the path.")


class ScannerMissing(IngestError):
    """The library that was chosen to look for secrets is not installed."""

    def __init__(self) -> None:
        super().__init__("bc-detect-secrets is not installed. Install it with: pip install 'omnibus-rag[secrets]'")


class Unreadable(IngestError):
    """A reader cannot make text of a file; becomes a 'skipped' verdict with this reason."""
