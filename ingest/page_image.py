"""PageImage: a page of a PDF as it looks, and where on it some words stand."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import Unreadable

SECONDS = 20
MEGABYTES = 2048
WIDTH = 900
LEAST = 3
"""Characters from which a line is looked for."""
WORKER = Path(__file__).with_name("readers") / "pdf_page_worker.py"


@dataclass(frozen=True, slots=True)
class PageImage:
    """PNG bytes, size in pixels, and boxes: left, top, right and bottom as shares of width and height."""

    png: bytes
    width: int
    height: int
    boxes: tuple[tuple[float, float, float, float], ...]


def page_image(data: bytes, index: int, passage: str = "") -> PageImage:
    """Page `index` (from 0) of a PDF; the boxes are around the lines of `passage`.

    Drawn in a process of its own. Raises Unreadable where that fails, or takes more than SECONDS or MEGABYTES.
    """
    lines = [line.strip() for line in passage.split("\n") if len(line.strip()) >= LEAST]
    command = [
        sys.executable,
        "-P",
        str(WORKER),
        str(SECONDS),
        str(MEGABYTES),
        str(index),
        str(WIDTH),
        json.dumps(lines),
    ]
    try:
        run = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS, check=False)
        found = json.loads(run.stdout)
    except subprocess.TimeoutExpired as error:
        raise Unreadable(f"drawing page {index + 1} took longer than {SECONDS} seconds") from error
    except ValueError as error:
        raise Unreadable(f"page {index + 1} cannot be drawn") from error
    boxes = tuple((left, top, right, bottom) for left, top, right, bottom in found["boxes"])
    return PageImage(base64.b64decode(found["png"]), found["width"], found["height"], boxes)
