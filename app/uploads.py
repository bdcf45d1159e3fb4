"""The path under which an uploaded file is kept: its folders stay, whatever leads out of the collection does not."""

from __future__ import annotations

import re

NAMELESS = "upload"
FORBIDDEN = re.compile(r"[\x00-\x1f\x7f]")


def upload_path(filename: str) -> str:
    """`a\\\\b/../c.txt` becomes `a/b/c.txt`; roots, drives, `.`, `..` and control characters are dropped."""
    parts = FORBIDDEN.sub("", filename).replace("\\", "/").split("/")
    if re.fullmatch("[A-Za-z]:", parts[0]):
        parts = parts[1:]
    named = [part for part in (part.strip() for part in parts) if part not in ("", ".", "..")]
    return "/".join(named) or NAMELESS
