"""Seal: what stands over the store's bytes, a checksum (Plain, here) or encryption (engine.store.cipher)."""

from __future__ import annotations

from typing import Protocol

import xxhash


class Sealing(Protocol):
    """Sees one part of a file, the header or a layer, from its first byte to its last as it is written."""

    def seal(self, data: memoryview) -> memoryview | bytes:
        """What to write for these bytes."""

    def tag(self) -> bytes:
        """16 bytes that tell all that was sealed; once, at the end."""


class Unsealing(Protocol):
    """Sees one part of a file as it is read; what it gives is not to be believed before `confirms`."""

    def unseal(self, data: memoryview) -> None:
        """Make what was read, in place, what it was before it was sealed."""

    def confirms(self, tag: bytes) -> bool:
        """Whether all that was unsealed is what had this tag; once, at the end."""


class Guard(Protocol):
    """The seal of one file; its parts are numbered, the header is part 0."""

    def sealing(self, part: int) -> Sealing:
        """For a part to be written."""

    def unsealing(self, part: int) -> Unsealing:
        """For a part to be read."""


class Seal(Protocol):
    """How all files of a store are sealed."""

    @property
    def key_id(self) -> str:
        """Which key it has, without telling the key; empty where it has none."""

    @property
    def magic(self) -> bytes:
        """The first 8 bytes of its files."""

    @property
    def salt_bytes(self) -> int:
        """Bytes of a file's own salt, before its header."""

    def salted(self, salt: str) -> str:
        """What a namespace's salt becomes, so that file names do not tell who guesses a text whether it was read."""

    def salt(self) -> bytes:
        """A salt for a new file."""

    def guard(self, salt: bytes) -> Guard:
        """The seal of the file with this salt."""

    def wrap(self, data: bytes) -> bytes:
        """A small file's bytes."""

    def unwrap(self, data: bytes) -> bytes:
        """What was wrapped; raises ValueError where it is anything else."""


class Checksum:
    """xxh3-128 over bytes that stay as they are."""

    def __init__(self) -> None:
        self._hash = xxhash.xxh3_128()

    def seal(self, data: memoryview) -> memoryview:
        """The bytes themselves."""
        self._hash.update(data)
        return data

    def unseal(self, data: memoryview) -> None:
        """Nothing changes."""
        self._hash.update(data)

    def tag(self) -> bytes:
        """The hash."""
        return self._hash.digest()

    def confirms(self, tag: bytes) -> bool:
        """Whether the hash is this one."""
        return self._hash.digest() == tag


class Plain:
    """Files that anybody who may read them can read; checksums tell damage."""

    key_id, magic, salt_bytes = "", b"OMNIKV02", 0

    def salted(self, salt: str) -> str:
        """The salt itself."""
        return salt

    def salt(self) -> bytes:
        """None is needed."""
        return b""

    def guard(self, salt: bytes) -> Plain:
        """Every file is guarded alike."""
        return self

    def sealing(self, part: int) -> Checksum:
        """For a part to be written."""
        return Checksum()

    unsealing = sealing

    def wrap(self, data: bytes) -> bytes:
        """The bytes themselves."""
        return data

    unwrap = wrap


PLAIN = Plain()


def seal_of(key: str) -> Seal:
    """How a store with this key is sealed; raises BadKey, ExtraMissing."""
    if not key:
        return PLAIN
    from engine.store.cipher import Cipher

    return Cipher(key)
