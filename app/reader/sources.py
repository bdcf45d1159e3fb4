"""Where training text comes from: manuals of Debian's documentation packages and Python's library, with their licences.

`python -m app.reader.sources --packages FOLDER --out FILE.jsonl.xz` reads what `apt-get download` and `dpkg -x` left as
FOLDER/PACKAGE. Whatever the evaluation reads is left out: its packages, its modules, and each paragraph of its prose.
"""

from __future__ import annotations

import argparse
import ast
import json
import lzma
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.evaluation import texts


@dataclass(frozen=True, slots=True)
class Package:
    """A Debian package, which of its files are read, and under which licence they stand."""

    name: str
    files: str
    licence: str


PACKAGES = (
    Package("python3.11-doc", "usr/share/doc/python3.11/html/_sources/**/*.txt", "PSF-2.0"),
    Package("perl-doc", "usr/share/perl/*/pod/*.pod", "Artistic-1.0-Perl or GPL-1.0-or-later"),
    Package("git-doc", "usr/share/doc/git-doc/*.txt", "GPL-2.0"),
    Package("sqlite3-doc", "usr/share/doc/sqlite3/**/*.html", "public domain"),
    Package("postgresql-doc-15", "usr/share/doc/postgresql-doc-15/html/*.html", "PostgreSQL"),
    Package("debian-handbook", "usr/share/doc/debian-handbook/html/en-US/*.html", "GPL-2.0-or-later or CC-BY-SA-3.0"),
    Package("debian-reference-en", "usr/share/debian-reference/*.en.html", "GPL-2.0-or-later"),
    Package("jargon-text", "usr/share/doc/jargon-text/jargon.txt.gz", "public domain"),
)
"""What training reads."""
HELD_OUT = (
    Package("debian-policy", "usr/share/doc/debian-policy/*.txt.gz", "GPL-2.0-or-later"),
    Package("developers-reference", "usr/share/developers-reference/_sources/*.txt", "GPL-2.0-or-later"),
    Package("r-doc-html", "usr/share/doc/r-doc-html/manual/*.html", "GPL-2.0-or-later"),
)
"""What only the reader's evaluation reads."""
LONGEST = 300_000
SHORTEST = 400


@dataclass(frozen=True, slots=True)
class Source:
    """A training document: the package it came from, its path there, whether it is code, and its text."""

    package: str
    path: str
    code: bool
    text: str


def read(folder: Path, packages: Iterable[Package]) -> Iterator[Source]:
    """Every document of unpacked packages, in canonical order."""
    from ingest.read import read_all

    for package in packages:
        for path in sorted((folder / package.name).glob(package.files)):
            relative = path.relative_to(folder / package.name).as_posix().rsplit("/html/", 1)[-1]
            for document in read_all(path, relative):
                if document.verdict.status != "skipped":
                    yield from _kept(package.name, relative, document.text, code=False)


def modules() -> Iterator[Source]:
    """The library's modules, but for those that the evaluation and the demo read, tests and tables."""
    top = Path(ast.__file__).parent
    for path in sorted(top.rglob("*.py")):
        parts = path.relative_to(top).parts
        if {
            "test",
            "tests",
            "idlelib",
            "lib2to3",
            "encodings",
            "site-packages",
            "pydoc_data",
            "json",
            "__pycache__",
        } & {*parts}:
            continue
        if path.stem not in texts.MODULES:
            text = path.read_text(encoding="utf-8", errors="replace")
            yield from _kept("python", "/".join(parts), text, code=True)


def _kept(package: str, path: str, text: str, *, code: bool) -> Iterator[Source]:
    text = text if code else unheld(text)
    if len(text) >= SHORTEST:
        yield Source(package, path, code, text[:LONGEST])


def unheld(text: str) -> str:
    """A text without the paragraphs that the evaluation's prose has too, marked up or not."""
    known = {_folded(p) for p in texts.paragraphs()}
    return "\n\n".join(p for p in re.split(r"\n\s*\n", text) if _folded(p) not in known)


def _folded(paragraph: str) -> str:
    """Its first 40 letters: reStructuredText's marks and line ends do not tell two wordings apart."""
    return "".join(c for c in re.sub(r":[a-z:]+:`", "", paragraph) if c.isalpha()).lower()[:40]


def load(path: Path) -> list[Source]:
    """What `main` wrote."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        return [Source(**json.loads(line)) for line in lines]


def main() -> None:
    """Write training and held-out sources beside each other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, required=True, help="folder of unpacked Debian packages")
    parser.add_argument("--out", type=Path, required=True, help="folder for train.jsonl.xz and held_out.jsonl.xz")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for name, found in (
        ("train", [*read(asked.packages, PACKAGES), *modules()]),
        ("held_out", list(read(asked.packages, HELD_OUT))),
    ):
        with lzma.open(asked.out / f"{name}.jsonl.xz", "wt", encoding="utf-8", preset=4) as out:
            out.writelines(json.dumps(asdict(source)) + "\n" for source in found)
        print(f"{name}: {len(found)} documents, {sum(len(s.text) for s in found) / 1e6:.1f} M characters")


if __name__ == "__main__":
    main()
