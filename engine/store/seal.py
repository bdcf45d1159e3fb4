"""Seal: what stands over the store's bytes, a checksum here, encryption in engine.store.cipher."""

from __future__ import annotations

from collections.abc import Callable

import xxhash


class Watch:
    """Sees one part of a file, the header or a layer, from its first byte to its last; here for an xxh3-128 of it.

    What is read is not to be believed before it confirms.
    """

    def __init__(self) -> None:
        self._hash = xxhash.xxh3_128()

    def seal(self, data: memoryview) -> memoryview | bytes:
        """What to write for these bytes."""
        self._hash.update(data)
        return data

    def unseal(self, data: memoryview) -> None:
        """Make what was read, in place, what it was before it was sealed."""
        self._hash.update(data)

    def tag(self) -> bytes:
        """16 bytes that tell all that was sealed; once, at the end."""
        return self._hash.digest()

    def confirms(self, tag: bytes) -> bool:
        """Whether all that was unsealed is what had this tag; once, at the end."""
        return self._hash.digest() == tag


Guard = Callable[[int], Watch]
"""The seal of one file: a watch over the part with this number, the header being part 0."""


class Seal:
    """How all files of a store are sealed: these can be read by anybody who may read them, checksums tell damage."""

    key_id = ""
    """Which key it has, without telling the key; empty where it has none."""
    magic = b"OMNIKV02"
    """The first 8 bytes of its files."""
    salt_bytes = 0
    """Bytes of a file's own salt, before its header."""

    def salted(self, salt: str) -> str:
        """What a namespace's salt becomes, so that file names do not tell who guesses a text whether it was read."""
        return salt

    def salt(self) -> bytes:
        """A salt for a new file."""
        return b""

    def guard(self, salt: bytes) -> Guard:
        """The seal of the file with this salt."""
        return lambda part: Watch()

    def wrap(self, data: bytes) -> bytes:
        """A small file's bytes."""
        return data

    def unwrap(self, data: bytes) -> bytes:
        """What was wrapped; raises ValueError where it is anything else."""
        return data


PLAIN = Seal()


def seal_of(key: str) -> Seal:
    """How a store with this key is sealed; raises BadKey, ExtraMissing."""
    if not key:
        return PLAIN
    from engine.store.cipher import Cipher

    return Cipher(key)
