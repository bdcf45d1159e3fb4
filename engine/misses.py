"""Misses: why the session store gives back no more of a prompt, as sentences by code."""

from __future__ import annotations

from typing import Any

from engine.reason import Reason

MISSES = {
    "nothing_kept": "nothing was kept yet",
    "nothing_kept_saving": "nothing is kept yet, {waiting} other chunks are being saved",
    "other_settings": "kept under other settings only: {difference}",
    "other_beginning": "nothing kept begins with them",
    "rest_not_kept": "tokens from {start:,} on were not kept",
    "rest_saving": "tokens from {start:,} on are not kept: their save is still on its way",
    "rest_failed": "tokens from {start:,} on are not kept: their save failed: {error}",
    "saving": "they are not kept: their save is still on its way",
    "failed": "they are not kept: their save failed: {error}",
    "unreadable": "tokens from {start:,} on cannot be read: {error}",
    "damaged": "tokens from {start:,} on were damaged on disk",
    "chunk_damaged": "{error}",
    "catalogue": "{error}",
    "computing_faster": "computing is expected to be faster: {computing:.1f} s, not {restoring:.1f} s",
    "pages": "pages of {page} tokens are not kept in chunks of {chunk:,}",
}


def miss(code: str, **facts: Any) -> Reason:
    """A miss; `start` is the first token that is not given back, `error` what the system said."""
    return Reason.of(MISSES, code, **facts)
