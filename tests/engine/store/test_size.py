"""How long the store is: `python -m tests.engine.store.test_size` prints its lines of code, file by file."""

from __future__ import annotations

import ast
import tokenize
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "engine" / "store"
BESIDE = ("codecs", "pages", "planner", "remote", "cipher", "transfer")
"""KV codecs, whether restoring pays, object stores, encryption, export: built on the core, which is all other files."""
SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def lines_of_code(path: Path) -> int:
    """Lines that hold code: no blanks, comments or docstrings."""
    docs: set[int] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            docs.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    code: set[int] = set()
    with path.open() as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type not in SILENT:
                code.update(range(token.start[0], token.end[0] + 1))
    return len(code - docs)


def core() -> dict[str, int]:
    """Lines of each file of the core."""
    return {path.stem: lines_of_code(path) for path in sorted(FOLDER.glob("*.py")) if path.stem not in BESIDE}


def test_the_core_of_the_store_stays_within_1500_lines() -> None:
    assert sum(core().values()) <= 1500


def test_only_code_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "some.py"
    path.write_text(
        '"""Doc."""\n\n# said\nx = (\n    1,\n)\n\n\ndef f() -> str:\n    """Doc\n\n    more."""\n    return "a"\n'
    )
    assert lines_of_code(path) == 5


if __name__ == "__main__":
    for name, count in (*core().items(), ("core", sum(core().values()))):
        print(f"{count:5} {name}")
    print(f"{sum(map(lines_of_code, FOLDER.glob('*.py'))):5} all files")
