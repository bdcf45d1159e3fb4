"""Quarantine: where damaged files go, the last few kept for a look."""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)

MOST = 16
"""Damaged files kept; older ones go."""


class Quarantine:
    """A folder for what is not believed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def take(self, path: Path) -> None:
        """Set a file aside, whether it is still there or not; what the system refuses is logged."""
        try:
            path.replace(self.folder / path.name)
            for old in sorted(self.folder.iterdir(), key=lambda p: p.stat().st_ctime)[:-MOST]:
                old.unlink(missing_ok=True)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("%s could not be set aside: %s", path.name, error.strerror)
