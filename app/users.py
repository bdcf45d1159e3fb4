"""Users: who may use a server, as what, and which collections they see; passwords and sign-ins as hashes only."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Literal, get_args

from sqlalchemy import ColumnElement, delete, exists, or_, select, update
from sqlalchemy.orm import Session, sessionmaker

from app.database.models import CollectionRow, GrantRow, SignInRow, UserRow
from app.errors import NoSuchCollection, UserProblem

if TYPE_CHECKING:
    from argon2 import PasswordHasher

Role = Literal["admin", "reader"]
"""admin: sees every collection, adds and deletes; reader: asks the collections that were granted."""
ROLES: tuple[Role, ...] = get_args(Role)
SIGNED_IN = timedelta(days=14)
"""After which a browser must sign in again."""
SHORTEST = 8
"""Characters of a password."""
LONGEST = 256
LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class User:
    """A user as lists show it. `signs_in`: has a password; who has none comes through the proxy. `collections` are
    the granted ones; an admin sees all."""

    id: int
    name: str
    role: Role
    signs_in: bool
    collections: tuple[str, ...]

    @property
    def is_admin(self) -> bool:
        """Whether it may add, change and delete."""
        return self.role == "admin"


class Users:
    """The users of a library, in its database; every method is one transaction, and changes are seen at once."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def any(self) -> bool:
        """Whether there is a user: from then on nobody gets in without being one."""
        with self._sessions() as db:
            return db.scalar(select(UserRow.id).limit(1)) is not None

    def all(self) -> list[User]:
        """Every user, by name."""
        with self._sessions() as db:
            return [_user(db, row) for row in db.scalars(select(UserRow).order_by(UserRow.name))]

    def named(self, name: str) -> User | None:
        """The user of that name."""
        with self._sessions() as db:
            row = db.scalar(select(UserRow).where(UserRow.name == name))
            return _user(db, row) if row else None

    def numbered(self, number: int) -> User | None:
        """The user of that id."""
        with self._sessions() as db:
            row = db.get(UserRow, number)
            return _user(db, row) if row else None

    def add(self, name: str, role: Role, password: str | None) -> User:
        """A new user; without a password it can only come through the proxy. Raises UserProblem."""
        if not name.strip() or name != name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
            raise UserProblem(f"A user's name has 1 to {LONGEST_NAME} characters, no space at either end.")
        hashed = None if password is None else _hashed(password)
        with self._sessions.begin() as db:
            if db.scalar(select(UserRow.id).where(UserRow.name == name)) is not None:
                raise UserProblem(f"There is a user '{name}' already. Choose another name, or: omnibus user rm {name}")
            row = UserRow(name=name, role=role, password=hashed)
            db.add(row)
            db.flush()
            return _user(db, row)

    def set_password(self, name: str, password: str) -> None:
        """Another password; browsers in which the user is signed in must sign in anew. Raises UserProblem."""
        hashed = _hashed(password)
        with self._sessions.begin() as db:
            row = _row(db, name)
            row.password = hashed
            db.execute(delete(SignInRow).where(SignInRow.user_id == row.id))

    def remove(self, name: str) -> None:
        """Forget a user with its sign-ins, grants, conversations and jobs. Raises UserProblem for the last admin
        while there are others, who could not be administered any more."""
        with self._sessions.begin() as db:
            row = _row(db, name)
            others = list(db.scalars(select(UserRow.role).where(UserRow.id != row.id)))
            if row.role == "admin" and others and "admin" not in others:
                raise UserProblem(f"'{name}' is the last administrator. Make another first: omnibus user add NAME")
            db.execute(delete(UserRow).where(UserRow.id == row.id))

    def grant(self, name: str, collections: Sequence[str]) -> User:
        """Let a user see collections; raises UserProblem, NoSuchCollection."""
        with self._sessions.begin() as db:
            row, granted = _row(db, name), _collections(db, collections)
            have = set(db.scalars(select(GrantRow.collection_id).where(GrantRow.user_id == row.id)))
            db.add_all(GrantRow(user_id=row.id, collection_id=key) for key in granted if key not in have)
            db.flush()
            return _user(db, row)

    def revoke(self, name: str, collections: Sequence[str]) -> User:
        """Let a user see collections no more; raises UserProblem, NoSuchCollection."""
        with self._sessions.begin() as db:
            row, gone = _row(db, name), _collections(db, collections)
            db.execute(delete(GrantRow).where(GrantRow.user_id == row.id, GrantRow.collection_id.in_(gone)))
            return _user(db, row)

    # -- signing in ---------------------------------------------------------------------------------------------------

    def check(self, name: str, password: str) -> User | None:
        """The user whose password that is. It takes as long for a name that nobody has (about 50 ms, 64 MB)."""
        from argon2.exceptions import Argon2Error

        with self._sessions() as db:
            row = db.scalar(select(UserRow).where(UserRow.name == name))
            kept = row.password if row else None
            try:
                _hasher().verify(kept or _nobodys(), password)
            except Argon2Error:
                return None
            if row is None or kept is None:
                return None
            user = _user(db, row)
        if _hasher().check_needs_rehash(kept):
            with self._sessions.begin() as db:
                db.execute(update(UserRow).where(UserRow.id == user.id).values(password=_hasher().hash(password)))
        return user

    def sign_in(self, user: User) -> str:
        """A new secret for a browser's cookie; only its digest is kept, for SIGNED_IN."""
        secret, now = secrets.token_urlsafe(32), _now()
        with self._sessions.begin() as db:
            db.execute(delete(SignInRow).where(SignInRow.expires < now))
            db.add(SignInRow(digest=_digest(secret), user_id=user.id, expires=now + SIGNED_IN))
        return secret

    def signed_in(self, secret: str) -> User | None:
        """Whose browser shows that secret."""
        query = select(UserRow).join(SignInRow).where(SignInRow.digest == _digest(secret), SignInRow.expires >= _now())
        with self._sessions() as db:
            row = db.scalar(query)
            return _user(db, row) if row else None

    def sign_out(self, secret: str) -> None:
        """Forget a browser."""
        with self._sessions.begin() as db:
            db.execute(delete(SignInRow).where(SignInRow.digest == _digest(secret)))


def seen_by(user: int) -> ColumnElement[bool]:
    """The condition under which a user sees a row of CollectionRow: as it stands now, not when it signed in."""
    is_admin = exists().where(UserRow.id == user, UserRow.role == "admin")
    granted = exists().where(GrantRow.user_id == user, GrantRow.collection_id == CollectionRow.id)
    return or_(is_admin, granted.correlate(CollectionRow))


def _user(db: Session, row: UserRow) -> User:
    names = select(CollectionRow.name).join(GrantRow).where(GrantRow.user_id == row.id).order_by(CollectionRow.name)
    role: Role = row.role  # type: ignore[assignment]
    return User(row.id, row.name, role, row.password is not None, tuple(db.scalars(names)))


def _row(db: Session, name: str) -> UserRow:
    row = db.scalar(select(UserRow).where(UserRow.name == name))
    if row is None:
        raise UserProblem(f"There is no user '{name}'. See: omnibus user ls")
    return row


def _collections(db: Session, names: Sequence[str]) -> list[int]:
    known = {name: key for key, name in db.execute(select(CollectionRow.id, CollectionRow.name))}
    for name in names:
        if name not in known:
            raise NoSuchCollection(name, sorted(known))
    return [known[name] for name in names]


def _hashed(password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        raise UserProblem(f"A password has {SHORTEST} to {LONGEST} characters.")
    return _hasher().hash(password)


@cache
def _hasher() -> PasswordHasher:
    """Argon2id with the parameters of RFC 9106 for little memory: 64 MiB, 3 passes."""
    from argon2 import PasswordHasher
    from argon2.profiles import RFC_9106_LOW_MEMORY

    return PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


@cache
def _nobodys() -> str:
    return _hasher().hash(secrets.token_urlsafe(16))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
