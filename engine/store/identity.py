"""Identity: which store a folder holds, and with which key it was begun."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import StoreError
from engine.store.errors import WrongKey
from engine.store.files import write_bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """A store's random name, and its key's id ('' where it is not encrypted); in <root>/store.json."""

    store: str
    key_id: str

    @classmethod
    def settle(cls, root: Path, key_id: str) -> Identity:
        """The store's identity, given to it at its beginning; raises WrongKey, StoreError, OSError."""
        path = root / "store.json"
        try:
            found = cls(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            begun = any((root / "chunks").glob("*/*.kv")) or any((root / "sessions").glob("*.session"))
            found = cls(secrets.token_hex(16), "" if begun else key_id)
            write_bytes(path, json.dumps(asdict(found)).encode())
        except (ValueError, TypeError) as error:
            raise StoreError(
                f"'{path}' cannot be understood; restore it from a backup, or use another folder."
            ) from error
        if found.key_id != key_id:
            raise WrongKey(root, has=found.key_id, given=key_id)
        return found
