"""Stamp: what tells that a file is no longer the one that was read."""

from __future__ import annotations

from pathlib import Path


def stamp_of(path: Path) -> str | None:
    """Inode, size, contents' and change time; the last can be set by nobody. None where the file has gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
