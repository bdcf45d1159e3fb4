"""Files that are whole or absent, whoever dies while writing them.

What takes a path takes a RemotePath in its place (engine.store.remote), which goes its own way to the same end.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple, cast

SUFFIX = ".tmp"


class Stat(NamedTuple):
    """What is asked of a file's status."""

    st_size: int
    st_mtime_ns: int
    st_ctime: float


class File(FileIO):
    """A file opened for reading anywhere in it; threads may share it."""

    @property
    def size(self) -> int:
        """Its bytes."""
        return os.fstat(self.fileno()).st_size

    def read_at(self, offset: int, buffer: memoryview) -> bool:
        """Fill the buffer from a place in the file; False where the file ends before.

        The system reads ahead in what it takes for one sequence.
        """
        while buffer:
            got = os.preadv(self.fileno(), [buffer], offset)
            if not got:
                return False
            buffer, offset = buffer[got:], offset + got
        return True


def place(root: str | Path) -> Path:
    """A folder, or where an address with :// leads; raises StoreError where none can."""
    if "://" not in str(root):
        return Path(root)
    from engine.store.remote import RemotePath

    return cast(Path, RemotePath.at(str(root)))


def elsewhere(path: Any) -> Any:
    """The path, where it is a RemotePath."""
    return None if isinstance(path, Path) else path


def open_file(path: Path) -> File:
    """Open for reading; raises OSError."""
    there = elsewhere(path)
    return there.open_file() if there else File(path)


def only_read(folder: Path) -> bool:
    """Whether a folder is there and its files may be read but not written: by its mode, or its file system's."""
    return not elsewhere(folder) and folder.is_dir() and not os.access(folder, os.W_OK)


def mark_used(path: Path, now: int) -> None:
    """Note when a file was last used, in nanoseconds, where files can and may be written; raises OSError."""
    if not elsewhere(path) and not only_read(path.parent):
        os.utime(path, ns=(now, now))


def write_whole(path: Path, fill: Callable[[FileIO], None], check: Callable[[Path], None] | None = None) -> None:
    """Let `fill` write a file of a random temporary name and `check` refuse it; fsync, rename, fsync of the folder.

    The writer holds a lock on its temporary file, so that `sweep` knows the living from the dead. Raises OSError
    (a full disk, say) with nothing left behind.
    """
    if there := elsewhere(path):
        there.write_whole(fill, check)
        return
    while True:
        temporary = path.parent / f".{secrets.token_hex(12)}{SUFFIX}"
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with FileIO(descriptor, "wb") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX)
                if os.fstat(descriptor).st_nlink == 0:
                    continue  # swept between its making and its locking
                fill(stream)
                if check is not None:
                    check(temporary)
                os.fsync(descriptor)
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        sync_folder(path.parent)
        return


def write_bytes(path: Path, data: bytes) -> None:
    """`write_whole` of what is at hand."""
    write_whole(path, lambda stream: write_all(stream, data))


def write_all(stream: FileIO, data: bytes | memoryview) -> None:
    """Write every byte: one call takes at most 2 GiB, and less on a disk that is nearly full."""
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


def sweep(folder: Path) -> None:
    """Remove what killed writers left in a folder and below; files that a living writer holds stay."""
    if elsewhere(folder):
        return
    for path in folder.rglob(f".*{SUFFIX}"):
        try:
            with path.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
        except OSError:  # a living writer holds it, it is gone, or its folder is only read
            continue


def make_folder(folder: Path) -> None:
    """Make a folder for its owner only, durably; parents too."""
    if not elsewhere(folder) and not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename or a new name in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
