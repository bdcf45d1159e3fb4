"""Archives: the files inside zip and tar, read in memory, within limits on size, ratio, count, depth and paths.

Nothing is ever written to disk. What a limit leaves out comes back with a reason, as everything else does.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, cast

ZIPS = (".zip",)
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


def _gzip(stream: IO[bytes]) -> IO[bytes]:
    return cast(IO[bytes], gzip.GzipFile(fileobj=stream))


PACKED: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {".gz": _gzip, ".bz2": bz2.BZ2File, ".xz": lzma.LZMAFile}
MAGIC = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\0": ".xz"}
FAULTS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
    OverflowError,
    KeyError,
)
"""What the standard library raises on damaged or hostile archives."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside an archive: its path there, and its bytes or why there are none."""

    name: str
    data: bytes | None
    reason: str | None = None


@dataclass(slots=True)
class Budget:
    """What one archive may still unpack to, archives inside it included; bytes, files and levels."""

    bytes_left: int = 256 << 20
    files_left: int = 10_000
    member_bytes: int = 64 << 20
    ratio: int = 200
    small: int = 1 << 20
    """Below so many bytes a high ratio is no sign of a bomb."""
    depth: int = 3

    def refuse(self, size: int, packed: int) -> str | None:
        """Why a member of `size` bytes must not be unpacked; None where it may be."""
        if size > self.member_bytes:
            return f"it is larger than {self.member_bytes >> 20} MiB"
        if size > self.small and size > self.ratio * max(packed, 1):
            return f"it unpacks to more than {self.ratio} times its size, as bombs do"
        if size > self.bytes_left:
            return "the archive unpacks to more than is allowed"
        return None


def is_archive(name: str) -> bool:
    """Whether a file of that name is read as an archive."""
    return name.lower().endswith((*ZIPS, *TARS, *PACKED))


def members(data: bytes, name: str, budget: Budget) -> Iterator[Member]:
    """Every file of an archive, in its own order; an archive that is damaged ends with a Member that says so."""
    lower = name.lower()
    if lower.endswith(ZIPS):
        found = _zip(data, budget)
    elif lower.endswith(TARS):
        found = _tar(data, budget)
    else:
        found = _single(data, name, budget)
    try:
        for member in found:
            budget.files_left -= 1
            if budget.files_left < 0:
                yield Member("", None, "it holds more files than are allowed; the rest was not read")
                return
            yield member
    except FAULTS as error:
        yield Member("", None, f"the archive is damaged; what follows in it was not read ({error})")


def _zip(data: bytes, budget: Budget) -> Iterator[Member]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            name, reason = _safe(info.filename)
            reason = reason or ("it is encrypted" if info.flag_bits & 1 else None)
            reason = reason or budget.refuse(info.file_size, info.compress_size)
            if reason:
                yield Member(name, None, reason)
                continue
            try:
                with archive.open(info) as stream:
                    yield _bounded(name, stream, budget, info.compress_size)
            except FAULTS as error:
                yield Member(name, None, f"it is damaged inside its archive ({error})")


def _tar(data: bytes, budget: Budget) -> Iterator[Member]:
    """A packed tar is unpacked as a stream and no further than the budget goes."""
    raw = _unpacked(data, budget) if data[257:262] != b"ustar" else io.BytesIO(data)
    with tarfile.open(fileobj=raw, mode="r:") as archive:
        for info in archive:
            name, reason = _safe(info.name)
            if info.isdir():
                continue
            if not info.isreg():
                reason = reason or "it is a link or a device inside an archive"
            if info.issparse():
                reason = reason or "it is a sparse file inside an archive"
            reason = reason or budget.refuse(info.size, info.size)
            stream = None if reason else archive.extractfile(info)
            if stream is None:
                yield Member(name, None, reason or "it has no contents")
            else:
                yield _bounded(name, stream, budget, info.size)


def _unpacked(data: bytes, budget: Budget) -> IO[bytes]:
    opener = next((PACKED[e] for m, e in MAGIC.items() if data.startswith(m)), None)
    if opener is None:
        return io.BytesIO(data)
    limit = min(budget.bytes_left, max(budget.small, budget.ratio * len(data)))
    with opener(io.BytesIO(data)) as stream:
        out = stream.read(limit + 1)
    if len(out) > limit:
        raise ValueError("it unpacks to more than is allowed")
    return io.BytesIO(out)


def _single(data: bytes, name: str, budget: Budget) -> Iterator[Member]:
    inner = PurePosixPath(name).stem
    with PACKED[PurePosixPath(name).suffix.lower()](io.BytesIO(data)) as stream:
        yield _bounded(inner, stream, budget, len(data))


def _bounded(name: str, stream: IO[bytes], budget: Budget, packed: int) -> Member:
    """A member's bytes, however large it says that it is."""
    limit = min(budget.member_bytes, budget.bytes_left, max(budget.small, budget.ratio * packed))
    data = stream.read(limit + 1)
    budget.bytes_left -= min(len(data), limit)
    if len(data) > limit:
        return Member(name, None, budget.refuse(len(data), packed) or "it unpacks to more than is allowed")
    return Member(name, data)


def _safe(name: str) -> tuple[str, str | None]:
    """A member's path on one plain scale, and why it may not be used."""
    plain = name.replace("\\", "/").encode("utf-8", "backslashreplace").decode()
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in plain)
    parts = [part for part in shown.split("/") if part not in ("", ".")]
    if ".." in parts or shown.startswith("/") or re.match(r"[A-Za-z]:/", shown):
        return "/".join(part for part in parts if part != ".."), "its path leads out of the archive"
    return "/".join(parts), None
