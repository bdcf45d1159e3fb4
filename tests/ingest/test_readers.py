"""Notebooks, mail, tables, JSON, reStructuredText: text kept, what is left out told."""

from __future__ import annotations

import json
import mailbox
from email.message import EmailMessage
from pathlib import Path

from ingest import read_bytes


def test_a_notebook_keeps_cells_and_textual_outputs() -> None:
    book = {
        "nbformat": 4,
        "cells": [
            {"cell_type": "markdown", "source": ["# Title\n", "words"]},
            {
                "cell_type": "code",
                "source": "print('```')",
                "outputs": [
                    {"output_type": "stream", "text": ["out\n"]},
                    {"output_type": "display_data", "data": {"image/png": "AAAA"}},
                    {"output_type": "error", "traceback": ["\x1b[31mValueError\x1b[0m"]},
                ],
            },
        ],
    }
    document = read_bytes(json.dumps(book).encode(), "x.ipynb")
    assert document.title == "Title"
    assert document.text == (
        "# Title\nwords\n\n````python\nprint('```')\n````\n\n```\nout\n```\n\n```\nValueError\n```\n"
    )
    assert "1 outputs are images" in str(document.verdict.reason)


def test_an_old_notebook_is_read_and_a_false_one_is_not() -> None:
    old = {"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": ["x = 1"], "outputs": []}]}]}
    assert "x = 1" in read_bytes(json.dumps(old).encode(), "x.ipynb").text
    for data in (b"[]", b"{}", b'{"cells": [1]}', b"not json", b'{"cells": [{"cell_type": "code", "source": 3}]}'):
        assert "no Jupyter notebook" in str(read_bytes(data, "x.ipynb").verdict.reason)


def message(subject: str, text: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "Zoë <z@example.org>", "b@example.org", subject
    made["Date"] = "Mon, 2 Jan 2023 10:00:00 +0000"
    made.set_content(text)
    return made


def test_a_message_shows_headers_body_and_names_of_attachments() -> None:
    made = message("Grüße", "plain words\n")
    made.add_alternative("<p>rich words</p>", subtype="html")
    made.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="a.png")
    document = read_bytes(made.as_bytes(), "x.eml")
    assert document.title == "Grüße"
    assert "From: Zoë <z@example.org>\n" in document.text
    assert "plain words" in document.text
    assert "rich words" not in document.text
    assert "[attachment: a.png, image/png]" in document.text
    assert "1 attachments" in str(document.verdict.reason)


def test_a_mailbox_is_a_page_per_message(tmp_path: Path) -> None:
    box = mailbox.mbox(tmp_path / "x.mbox")
    for n in range(3):
        box.add(message(f"number {n}", f"From here on\nbody {n}\n"))
    box.close()
    document = read_bytes((tmp_path / "x.mbox").read_bytes(), "x.mbox")
    assert [p.label for p in document.pages] == ["1", "2", "3"]
    for n, page in enumerate(document.pages):
        assert f"From here on\nbody {n}" in document.text[page.start : page.end]


def test_html_mail_of_an_unknown_charset_is_still_read() -> None:
    data = b'Subject: x\nContent-Type: text/html; charset="nonsense"\n\n<p>caf\xe9</p>'
    assert "café" in read_bytes(data, "x.eml").text
    assert "no e-mail" in str(read_bytes(b"\x01\x02 words", "x.eml").verdict.reason)


def test_a_table_keeps_its_lines_and_tells_odd_rows() -> None:
    document = read_bytes(b'a,b\r\n1,"2\r\n3"\r\n4,5,6\r\n', "x.csv")
    assert document.text == 'a,b\n1,"2\n3"\n4,5,6\n'
    assert document.verdict.reason == "1 rows differ in width from the first, the first at line 4"


def test_json_stays_as_it_is_unless_one_line_is_too_long() -> None:
    assert read_bytes(b'{"a":  1.0e5}', "x.json").text == '{"a":  1.0e5}'
    value = {"k,[": ['x"]' * 3, 1e30, None], "deep": [[{"a": "ü, ]"}] * 200]}
    long = json.dumps(value, ensure_ascii=False)
    document = read_bytes(long.encode(), "x.json")
    assert json.loads(document.text) == value
    assert max(len(line) for line in document.text.split("\n")) < 100
    assert "cut" in str(document.verdict.reason)


def test_what_is_no_json_is_loaded_with_a_doubt() -> None:
    assert read_bytes(b'{"a": 1}\n{"b"\n', "x.jsonl").verdict.reason == "it is not valid JSON from line 2 on"
    assert read_bytes(b'{"a": 1}\n{"b": 2}\n', "x.jsonl").verdict.reason is None
    deep = b"[" * 100_000 + b"]" * 100_000
    assert read_bytes(deep, "x.json").text.startswith("[[[")


def test_the_title_of_restructured_text() -> None:
    text = ".. note\n\n=====\nGuide\n=====\n\nwords\n-----\n"
    document = read_bytes(text.encode(), "x.rst")
    assert (document.title, document.kind, document.text) == ("Guide", "rst", text)
    assert read_bytes(b"words only\n", "y.rst").title == "y.rst"
