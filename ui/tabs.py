"""Tabs: what each browser tab showed last, so that it is there again after a reload."""

from __future__ import annotations

import threading
from collections import OrderedDict

from ui.chat_view import Dialogue

MOST = 500


class Tabs:
    """Collection and dialogue by person and tab; those used longest ago are forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], tuple[str, Dialogue]] = OrderedDict()

    def keep(self, person: str, collection: str, dialogue: Dialogue) -> None:
        """What the tab shows now."""
        with self._lock:
            self._kept[person, dialogue.tab] = collection, dialogue
            self._kept.move_to_end((person, dialogue.tab))
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)

    def find(self, person: str, tab: str) -> tuple[str, Dialogue] | None:
        """What the tab showed; None where it is new."""
        with self._lock:
            return self._kept.get((person, tab))
