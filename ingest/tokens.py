"""Token ids of a document's text with the characters each came from, kept on disk by content hash."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

LOG = logging.getLogger(__name__)

Encode = Callable[[str], tuple[list[int], list[tuple[int, int]]]]
"""A tokenizer: text -> (ids, character offsets), no special tokens added."""

Ints = NDArray[np.int32]
SUM = 8
"""Bytes of a checksum."""
WRITING_S = 60.0
"""A file under a passing name may be in the making so long."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """ids, and per token the characters start..end of the document; marks of our own have start = end = -1."""

    ids: Ints
    starts: Ints
    ends: Ints

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def join(cls, parts: list[Tokens]) -> Tokens:
        """Parts one behind the other."""
        if not parts:
            return cls(*(np.empty(0, dtype=np.int32) for _ in range(3)))
        return cls(*(np.concatenate([getattr(p, n) for p in parts]) for n in ("ids", "starts", "ends")))


def encode_text(text: str, encode: Encode, *, shift: int = 0) -> Tokens:
    """Tokens of a text whose first character is character `shift` of its document."""
    ids, offsets = encode(text)
    spans = np.asarray(offsets, dtype=np.int32).reshape(-1, 2) + np.int32(shift)
    return Tokens(np.asarray(ids, dtype=np.int32), spans[:, 0].copy(), spans[:, 1].copy())


def encode_mark(text: str, encode: Encode) -> Tokens:
    """Tokens of a mark of ours, which came from no document."""
    ids, _ = encode(text)
    nowhere = np.full(len(ids), -1, dtype=np.int32)
    return Tokens(np.asarray(ids, dtype=np.int32), nowhere, nowhere)


class TokenCache:
    """A folder of token arrays, one file per (content, fence, tokenizer); a damaged file is a miss.

    A file is its checksum (xxh3, 8 bytes) and then ids, starts and ends, as many little-endian int32 each.
    """

    def __init__(self, folder: Path, tokenizer_digest: str) -> None:
        self._folder = folder / tokenizer_digest[:16]

    def get(self, key: str) -> Tokens | None:
        """The tokens kept under a key."""
        try:
            data = (self._folder / f"{key}.tokens").read_bytes()
        except OSError:  # not there, or not to be read: computing it again is always right
            return None
        if len(data) < SUM or (len(data) - SUM) % 12 or data[:SUM] != xxhash.xxh3_64_digest(memoryview(data)[SUM:]):
            return None
        return Tokens(*np.frombuffer(data, dtype="<i4", offset=SUM).reshape(3, -1))

    def put(self, key: str, tokens: Tokens) -> None:
        """Keep tokens under a key, atomically."""
        temporary = self._folder / f".{secrets.token_hex(8)}.tokens"
        data = np.stack([tokens.ids, tokens.starts, tokens.ends]).astype("<i4").tobytes()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(xxhash.xxh3_64_digest(data) + data)
            os.replace(temporary, self._folder / f"{key}.tokens")
        except OSError as error:  # a full disk must not keep anybody from an answer
            LOG.warning("token counts cannot be kept in %s: %s", self._folder, error)
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def purge_tokens(folder: Path, fence: str, keys: Iterable[str]) -> int:
    """Delete what is kept under a fence, for any tokenizer, but for these keys; and what a kill left. Gives how many.

    Tokens are text: what leaves a collection must not stay readable here.
    """
    held, old = {f"{key}.tokens" for key in keys}, time.time() - WRITING_S
    gone = [file for file in folder.glob(f"*/{fence}-*.tokens") if file.name not in held]
    for file in (f for f in folder.glob("*/*.tokens") if "-" not in f.name):
        with contextlib.suppress(FileNotFoundError):  # another process took it away
            if file.stat().st_mtime < old:
                gone.append(file)
    for file in gone:
        file.unlink(missing_ok=True)
    return len(gone)
