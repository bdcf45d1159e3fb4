"""Measured: what was found out about models on this machine, over what data/models.toml says of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def remember_window(home: Path, model: str, tokens: int) -> Path:
    """Keep a model's effective window; returns the file that holds it."""
    place = _place(home)
    known = measured(home)
    known.setdefault(model, {})["effective_window"] = tokens
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    os.replace(part, place)
    return place


def measured(home: Path) -> dict[str, dict[str, Any]]:
    """What is known, by model; nothing where nothing was measured or the file is damaged."""
    try:
        found: dict[str, dict[str, Any]] = json.loads(_place(home).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _place(home: Path) -> Path:
    return home / "models" / "measured.json"
