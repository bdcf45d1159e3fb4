"""RemotePath: an object in a store that fsspec reaches (s3://, gs://, az://, …), in place of a local Path.

An object is written on the local disk first, whole and checked, and then put; object stores show a put object whole or
not at all, so there is nothing to rename and nothing to sweep. Two writers of one chunk put the same chunk twice. Last
use stands in the catalogue only, for an object's time cannot be set.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import IO, Any

from engine.errors import StoreError
from engine.store.errors import ExtraMissing
from engine.store.files import Stat, write_whole


@dataclass(frozen=True, slots=True, order=True)
class RemotePath:
    """What the session store asks of a path; every failure is an OSError."""

    path: str
    fs: Any = field(compare=False, repr=False)

    @classmethod
    def at(cls, address: str) -> RemotePath:
        """The place that an address like s3://bucket/folder names; raises ExtraMissing, StoreError."""
        try:
            import fsspec  # type: ignore[import-untyped]

            fs, path = fsspec.core.url_to_fs(address, use_listings_cache=False)
        except ImportError as error:
            raise ExtraMissing(f"A session store at {address}", "s3") from error
        except ValueError as error:
            raise StoreError(f"The session store's address {address} is not understood: {error}.") from error
        return cls(path.rstrip("/"), fs)

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(f"{self.path}/{name}", self.fs)

    def __str__(self) -> str:
        return str(self.fs.unstrip_protocol(self.path))

    @property
    def name(self) -> str:
        """Its last part."""
        return PurePosixPath(self.path).name

    @property
    def stem(self) -> str:
        """Its last part without the suffix."""
        return PurePosixPath(self.path).stem

    @property
    def parent(self) -> RemotePath:
        """What it lies in."""
        return RemotePath(str(PurePosixPath(self.path).parent), self.fs)

    def is_file(self) -> bool:
        """Whether the object is there."""
        with _failures(self):
            return bool(self.fs.isfile(self.path))

    exists = is_file

    def stat(self) -> Stat:
        """Its size and when it was put."""
        with _failures(self):
            info, time = self.fs.info(self.path), self.fs.modified(self.path).timestamp()
        return Stat(int(info["size"]), int(time * 1e9), time)

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """The objects that fit a pattern."""
        with _failures(self):
            return iter([RemotePath(path, self.fs) for path in self.fs.glob(f"{self.path}/{pattern}")])

    def iterdir(self) -> Iterator[RemotePath]:
        """The objects in it."""
        return self.glob("*")

    def read_bytes(self) -> bytes:
        """All of it."""
        with _failures(self):
            return bytes(self.fs.cat_file(self.path))

    def open(self, mode: str = "rb") -> IO[bytes]:
        """A stream of it."""
        with _failures(self):
            return self.fs.open(self.path, mode)  # type: ignore[no-any-return]

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove it."""
        with _failures(self):
            try:
                self.fs.rm_file(self.path)
            except FileNotFoundError:
                if not missing_ok:
                    raise

    def replace(self, target: RemotePath) -> None:
        """Copy it there and remove it here; not at once, so only for what is not believed anyway."""
        with _failures(self):
            self.fs.copy(self.path, target.path)
            self.fs.rm_file(self.path)

    def write_whole(self, fill: Callable[[FileIO], None], check: Callable[[Path], None] | None) -> None:
        """As files.write_whole."""
        with tempfile.TemporaryDirectory(prefix="omnibus-") as folder:
            local = Path(folder) / self.name
            write_whole(local, fill, check)
            with _failures(self):
                self.fs.put_file(str(local), self.path)

    def open_file(self) -> RemoteFile:
        """For reading anywhere in it."""
        return RemoteFile(self)


class RemoteFile:
    """Reads ranges of an object, in the place of a File."""

    def __init__(self, path: RemotePath) -> None:
        self._path = path

    @property
    def size(self) -> int:
        """Bytes of the object."""
        return self._path.stat().st_size

    def read_at(self, offset: int, buffer: memoryview) -> bool:
        """As File.read_at."""
        with _failures(self._path):
            data = self._path.fs.cat_file(self._path.path, start=offset, end=offset + len(buffer)) if buffer else b""
        if len(data) < len(buffer):
            return False
        buffer[:] = data
        return True

    def close(self) -> None:
        """Nothing stays open between two reads."""


@contextmanager
def _failures(path: RemotePath) -> Iterator[None]:
    """Have whatever the service's library raises be an OSError, as of a disk."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(0, " ".join(str(error).split()) or type(error).__name__, str(path)) from error
