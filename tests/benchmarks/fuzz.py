"""Readers under damage for so many minutes: `python -m tests.benchmarks.fuzz --minutes 10 [--seeds FOLDER] --out FILE`.

PDF and HTML files (the samples, the hostile set and those of a folder) with bytes changed, removed or doubled, and HTML
put together at random. A file must end with a verdict: an exception, or text and verdict that disagree, is a fault. As
each PDF gets a process, which is slow, what happens in it is also run in this one, many times as often: an exception
there would be a crash that the reader turns into a verdict.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

from ingest import read_all_bytes
from ingest.readers.pdf_worker import Refused, extract
from tests.benchmarks.ingest import keep
from tests.conftest import SAMPLES
from tests.ingest.hostile import hostile
from tests.ingest.test_fuzz import PDFS, damaged

LONGEST = 200_000
"""Bytes of a file that is damaged."""
KINDS = (".pdf", ".html", ".htm")
TAGS = "p div span table tr td th ul ol li pre code h1 h2 a script style head body title br img b !-- svg".split()


def seeds(folder: Path | None) -> dict[str, list[tuple[str, bytes]]]:
    """Sound files by kind."""
    found = [*PDFS.items(), *((name, data) for name, (data, _) in hostile().items() if name.endswith(KINDS))]
    for root in [SAMPLES, *([folder] if folder else [])]:
        found += [(p.name, p.read_bytes()) for p in sorted(root.rglob("*")) if p.suffix in KINDS and p.is_file()]
    short = [(name, data) for name, data in found if len(data) <= LONGEST]
    made = {"pdf": [x for x in short if x[0].endswith(".pdf")], "html": [x for x in short if not x[0].endswith(".pdf")]}
    made["html"].append(("plain.html", b"<html><body><h1>Hut</h1><p>Beds are 12.</p><table><tr><td>1</td></table>"))
    return made


def tags(draw: random.Random) -> bytes:
    """HTML of random tags, entities and text, closed or not."""
    out = []
    for _ in range(draw.randint(1, 300)):
        tag = draw.choice(TAGS)
        attribute = draw.choice(("", " id=a", ' class="x', " rowspan=99999999", " colspan=-1", ' href="#&amp;"'))
        out.append(draw.choice((f"<{tag}{attribute}>", f"</{tag}>", "&#x110000;", "&amp", "text ", "\x00", "é", "]]>")))
    return "".join(out).encode(draw.choice(("utf-8", "utf-16", "cp1252")), "replace")


def one(kind: str, known: list[tuple[str, bytes]], draw: random.Random) -> tuple[str, str, float]:
    """Read one damaged file: its verdict or fault, its name, seconds."""
    name, data = draw.choice(known)
    data = tags(draw) if kind == "html" and draw.random() < 0.3 else damaged(data, draw)
    began = time.perf_counter()
    try:
        documents = read_all_bytes(data, name)
        for d in documents:
            assert (d.verdict.status == "skipped") == (not d.text.strip()), d.verdict
            d.text.encode()
            assert not d.pages or d.pages[-1].end == len(d.text)
        status = documents[0].verdict.status if documents else "FAULT: no document"
    except Exception as error:  # what the readers must never let out is what is looked for
        status = f"FAULT: {type(error).__name__}: {error}"[:200]
    return status, name, time.perf_counter() - began


def inside(kind: str, known: list[tuple[str, bytes]], draw: random.Random) -> tuple[str, str, float]:
    """As `one`, for what the PDF reader does in a process of its own, in this one."""
    name, data = draw.choice(known)
    data = damaged(data, draw)
    began = time.perf_counter()
    try:
        status = "pages" if any(extract(data)["pages"]) else "no text"
    except Refused as refusal:
        status = f"refused: {str(refusal).split(';')[0].split(':')[0]}"
    except Exception as error:
        status = f"crash, told as one: {type(error).__name__}"
    return status, name, time.perf_counter() - began


def fuzz(minutes: float, folder: Path | None, seed: int) -> list[dict[str, Any]]:
    """A row for each kind, by turns of equal time."""
    rows = []
    known = seeds(folder)
    known["pdf, in one process"] = known["pdf"]
    logging.disable(logging.CRITICAL)
    for kind, files in known.items():
        read = inside if kind.endswith("process") else one
        draw, seen, slowest = random.Random(seed), Counter[str](), (0.0, "")
        until = time.monotonic() + minutes * 60 / len(known)
        while time.monotonic() < until:
            status, name, seconds = read(kind, files, draw)
            seen[status] += 1
            slowest = max(slowest, (seconds, name))
        faults = {status: n for status, n in seen.items() if status.startswith("FAULT")}
        rows.append(
            {
                "kind": kind,
                "seeds": len(files),
                "minutes": round(minutes / len(known), 1),
                "files": seen.total(),
                "verdicts": {status: n for status, n in seen.items() if status not in faults},
                "faults": faults,
                "slowest s": round(slowest[0], 2),
                "slowest": slowest[1],
            }
        )
    return rows


def main() -> None:
    """Read damaged files, print, keep; exit code 1 where a reader let something out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seeds", type=Path, help="a folder with more sound files")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="put the rows into this file of results")
    options = parser.parse_args()
    rows = fuzz(options.minutes, options.seeds, options.seed)
    print(json.dumps(rows, indent=1))
    if options.out:
        keep(options.out, "fuzz", rows)
    raise SystemExit(any(row["faults"] for row in rows))


if __name__ == "__main__":
    main()
