"""Cipher: the store's files encrypted with AES-256-GCM, which also tells that nobody changed them.

Every file has a random salt and, by HKDF-SHA256 of the store's key and it, a key of its own; the nonce is the number of
the part, so none meets twice. Chunk and session files are encrypted whole: KV, tokens, namespaces, names. Their file
names are hashes; the engine salts its namespace with an HMAC of the key (`salted`), so that without the catalogue they
do not tell who guesses a text whether it was read.

Not encrypted: sizes and times of files, and the catalogue: chunk keys, namespaces (model, settings), session names.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from functools import cached_property

from engine.store.errors import BadKey, ExtraMissing
from engine.store.seal import Guard, Seal, Watch

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers import AEADDecryptionContext, AEADEncryptionContext
    from cryptography.hazmat.primitives.ciphers import Cipher as Aes
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256
    from cryptography.hazmat.primitives.ciphers.modes import GCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
except ImportError as error:
    raise ExtraMissing("An encrypted session store", "encryption") from error

SALT = 16
TAG = 16
SESSION_MAGIC = b"OMNISE01"


class Cipher(Seal):
    """The seal of a store that has a key."""

    magic, salt_bytes = b"OMNIKE02", SALT

    def __init__(self, key: str) -> None:
        """With a key of 64 hexadecimal digits; raises BadKey."""
        if not re.fullmatch("[0-9a-fA-F]{64}", key.strip()):
            raise BadKey
        self._key = bytes.fromhex(key.strip())
        self.key_id = self._mac(b"id")[:16]

    def salted(self, salt: str) -> str:
        """HMAC-SHA256 of the salt."""
        return self._mac(b"salt" + salt.encode())

    def _mac(self, data: bytes) -> str:
        return hmac.new(self._key, data, hashlib.sha256).hexdigest()

    def salt(self) -> bytes:
        """A random one."""
        return os.urandom(SALT)

    def guard(self, salt: bytes) -> Guard:
        """As Seal.guard: a key for each file, a nonce for each part."""
        key = AES256(HKDF(SHA256(), 32, salt, b"omnibus session store").derive(self._key))
        return lambda part: Encryption(Aes(key, GCM(part.to_bytes(12, "little"))))

    def wrap(self, data: bytes) -> bytes:
        """Encrypt a small file: magic, salt, tag, and what nobody else reads."""
        salt = self.salt()
        watch = self.guard(salt)(0)
        sealed = watch.seal(memoryview(data))
        return SESSION_MAGIC + salt + watch.tag() + sealed

    def unwrap(self, data: bytes) -> bytes:
        """Decrypt a small file; raises ValueError where it is not what this key encrypted."""
        salt, tag, sealed = data[8 : 8 + SALT], data[8 + SALT : 8 + SALT + TAG], bytearray(data[8 + SALT + TAG :])
        watch = self.guard(salt)(0)
        watch.unseal(memoryview(sealed))
        if data[:8] != SESSION_MAGIC or not watch.confirms(tag):
            raise ValueError("it is not encrypted with this key, or was changed")
        return bytes(sealed)


class Encryption(Watch):
    """Encrypts or decrypts one part."""

    def __init__(self, aes: Aes[GCM]) -> None:
        self._aes = aes

    @cached_property
    def _encryptor(self) -> AEADEncryptionContext:
        return self._aes.encryptor()

    @cached_property
    def _decryptor(self) -> AEADDecryptionContext:
        return self._aes.decryptor()

    def seal(self, data: memoryview) -> bytes:
        """The same number of bytes, encrypted."""
        return self._encryptor.update(data)

    def unseal(self, data: memoryview) -> None:
        """Decrypt in place."""
        data[:] = self._decryptor.update(data)

    def tag(self) -> bytes:
        """GCM's tag."""
        self._encryptor.finalize()
        return self._encryptor.tag

    def confirms(self, tag: bytes) -> bool:
        """Whether GCM's tag is right."""
        try:
            self._decryptor.finalize_with_tag(tag)
        except (InvalidTag, ValueError):
            return False
        return True
