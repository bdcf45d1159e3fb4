"""Tokens: who may use the server and for what, kept as digests in one file that only its owner reads."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from filelock import FileLock

from app.errors import OmnibusError

TokenScope = Literal["ask", "manage", "metrics"]
SCOPES: tuple[TokenScope, ...] = get_args(TokenScope)
PREFIX = "omni-"


class TokenProblem(OmnibusError):
    """A token of that name cannot be made or found."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as lists show it: never the token itself. ask: questions and lists; manage: documents and sessions.

    `per_minute` and `max_mb` limit its requests (app.http.limits); null sets no limit of its own. Who shows it sees and
    may do what `user` does; null: every collection.
    """

    name: str
    scopes: tuple[TokenScope, ...]
    created: str
    digest: str
    per_minute: int | None = None
    max_mb: int | None = None
    user: str | None = None


class Tokens:
    """The tokens of one home. A token is 256 random bits, so one SHA-256 keeps it; changes are seen at once."""

    def __init__(self, home: Path) -> None:
        self.path = home / "access.json"
        self._seen: tuple[int, int] | None = None
        self._by_digest: dict[str, Token] = {}

    @property
    def required(self) -> bool:
        """Whether a token was ever made here: from then on nobody gets in without one."""
        return self.path.exists()

    def all(self) -> list[Token]:
        """Every token, in the order in which they were made."""
        return list(self._read().values())

    def find(self, token: str) -> Token | None:
        """The entry of a token that somebody shows."""
        return self._read().get(_digest(token))

    def new(
        self,
        name: str,
        scopes: tuple[TokenScope, ...],
        *,
        per_minute: int | None = None,
        max_mb: int | None = None,
        user: str | None = None,
    ) -> str:
        """Make a token and return it, the only time it can be read; raises TokenProblem."""
        secret = PREFIX + secrets.token_urlsafe(32)
        with self._changing() as tokens:
            if any(t.name == name for t in tokens.values()):
                raise TokenProblem(
                    f"There is a token '{name}' already. Choose another name or: omnibus token rm {name}"
                )
            created = datetime.now(UTC).isoformat(timespec="seconds")
            made = Token(name, scopes, created, _digest(secret), per_minute, max_mb, user)
            self._write([*tokens.values(), made])
        return secret

    def remove(self, name: str) -> None:
        """Take a token back; raises TokenProblem."""
        with self._changing() as tokens:
            kept = [t for t in tokens.values() if t.name != name]
            if len(kept) == len(tokens):
                raise TokenProblem(f"There is no token '{name}'. See: omnibus token ls")
            self._write(kept)

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Token]]:
        """The tokens while nobody else may change them."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            yield self._read()

    def _read(self) -> dict[str, Token]:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._seen, self._by_digest = None, {}
            return {}
        if self._seen != (stat.st_mtime_ns, stat.st_ino):
            rows = json.loads(self.path.read_text(encoding="utf-8"))
            self._by_digest = {row["digest"]: Token(**{**row, "scopes": tuple(row["scopes"])}) for row in rows}
            self._seen = (stat.st_mtime_ns, stat.st_ino)
        return self._by_digest

    def _write(self, tokens: list[Token]) -> None:
        partial = self.path.with_suffix(".partial")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump([asdict(token) for token in tokens], file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
