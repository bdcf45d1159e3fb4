"""HTML gives the words a browser shows, block by block."""

from __future__ import annotations

import pytest

from ingest import read_bytes

PAGE = """<!DOCTYPE html><html><head><title> The
 Title </title><style>p {color: red}</style></head><body>
<h1>Chapter   <em>one</em></h1><p>First paragraph,
wrapped.</p><p>Second<br>broken</p>
<ul><li>apple</li><li><p>pear</p></li></ul>
<pre>a  b
   c</pre><script>evil()</script><!-- hidden -->
<table><tr><td>x</td><td>y</td></tr></table>tail</body></html>"""


def test_blocks_become_lines_and_headings_get_marks() -> None:
    document = read_bytes(PAGE.encode(), "page.html")
    lines = [line for line in document.text.split("\n") if line]
    assert lines[:5] == ["# Chapter one", "First paragraph, wrapped.", "Second", "broken", "- apple"]
    assert lines[5:] == ["- pear", "a  b", "   c", "x", "y", "tail"]
    assert document.title == "The Title"


def test_a_page_is_known_by_its_doctype_but_code_stays_code() -> None:
    assert read_bytes(PAGE.encode(), "saved-page").kind == "html"
    assert read_bytes(PAGE.encode(), "template.php").kind == "code"


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        ("iso-8859-1", "cp1252"),
        ("windows-1251", "cp1251"),
        ("shift_jis", "shift_jis"),
        ("iso-2022-jp", "iso-2022-jp"),
        ("utf-8", "utf-8"),
        ("utf-16", "utf-8"),  # a page whose declaration can be read as ASCII is not UTF-16
        ("iso-8859-1", "utf-8"),  # declared wrongly, as often
        ("undefined", "cp1252"),  # the name of a Python codec, which always raises
        ("unicode_escape", "cp1252"),
    ],
)
def test_the_declared_character_set_is_used_where_it_is_true(declared: str, written: str) -> None:
    words = {"cp1251": "Привет мир", "shift_jis": "日本語の文章", "iso-2022-jp": "日本語の文章"}.get(
        written, "café “crème”"
    )
    page = f'<html><head><meta charset="{declared}"></head><body><pre>{words}\r\nend</pre></body></html>'
    assert read_bytes(page.encode(written), "a.html").text == f"{words}\nend\n"


@pytest.mark.parametrize("depth", [300, 1500])
def test_deep_nesting_loses_nothing(depth: int) -> None:
    page = "<div>" * depth + "<p>bottom</p>" + "</div>" * depth + "<p>after</p>"
    assert read_bytes(page.encode(), "a.html").text.split() == ["bottom", "after"]


def test_nesting_too_deep_to_parse_is_skipped_rather_than_cut() -> None:
    verdict = read_bytes(b"<div>" * 50_000 + b"bottom", "a.html").verdict
    assert verdict.status == "skipped"
    assert "deep" in (verdict.reason or "")


def test_a_page_without_words_is_empty() -> None:
    assert read_bytes(b"<html><body><script>x()</script></body></html>", "a.html").verdict.reason == "it is empty"


def test_what_surrounds_a_page_is_left_out_and_its_own_contents_are_kept() -> None:
    page = """<body><div role="navigation"><a href="other.html">Other page</a></div><nav><a href="#one">One</a></nav>
    <div role="main"><h1 id="one">One</h1><nav>Inside</nav><p>Text.</p></div><div role="search">Find</div></body>"""
    made = read_bytes(page.encode(), "a.html").text
    assert made == "One\n\n# One\n\nInside\nText.\n"
    alone = page.replace('role="main"', "")  # a page that names no main part is read whole
    assert "Other page" in read_bytes(alone.encode(), "a.html").text


def test_control_characters_around_the_main_part_do_not_stop_the_reader() -> None:
    page = "<body><nav><a href='/x'>Elsewhere</a></nav>Before&#1;<main><p>Text.</p></main><footer>\x02</footer></body>"
    text = read_bytes(page.encode(), "x.html").text
    assert "Text." in text
    assert "Before" in text
    assert "Elsewhere" not in text
