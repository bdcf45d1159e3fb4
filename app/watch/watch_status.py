"""Status of a watch: a small file in OMNIBUS_HOME/watch, written whole, read by anybody."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.jobs.locks import held

SHOWN = 100
"""Names of waiting files in the status; the count is whole."""


def status_file(home: Path, collection: str) -> Path:
    """Where a collection's watch says how it is."""
    return home / "watch" / f"{hashlib.sha256(collection.encode()).hexdigest()[:16]}.json"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(slots=True)
class WatchStatus:
    """What a watch has done since it started, and what waits."""

    collection: str
    roots: list[str]
    started: str = field(default_factory=_now)
    state: str = "watching"
    queue: list[str] = field(default_factory=list)
    """Files that changed and do not keep still yet."""
    last_comparison: str | None = None
    last_change: str | None = None
    read: int = 0
    moved: int = 0
    gone: int = 0
    error: str | None = None
    """What went wrong at the last comparison, in English; of which class it is and what it tells stand beside it."""
    error_code: str | None = None
    error_facts: dict[str, Any] = field(default_factory=dict)

    def failed(self, error: Exception | None) -> None:
        """Note what went wrong, or that nothing did."""
        self.error = None if error is None else str(error)
        self.error_code = None if error is None else type(error).__name__
        facts = {} if error is None else vars(error)
        self.error_facts = {k: v if isinstance(v, int | float | str) else str(v) for k, v in facts.items()}

    def compared(self, file: Path, read: int, moved: int, gone: int) -> None:
        """Count one comparison and write the status."""
        self.read, self.moved, self.gone = self.read + read, self.moved + moved, self.gone + gone
        self.last_comparison = _now()
        if read or gone:
            self.last_change = self.last_comparison
        self._write(file)

    def stopped(self, file: Path) -> None:
        """Say that nobody watches any more."""
        self.state = "stopped"
        self._write(file)

    def _write(self, file: Path) -> None:
        value = {**asdict(self), "queue": self.queue[:SHOWN], "queued": len(self.queue), "pid": os.getpid()}
        text = json.dumps(value, ensure_ascii=True)
        with contextlib.suppress(OSError):  # a full disk must not stop the watch
            temporary = file.with_suffix(".tmp")
            temporary.write_text(text, encoding="utf-8")
            os.replace(temporary, file)


def statuses(home: Path) -> list[dict[str, Any]]:
    """The status of every watch there was; `state` is 'died' where a process ended without a word."""
    found: list[dict[str, Any]] = []
    for file in sorted((home / "watch").glob("*.json")):
        with contextlib.suppress(OSError, ValueError):
            status = json.loads(file.read_text(encoding="utf-8"))
            if status["state"] == "watching" and not held(Path(f"{file}.lock")):
                status["state"] = "died"
            found.append(status)
    return sorted(found, key=lambda status: str(status["collection"]))
