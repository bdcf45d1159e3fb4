"""Ingestion: whole trees with every file accounted for, and the same book in several formats.

    python -m tests.benchmarks.ingest trees FOLDER…      files, verdicts, seconds, tokens per second
    python -m tests.benchmarks.ingest formats FILE|FOLDER…   agreement of the words, pair by pair
    python -m tests.benchmarks.ingest repack FOLDER       packing again after one edit
    python -m tests.benchmarks.ingest recall FOLDER       finding the file of a docstring's first sentence

Tokens are the default model's (OMNIBUS_HOME must hold it: `omnibus doctor --pull`).
"""

from __future__ import annotations

import ast
import itertools
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rapidfuzz.distance import LCSseq

from app.library import Library
from app.settings import Settings
from app.shelf import PASSAGE_CHARS
from app.words import content_words
from engine.model import LanguageModel
from ingest import Document, TokenCache, near, pack, passages, read_all, walk, whole
from tests.benchmarks.report import show

WORD = re.compile(r"\w+")


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
    packed = pack(whole(loaded), model.encode_with_offsets, fence="7f3a")
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
            began = time.perf_counter()
            packed = pack(whole(documents), model.encode_with_offsets, fence="7f3a", cache=cache)
            rows.append(
                {
                    "step": step,
                    "documents": len(documents),
                    "tokens": len(packed.token_ids),
                    "seconds": time.perf_counter() - began,
                }
            )
    return rows


def sentences(root: Path) -> list[tuple[str, str]]:
    """(first sentence of a docstring, the file it stands in): sentences of four words and more that occur once."""
    found: list[tuple[str, str]] = []
    for file in walk([root]):
        if file.path.suffix != ".py":
            continue
        try:
            module = ast.parse(file.path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                text = " ".join((ast.get_docstring(node) or "").split())
                found.append((re.split(r"(?<=[.!?]) ", text)[0], file.relative))
    times = Counter(text for text, _ in found)
    return [(text, path) for text, path in found if times[text] == 1 and len(text.split()) >= 4]


def recall(root: Path, *, questions: int = 500, first: int = 5) -> list[dict[str, Any]]:
    """Known-item search: how often the file is among the first five for its own sentence, by each kind of index."""
    asked = random.Random(1).sample(known := sentences(root), min(questions, len(known)))
    rows = []
    with tempfile.TemporaryDirectory() as home, Library(settings=Settings(home=Path(home))) as library:
        collection = library.collection("x")
        began = time.perf_counter()
        collection.add(root)
        index_s = time.perf_counter() - began
        trigram, trigram_s = trigram_index(collection.shelf.documents())
        words = [[hit.path for hit in collection.shelf.search(text)] for text, _ in asked]
        began = time.perf_counter()
        threes = [trigram(text) for text, _ in asked]
        print(f"BM25 index {index_s:.1f} s, trigram index {trigram_s:.1f} s", file=sys.stderr)
        print(f"trigram search {1000 * (time.perf_counter() - began) / len(asked):.0f} ms each", file=sys.stderr)
    fused = [fuse(a, b) for a, b in zip(words, threes, strict=True)]
    for name, found in (("BM25", words), ("trigram", threes), ("both, fused", fused)):
        files = [list(dict.fromkeys(paths))[:first] for paths in found]
        top = [path in paths[:1] for paths, (_, path) in zip(files, asked, strict=True)]
        five = [path in paths for paths, (_, path) in zip(files, asked, strict=True)]
        rows.append(
            {
                "search": name,
                "questions": len(asked),
                "recall@1 %": 100 * sum(top) / len(asked),
                "recall@5 %": 100 * sum(five) / len(asked),
            }
        )
    return rows


def trigram_index(documents: list[Document]) -> tuple[Callable[[str], list[str]], float]:
    """A search over an SQLite trigram index of the same passages, by BM25, and the seconds that making it took."""
    began = time.perf_counter()
    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE t USING fts5(path UNINDEXED, text, tokenize='trigram')")
    for d in documents:
        parts = passages(d, max_chars=PASSAGE_CHARS)
        db.executemany("INSERT INTO t VALUES (?, ?)", [(d.path, d.text[p.start : p.end]) for p in parts])

    def search(question: str) -> list[str]:
        match = " OR ".join(f'"{word}"' for word in sorted(set(content_words(question))) if len(word) > 2)
        query = "SELECT path FROM t WHERE t MATCH ? ORDER BY bm25(t) LIMIT 200"
        return [path for (path,) in db.execute(query, (match,))] if match else []

    return search, time.perf_counter() - began


def fuse(left: list[str], right: list[str]) -> list[str]:
    """Reciprocal-rank fusion of files (constant 60)."""
    score: defaultdict[str, float] = defaultdict(float)
    for paths in (left, right):
        for rank, path in enumerate(dict.fromkeys(paths), 1):
            score[path] += 1 / (60 + rank)
    return [path for path, _ in sorted(score.items(), key=lambda item: (-item[1], item[0]))]


def main() -> None:
    """Run what the first argument names."""
    what, *names = sys.argv[1:]
    paths = [Path(name) for name in names]
    if what in ("formats", "recall"):
        rows = formats(paths) if what == "formats" else recall(paths[0])
    else:
        model = LanguageModel.load("default", home=Settings().home)
        rows = [tree(path, model) for path in paths] if what == "trees" else repack(paths[0], model)
    show(rows, list(rows[0]))


if __name__ == "__main__":
    main()
