"""The page's texts: every language says everything, with the same places to fill, in no other language's words."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from html import unescape
from pathlib import Path
from string import Formatter

import pytest

import app.errors
import engine.errors
import engine.store.errors
import ingest.errors
from app.answering.answer import AnswerStats
from app.planning.planner import Budget, choose_mode
from app.planning.reasons import REASONS
from app.remote import wire
from app.watch.watch_status import WatchStatus
from engine.misses import MISSES, miss
from engine.reason import Reason
from ingest.errors import FileMissing
from tests.conftest import ROOT
from ui import chat_view
from ui.library_view import watches
from ui.texts import ERRORS, LANGUAGES, Texts, de_verdicts
from ui.texts import REASONS as TRANSLATED

OTHERS = sorted(set(LANGUAGES) - {"en"})
NOT_OF_THE_PAGE = {
    *("NothingToAsk", "UserProblem", "AlreadyWatched", "NoSuchSnapshot", "SnapshotIncomplete", "NoSuchJob"),
    *("JobRunning", "NoSuchSession", "SessionIncomplete", "SessionExists", "NotImportable", "Unreadable"),
}
"""Errors of commands that the page has no button for; Unreadable becomes a document's verdict."""
STATS = AnswerStats(7749, 7605, 0.21, 0.345, 31.04, "auto", "whole", 0.123, 0.9876, 40)


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_what_a_watch_could_not_do_is_told_in_the_pages_language() -> None:
    status = WatchStatus("books", ["/books"])
    for error in (FileMissing(Path("/books")), OSError("No space left on device")):
        status.failed(error)
        kept = json.loads(json.dumps(asdict(status)))
        states = [{**kept, "queued": 0}]
        assert str(error) in unescape(watches(states, "books", Texts("en")))
        german = Texts("de").error(error) or str(error)
        assert german in unescape(watches(states, "books", Texts("de")))
    assert german == "No space left on device", "what the system says stays as it says it"
    status.failed(None)
    assert 'class="error"' not in watches([{**asdict(status), "queued": 0}], "books", Texts("de"))


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_every_text_with_the_same_places(language: str) -> None:
    assert LANGUAGES[language].keys() == LANGUAGES["en"].keys()
    differing = [key for key, text in LANGUAGES["en"].items() if places(text) != places(LANGUAGES[language][key])]
    assert differing == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_every_reason_and_asks_for_no_fact_that_is_not_there(language: str) -> None:
    assert not REASONS.keys() & MISSES.keys()
    assert TRANSLATED[language].keys() == REASONS.keys() | MISSES.keys()
    beside = {"other_settings": {"fields"}, "whole_core": {"whole", "outlined", "listed", "excluded"}}
    for code, sentence in {**REASONS, **MISSES}.items():
        assert places(TRANSLATED[language][code]) <= places(sentence) | beside.get(code, set()), code


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_every_error_that_reaches_the_page(language: str) -> None:
    modules = (app.errors, wire, engine.errors, engine.store.errors, ingest.errors)
    found = {
        name: kind
        for module in modules
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ in {m.__name__ for m in modules}
    }
    assert ERRORS[language].keys() == found.keys() - NOT_OF_THE_PAGE


def test_an_error_is_said_in_german_with_its_facts() -> None:
    say = Texts("de")
    fits = engine.errors.DoesNotFit(12345, 3 << 30, 1 << 30, 0, 0)
    assert (say.error(fits) or "").startswith("12.345 Token brauchen wenigstens 3,0 GiB Gerätespeicher (1,0 GiB")
    assert "„hut“" in (say.error(app.errors.NoSuchCollection("hut", [])) or "")
    assert "Läuft der Server" in (say.error(wire.Unreachable("http://a/v1", "ConnectError", "Is it?")) or "")
    assert say.error(app.errors.UploadTooLarge("a.pdf", 5)) == (
        "„a.pdf“ ist größer als 5 MB. Mehr erlaubt OMNIBUS_MAX_UPLOAD_MB."
    )
    assert say.error(KeyError("a bug")) is None
    assert Texts("en").error(app.errors.EmptyQuestion()) == str(app.errors.EmptyQuestion())


def test_a_reason_is_said_in_german_with_its_facts() -> None:
    budget = Budget(window=8192, effective_window=2000, packed_window=2000, spoken_for=100)
    said = [choose_mode(tokens, 0, budget, mode)[1] for tokens in (1500, 12345) for mode in ("auto", "whole", "packed")]
    assert len({reason.code for reason in said}) == 5
    german = [Texts("de").reason(reason.opening()) for reason in said]
    assert "Alle 1.500 Token der Dokumente passen und sind ganz gelesen." in german
    assert [Texts("en").reason(reason) for reason in said] == said
    assert Texts("de").reason(miss("computing_faster", computing=1.25, restoring=2.0)).endswith("1,2 s statt 2,0 s.")
    assert Texts("de").reason("Read whole.") == "Read whole.", "kept by an older version"


def test_a_reason_goes_through_json_with_what_it_knows() -> None:
    reason = miss("rest_not_kept", start=4096).opening()
    again = Reason.read(reason.record())
    assert (again, again.code, again.facts) == (reason, "rest_not_kept", {"start": 4096})
    assert Reason.read("Read whole.") == "Read whole."


def sentences(node: ast.AST) -> Iterator[str]:
    """Strings with `{}` for their places, whole."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from sentences(child)


def test_every_verdict_that_a_reader_gives_is_said_in_german() -> None:
    folder = ROOT / "ingest"
    files = [*(folder / "readers").glob("*.py"), *(folder / name for name in ("archive.py", "decode.py", "read.py"))]
    begins = re.compile(r"(it|its|the|no|none|not|a row|reading|long|message|\{\}) [^{]*[a-z]{3}")
    given = {
        text
        for file in files
        for top in ast.walk(ast.parse(file.read_text()))
        if isinstance(top, ast.Call | ast.Assign | ast.Return)
        for child in ast.iter_child_nodes(top)
        for text in sentences(child)
        if begins.match(text) and not text.endswith(".")
    }
    assert len(given) > 50, "they are found in the sources"
    assert given - de_verdicts.VERDICTS.keys() - {"it is {}, not a file"} == set()


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("it is encrypted; remove the password first", "verschlüsselt; erst das Passwort entfernen"),
        ("not UTF-8; read as cp1252; 3 rows differ in width from the first, the first at line 7",
         "nicht UTF-8, gelesen als cp1252; 3 Zeilen sind anders breit als die erste, zuerst Zeile 7"),
        ("1 chapters cannot be read (a.xhtml; it is empty)", "1 Kapitel sind nicht lesbar (a.xhtml; leer)"),
        ("something new; it is empty", "something new; leer"),
    ],
)  # fmt: skip
def test_verdicts_on_one_file_are_told_apart(english: str, german: str) -> None:
    assert Texts("de").verdict(english) == german
    assert Texts("en").verdict(english) == english


def test_the_line_under_an_answer_is_the_other_faces_line_and_german_in_german() -> None:
    assert chat_view.statistics(STATS, Texts("en")) == STATS.line
    assert chat_view.statistics(STATS, Texts("de")) == (
        "7.749 Token Prompt (7.605 aus dem Speicher), gelesen in 0,21 s, erstes Token nach 0,34 s, 31,0 Token/s, "
        "ganz gelesen, Attention auto (12 % berechnet, 98,8 % bewahrt)"
    )


def test_numbers_are_written_as_the_language_does() -> None:
    assert Texts("en")("of_tokens", tokens=12345) == "12,345 tokens"
    assert Texts("de")("of_tokens", tokens=12345) == "12.345 Token"
    assert Texts("de").decimal(1234.5) == "1.234,5"
    assert Texts("de").percent(0.125, 1) == "12,5 %"
