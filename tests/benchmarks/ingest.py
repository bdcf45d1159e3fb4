"""Ingestion: whole trees with every file accounted for, and the same book in several formats.

    python -m tests.benchmarks.ingest trees FOLDER…      files, verdicts, seconds, tokens per second
    python -m tests.benchmarks.ingest formats FILE|FOLDER…   agreement of the words, pair by pair
    python -m tests.benchmarks.ingest repack FOLDER       packing again after one edit
    python -m tests.benchmarks.ingest spans FOLDER…       10,000 random ranges of tokens back to their characters

Tokens are the default model's (OMNIBUS_HOME must hold it: `omnibus doctor --pull`).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rapidfuzz.distance import LCSseq

from app.settings import Settings
from engine.models.model import LanguageModel
from ingest import Document, PackedPrompt, TokenCache, near, pack, read_all, tree_lines, walk, whole
from tests.benchmarks.host import host
from tests.benchmarks.report import show

WORD = re.compile(r"\w+")
MARKS = 400
"""Characters of marks (of a file and of a few pages) that a range of tokens may hold beside text."""


def load(root: Path) -> tuple[list[Document], int, int]:
    """Documents of a tree, files walked, and entries that the walk itself left out with a reason."""
    missed: list[Path] = []
    found = list(walk([root], on_skip=lambda path, _: missed.append(path)))
    return [d for f in found for d in read_all(f.path, f.relative)], len(found), len(missed)


def as_git_lists(root: Path) -> bool | None:
    """Whether the walk is `git ls-files -co --exclude-standard`; None outside repositories."""
    command = ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"]
    run = subprocess.run(command, capture_output=True, check=False)
    if run.returncode:
        return None
    listed = {root / os.fsdecode(name) for name in run.stdout.split(b"\0") if name}
    links = {path for path in listed if path.is_symlink()}
    missed: list[Path] = []
    walked = {found.path for found in walk([root], on_skip=lambda path, _: missed.append(path))}
    return walked - links == {path for path in listed - links if path.is_file()}


def tree(root: Path, model: LanguageModel) -> dict[str, Any]:
    """One row: what became of each file, and how long reading, counting and finding duplicates took."""
    began = time.perf_counter()
    documents, files, missed = load(root)
    read_s = time.perf_counter() - began
    loaded = [d for d in documents if d.text]
    skipped = [d for d in documents if not d.text]
    assert all(d.verdict.reason for d in skipped)
    began = time.perf_counter()
    packed = pack(whole(loaded), model.encode_with_offsets, fence="7f3a", tree=tree_lines)
    pack_s = time.perf_counter() - began
    alike = near(loaded)
    return {
        "tree": root.name,
        "files": files,
        "documents": len(documents),
        "loaded": len(loaded),
        "skipped": len(skipped),
        "left out": missed,
        "as git": {True: "yes", False: "NO", None: "-"}[as_git_lists(root)],
        "repeat": sum(d.similarity == 1.0 for d in alike),
        "near": sum(d.similarity < 1.0 for d in alike),
        "read s": read_s,
        "tokens": len(packed.token_ids),
        "pack s": pack_s,
        "tokens/s": round(len(packed.token_ids) / pack_s),
    }


def words(path: Path) -> list[str]:
    """The words of a file or of a folder's files in their order, hyphens left out, since PDFs break words at them."""
    documents = sorted(load(path)[0], key=lambda d: d.path)
    text = "\n".join(d.text for d in documents)
    return WORD.findall(re.sub(r"(\w)-(?:\n\s*)?(?=\w)", r"\1", text).lower())


def agreement(left: list[str], right: list[str]) -> tuple[float, float, float]:
    """Share of words in common: counted, of the shorter, and in the same order (longest common subsequence)."""
    both = sum((Counter(left) & Counter(right)).values())
    ordered = LCSseq.similarity(left, right)
    return (
        2 * both / (len(left) + len(right)),
        both / min(len(left), len(right)),
        2 * ordered / (len(left) + len(right)),
    )


def formats(paths: list[Path]) -> list[dict[str, Any]]:
    """A row for each pair of forms of one book."""
    read = {path.name: words(path) for path in paths}
    rows = []
    for (left, a), (right, b) in itertools.combinations(read.items(), 2):
        counted, kept, ordered = agreement(a, b)
        rows.append(
            {
                "left": left,
                "words": len(a),
                "right": right,
                "words ": len(b),
                "same words %": 100 * counted,
                "of the shorter %": 100 * kept,
                "same order %": 100 * ordered,
            }
        )
    return rows


def repack(root: Path, model: LanguageModel) -> list[dict[str, Any]]:
    """Packing cold, warm, and after one document changed."""
    documents = [d for d in load(root)[0] if d.text]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        cache = TokenCache(Path(folder), model.tokenizer_digest)
        for step in ("cold", "again", "one edit"):
            if step == "one edit":
                d = documents[len(documents) // 2]
                edited = Document(d.path, d.source, "", d.kind, d.title, d.text + "# edited\n", d.verdict, ())
                documents[len(documents) // 2] = edited
            began = time.perf_counter(), time.process_time()
            encode = model.encode_with_offsets
            packed = pack(whole(documents), encode, fence="7f3a", cache=cache, tree=tree_lines)
            rows.append(
                {
                    "step": step,
                    "documents": len(documents),
                    "tokens": len(packed.token_ids),
                    "seconds": time.perf_counter() - began[0],
                    "processor s": time.process_time() - began[1],
                }
            )
    return rows


def spans(root: Path, model: LanguageModel, *, ranges: int = 10_000) -> dict[str, Any]:
    """Random token ranges of a packed tree: how often decoding the tokens gives the characters that the map names.

    A token may be part of a character, and a range then lacks its rest: such ranges are widened to whole characters.
    """
    documents = [d for d in load(root)[0] if d.text]
    packed = pack(whole(documents), model.encode_with_offsets, fence="7f3a", tree=tree_lines)
    texts = {d.path: d.text for d in documents}
    draw, right, places = random.Random(1), 0, 0
    for _ in range(ranges):
        entry = packed.entries[draw.randrange(len(packed.entries))]
        first = draw.randrange(entry.token_start, entry.token_end)
        last = min(first + draw.randrange(1, 200), entry.token_end)
        right += in_place(packed, texts, first, last, model)
        places += len(packed.spans.locate(first, last))
    return {"tree": root.name, "tokens": len(packed.token_ids), "ranges": ranges, "places": places, "right": right}


def in_place(packed: PackedPrompt, texts: dict[str, str], first: int, last: int, model: LanguageModel) -> bool:
    """Whether the decoded tokens hold what the map cites, line by line, for page marks may stand between lines.

    A token may be a part of a character; the range then decodes to a replacement sign where it is cut, and the cited
    text is compared without that character.
    """
    decoded = model.decode(packed.token_ids[first:last].tolist())
    front, back = int(decoded.startswith("\ufffd")), int(decoded.endswith("\ufffd"))
    kept = decoded.replace("\u200b", "")
    for span in packed.spans.locate(first, last):
        cited = texts[span.path][span.char_start + front : span.char_end - back].replace("\u200b", "")
        if not all(line in kept for line in cited.split("\n")) or len(kept) > len(cited) + MARKS:
            return False
    return True


def keep(file: Path, section: str, rows: Sequence[dict[str, Any]]) -> None:
    """Put a section's rows, with how they were measured, into the results."""
    kept = json.loads(file.read_text()) if file.exists() else {}
    words = itertools.pairwise(["", *sys.argv[1:]])
    command = ["FILE" if before == "--out" else "FOLDER" if Path(word).exists() else word for before, word in words]
    module = Path(sys.argv[0]).stem
    kept[section] = {
        "command": " ".join(["python -m", f"tests.benchmarks.{module}", *command]),
        "sqlite": sqlite3.sqlite_version,
        **host(),
        "rows": list(rows),
    }
    file.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    """Run what the first argument names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["trees", "formats", "repack", "spans"])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, help="put the rows into this file of results")
    options = parser.parse_args()
    if options.what == "formats":
        rows = formats(options.paths)
    else:
        model = LanguageModel.load("default", home=Settings().home)
        each = {"trees": tree, "spans": spans}
        found = [each[options.what](path, model) for path in options.paths] if options.what in each else []
        rows = found or repack(options.paths[0], model)
    show(rows, list(rows[0]))
    if options.out:
        keep(options.out, options.what, rows)


if __name__ == "__main__":
    main()
