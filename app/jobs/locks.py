"""Locks: files that tell whether a process is still at its work; the system lets go of them when it dies."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout


def held(path: Path) -> bool:
    """Whether a process holds the lock file."""
    if not path.exists():
        return False
    try:
        with FileLock(path).acquire(timeout=0):
            return False
    except Timeout:
        return True
