"""KeptFigures: what heads computed and kept when a prompt was read, for answers that find it in the session store."""

from __future__ import annotations

import json
import logging
import os
import secrets
from dataclasses import asdict
from pathlib import Path

from engine.prefill.head_figures import HeadFigures

LOG = logging.getLogger(__name__)
MOST = 200


class KeptFigures:
    """A folder with one file a prompt, the newest MOST of them. They hold figures, and nothing of the documents."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, heads: HeadFigures, tokens: int) -> None:
        """Keep the figures of `tokens` tokens that were read, atomically; where that cannot be, there are none."""
        part = self._folder / f".{secrets.token_hex(8)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps({"tokens": tokens, **asdict(heads)}, separators=(",", ":")))
            os.replace(part, self._folder / f"{key}.json")
            for old in sorted(self._folder.glob("*.json"), key=lambda file: -file.stat().st_mtime)[MOST:]:
                old.unlink(missing_ok=True)
        except OSError as error:
            LOG.warning("the figures of a reading were not kept: %s", error)

    def get(self, key: str) -> tuple[HeadFigures, int] | None:
        """The figures kept under a key and how many tokens they are about; None where there are none."""
        try:
            kept = json.loads((self._folder / f"{key}.json").read_text())
            heads = HeadFigures(tuple(map(tuple, kept["density"])), tuple(map(tuple, kept["kept"])))
            return heads, int(kept["tokens"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
