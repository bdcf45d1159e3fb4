"""Sessions: the session files, each a named manifest."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from engine.errors import StoreError
from engine.store.errors import NoSuchSession
from engine.store.files import write_bytes
from engine.store.manifest import Manifest
from engine.store.quarantine import Quarantine
from engine.store.seal import Seal

log = logging.getLogger(__name__)


class Sessions:
    """A folder of session files."""

    def __init__(self, folder: Path, quarantine: Quarantine, seal: Seal) -> None:
        self.folder, self._quarantine, self._seal = folder, quarantine, seal

    def _path(self, name: str) -> Path:
        """Where a session of any name is kept."""
        return self.folder / (hashlib.sha256(name.encode()).hexdigest()[:32] + ".session")

    def _read(self, path: Path) -> Manifest:
        return Manifest.parse(path.read_bytes(), path.name, self._seal)

    def all(self) -> list[Manifest]:
        """Every named session, by name; a damaged session file is set aside."""
        found = []
        for path in self.folder.glob("*.session"):
            try:
                found.append(self._read(path))
            except StoreError as error:
                log.warning("%s It was set aside.", error)
                self._quarantine.take(path)
            except OSError as error:  # removed meanwhile, or unreadable for now
                log.warning("The session file %s cannot be read: %s", path.name, error.strerror)
        return sorted(found, key=lambda m: m.name)

    def get(self, name: str) -> Manifest:
        """A named session; raises NoSuchSession, StoreError where its file is damaged."""
        try:
            return self._read(self._path(name))
        except FileNotFoundError:
            raise NoSuchSession(name) from None

    def put(self, manifest: Manifest) -> None:
        """Keep a session's file, whole or not at all; raises OSError."""
        write_bytes(self._path(manifest.name), manifest.dump(self._seal))

    def remove(self, name: str) -> None:
        """Remove a session's file; raises NoSuchSession, OSError."""
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            raise NoSuchSession(name) from None
