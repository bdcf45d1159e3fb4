"""Long real texts that every Python carries: its language reference as prose, its library's source as code."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from engine.evaluation import templates

MODULES = (
    "argparse ast calendar cmd codeop configparser contextlib copy csv dataclasses difflib dis doctest enum filecmp "
    "fileinput fractions ftplib functools gettext glob gzip heapq imaplib inspect ipaddress locale mailbox mimetypes "
    "netrc numbers optparse pathlib pdb pickle pickletools pkgutil platform plistlib poplib pprint profile pstats "
    "pyclbr quopri random rlcompleter sched shelve shlex shutil smtplib socketserver statistics string subprocess "
    "symtable tarfile tempfile textwrap timeit tokenize trace traceback turtle typing uuid warnings wave weakref "
    "webbrowser zipapp zipfile"
).split()  # fmt: skip
"""Modules whose source the code suites read; training reads none of them."""
SHORTEST = 40
"""Characters of the shortest paragraph that counts as prose."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a module: its name, the first sentence of its docstring, and where its source begins and ends."""

    name: str
    description: str
    start: int
    end: int


@cache
def paragraphs() -> tuple[str, ...]:
    """Prose: the paragraphs of Python's language reference (pydoc_data.topics), about 100,000 tokens."""
    from pydoc_data.topics import topics

    text = "\n\n".join(topics[name] for name in sorted(topics))
    joined = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    return tuple(p for p in joined if len(p) >= SHORTEST and p[0].isalpha())


@cache
def vocabulary() -> tuple[str, ...]:
    """Plain lower-case words of the prose, four to ten letters, each once, none of the templates' own."""
    words = set(re.findall(r"\b[a-z]{4,10}\b", " ".join(paragraphs())))
    return tuple(sorted(words - {*templates.COLOURS, *templates.THINGS}))


@cache
def source(module: str) -> str:
    """The source of one of the library's modules; empty where this Python has none."""
    path = Path(ast.__file__).parent / f"{module}.py"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


@cache
def functions(module: str) -> tuple[Function, ...]:
    """The module's functions and methods whose name is theirs alone in it and whose docstring says what they do."""
    text = source(module)
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    names = [node.name for node in found]
    out = []
    for node in found:
        said = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
        if len(said) >= SHORTEST and node.name not in said and names.count(node.name) == 1 and node.name[:2] != "__":
            out.append(Function(node.name, said[:200], starts[node.lineno - 1], starts[node.end_lineno or node.lineno]))
    return tuple(out)


def haystack(random: Random) -> list[str]:
    """The paragraphs from a place of chance on, and round again."""
    all_of = paragraphs()
    start = random.randrange(len(all_of))
    return [*all_of[start:], *all_of[:start]]
