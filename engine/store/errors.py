"""What can go wrong in the session store beyond a damaged chunk (CorruptChunk in engine.errors)."""

from __future__ import annotations

import errno
from pathlib import Path

from engine.errors import StoreError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class StoreFull(StoreError):
    """Neither the disk nor the quota has room for a chunk."""


class CatalogueDamaged(StoreError):
    """The catalogue is no readable database; it can be made again from the files."""


class NoSuchSession(StoreError):
    """No session has that name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is no session '{name}'.")


class SessionIncomplete(StoreError):
    """A session cannot be pinned or exported because not all of it is kept."""

    def __init__(self, name: str, kept: int, tokens: int, reason: str, *, what: str = "pinned") -> None:
        self.name, self.kept, self.tokens, self.reason = name, kept, tokens, reason
        super().__init__(
            f"The session '{name}' cannot be {what}: {kept:,} of its {tokens:,} tokens are kept ({reason})."
        )


class SessionExists(StoreError):
    """Another session has that name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is another session '{name}' already; give this one another name.")


class NotImportable(StoreError):
    """A file is no exported session, is damaged, or was made under other settings."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"'{path}' cannot be imported: {reason}.")


def refused(what: str, error: OSError) -> StoreError:
    """The typed error for a write that the system refused."""
    sort = StoreFull if error.errno in FULL else StoreError
    return sort(f"{what} could not be written: {error.strerror or error}.")
