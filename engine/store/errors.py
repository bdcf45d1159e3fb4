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


class BadKey(StoreError):
    """The store's key is no key."""

    def __init__(self) -> None:
        super().__init__("The session store's key must be 64 hexadecimal digits; make one with: openssl rand -hex 32")


class ExtraMissing(StoreError):
    """What was asked of the store needs a package that is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs another package: pip install 'omnibus-rag[{extra}]'")


class WrongKey(StoreError):
    """A store is encrypted with another key than the one given, or only one of the two is there."""

    def __init__(self, root: Path, *, has: str, given: str) -> None:
        self.root, self.has, self.given = root, has, given
        how = "is encrypted with another key" if given else "is encrypted"
        does = (
            f"{how}: set OMNIBUS_STORE_KEY or OMNIBUS_STORE_KEY_FILE to its own"
            if has
            else ("was begun without encryption: give the key another OMNIBUS_STORE, or no key to this one")
        )
        super().__init__(f"The session store {root} {does}.")


class ReadOnly(StoreError):
    """The store's folder cannot be written; what it keeps is read all the same."""

    def __init__(self, root: Path) -> None:
        self.root = root
        super().__init__(f"The session store {root} is only read, for its folder cannot be written: nothing is kept.")


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
