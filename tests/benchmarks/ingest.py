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
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rapidfuzz.distance import LCSseq

from app.library import Library
from app.settings import Settings
from engine.model import LanguageModel
from ingest import Document, TokenCache, near, pack, read_all, walk, whole
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


def recall(root: Path, *, questions: int = 1000, first: int = 5) -> list[dict[str, Any]]:
    """Known-item search: how often the file is among the first five that search gives for its own sentence."""
    asked = random.Random(1).sample(known := sentences(root), min(questions, len(known)))
    with tempfile.TemporaryDirectory() as home, Library(settings=Settings(home=Path(home))) as library:
        collection = library.collection("x")
        began = time.perf_counter()
        collection.add(root)
        index_s = time.perf_counter() - began
        began, hits = time.perf_counter(), Counter[int]()
        for text, path in asked:
            files = list(dict.fromkeys(hit.path for hit in collection.shelf.search(text)))
            hits[files.index(path) if path in files[:first] else -1] += 1
        each = (time.perf_counter() - began) / len(asked)
        documents = len(collection.documents())
    row = {"search": "BM25", "documents": documents, "questions": len(asked), "recall@1 %": 100 * hits[0] / len(asked)}
    row |= {"recall@5 %": 100 * (1 - hits[-1] / len(asked)), "ms each": 1000 * each, "index s": index_s}
    return [row]


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
