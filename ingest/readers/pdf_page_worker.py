"""The child process that draws a page: a PDF on standard input, JSON on standard output. Knows none of our modules.

Arguments: seconds, megabytes, the page's index, its width in pixels, and a JSON list of texts to look for on it.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from typing import Any

import pypdfium2


def draw(data: bytes, index: int, width: int, texts: list[str]) -> dict[str, Any]:
    """The page as PNG, and where each text stands: left, top, right, bottom as shares of its width and height."""
    page = pypdfium2.PdfDocument(data)[index]
    wide, high = page.get_size()
    picture = page.render(scale=width / wide).to_pil()
    file = io.BytesIO()
    picture.convert("RGB").quantize(64).save(file, "PNG", optimize=True)
    letters = page.get_textpage()
    boxes = []
    for text in texts:
        found = letters.search(text, match_case=True).get_next()
        if found is None:
            continue
        rects = [letters.get_rect(i) for i in range(letters.count_rects(*found))]
        left, bottom = min(r[0] for r in rects), min(r[1] for r in rects)
        right, top = max(r[2] for r in rects), max(r[3] for r in rects)
        boxes.append([left / wide, 1 - top / high, right / wide, 1 - bottom / high])
    png = base64.b64encode(file.getvalue()).decode()
    return {"png": png, "width": picture.width, "height": picture.height, "boxes": boxes}


def _limit(seconds: int, megabytes: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows, where the parent's time limit has to do
        return
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


if __name__ == "__main__":
    _limit(int(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write(
        json.dumps(draw(sys.stdin.buffer.read(), int(sys.argv[3]), int(sys.argv[4]), json.loads(sys.argv[5])))
    )
