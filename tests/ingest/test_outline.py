"""Outlines keep what files declare, exactly as it stands, and nothing of what bodies hold."""

from __future__ import annotations

import json.decoder
from pathlib import Path

import pytest

from ingest import Document, Encode, Excerpt, Verdict, count_tokens, outline, pack, read

SOURCES = {
    "a.py": (
        '"""Doc."""\nimport os\n\n\nclass A(B):\n    """A thing.\n\n    More.\n    """\n\n    @property\n'
        "    def f(self, a,\n          b=1):\n        return os.getcwd() + SECRET\n\n\n"
        "def g():\n    def inner():\n        pass\n",
        ["class A(B):", '    """A thing.', "    @property", "    def f(self, a,", "          b=1):", "def g():"],
    ),
    "a.rs": (
        "impl A {\n  pub fn f(&self) -> u8 {\n    let x = 1;\n    let y = 2;\n    x + y\n  }\n}\n"
        "fn main() {\n  go();\n}\n",
        ["impl A {", "  pub fn f(&self) -> u8 {", "fn main() {"],
    ),
    "a.go": (
        "package a\n\nfunc (r *R) F(a int) int {\n\tx := 1\n\ty := x + 41\n\treturn x + y\n}\n",
        ["package a", "func (r *R) F(a int) int {"],
    ),
    "a.js": (
        "class A {\n  f(x) {\n    const inside = [1, 2, 3];\n    return inside;\n  }\n}\nconst h = (a) => {\n"
        "  return a.map((b) => b + 1);\n};\n",
        ["class A {", "  f(x) {", "const h = (a) => {"],
    ),
    "a.c": (
        "int f(int a)\n{\n  int b = a + 1;\n  int c = b + 2;\n  return b * c;\n}\n",
        ["int f(int a)"],
    ),
}


def document(path: str, text: str) -> Document:
    return Document(path, "", "0", "code", path, text, Verdict("loaded"))


@pytest.mark.parametrize("path", SOURCES)
def test_declarations_stay_and_bodies_go(path: str) -> None:
    text, expected = SOURCES[path]
    kept = "".join(text[a:b] for a, b in outline(document(path, text)))
    assert [line for line in kept.split("\n") if line] == expected


def test_what_has_no_outline_says_so() -> None:
    assert outline(document("a.txt", "def f():\n    pass\n")) == ()
    assert outline(document("a.py", "x = 1\n" * 50)) == ()
    assert outline(document("a.py", "def f(): pass\n")) == ()  # it would be the whole file
    assert outline(document("a.js", "function f(){" + "x();" * 900 + "}\n" + "// more\n" * 900)) == ()  # minified


def test_each_token_of_an_outline_comes_from_its_place(encode: Encode) -> None:
    made = read(Path(json.decoder.__file__), "json/decoder.py")
    part = Excerpt.outlined(made)
    assert part is not None
    packed = pack([part], encode, fence="7f3a", listed=["json/left.py"])
    for entry in packed.entries:
        (span,) = packed.spans.locate(entry.token_start, entry.token_end)
        assert (span.char_start, span.char_end) == (entry.char_start, entry.char_end)
    lines = {made.text[e.char_start : e.char_end].split("\n")[0].strip() for e in packed.entries}
    assert "class JSONDecoder(object):" in lines
    assert count_tokens(part, encode, fence="7f3a") == packed.entries[-1].token_end
    assert packed.entries[-1].token_end < len(packed.token_ids) < len(encode(made.text)[0]) / 3
    assert packed.spans.locate(packed.entries[-1].token_end, len(packed.token_ids)) == []
