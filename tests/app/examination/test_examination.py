"""A collection is asked its own facts: every one stands where it is said to, and answers and citations are judged."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.answering.answer import Answer, AnswerStats, Citation
from app.cli import app
from app.errors import NoSuchCollection, NothingToAsk
from app.examination.cloze import BLANK, clozes
from app.examination.examination import examine, judged, scored
from app.library import Library
from app.settings import Settings
from tests.conftest import SAMPLES

STATS = AnswerStats(100, 0, 0.1, 0.2, 20.0, "dense", "whole", None, None, 8)


@pytest.fixture
def samples(library: Library) -> Library:
    library.collection("samples").add(SAMPLES / "handbook.md")
    return library


def test_every_fact_stands_once_where_it_is_said_to_and_not_in_its_question(samples: Library) -> None:
    (document,) = samples.collection("samples").shelf.documents()
    found = clozes([document], 50)
    assert len(found) >= 10
    for cloze in found:
        fact = document.text[cloze.start : cloze.end]
        assert fact == cloze.expected[0]
        assert len(re.findall(rf"(?<![\w:,]){re.escape(fact)}(?![\w:,]\w)", document.text)) == 1
        assert fact not in cloze.question.split("here: ")[1]
        assert BLANK in cloze.question
    assert clozes([document], 5) == found[:5]
    assert clozes([document], 5, seed=1) != found[:5]
    assert clozes([document, document], 50) == []  # nothing occurs once then


def test_answers_and_citations_are_judged_by_the_facts_place(samples: Library) -> None:
    (document,) = samples.collection("samples").shelf.documents()
    cloze = next(c for c in clozes([document], 50) if c.expected[0] == "2,140")

    def citation(start: int, end: int, of: str = document.id) -> Citation:
        return Citation("…", "exact", of, document.path, None, 1, 1, start, end)

    right = citation(cloze.start - 5, cloze.end + 5)
    wrong = [
        citation(cloze.end, cloze.end + 40),
        citation(cloze.start + 1, cloze.end),
        citation(cloze.start - 5, cloze.end + 5, "another"),
        Citation("made up", "unverified"),
    ]
    good = judged(cloze, Answer("At 2140 metres.", (right, *wrong), STATS, ""), held=True)
    bad = judged(cloze, Answer("At 12,140 metres.", tuple(wrong), STATS, ""), held=False)
    assert (good.right, good.citations, good.proving) == (True, 5, 1)
    assert (bad.right, bad.citations, bad.proving) == (False, 4, 0)
    both = scored("samples", 0, [good, bad])
    assert (both.right.value, both.held.value, both.right_where_held.value) == (0.5, 0.5, 1.0)
    assert both.citation_precision.value == pytest.approx(1 / 9)
    assert both.citation_recall.value == 0.5


def test_the_product_is_examined_on_its_own_documents(samples: Library) -> None:
    told: list[tuple[int, int]] = []
    found = examine(samples.collection("samples"), 8, on_answer=lambda done, of: told.append((done, of)))
    assert told == [(n, 8) for n in range(1, 9)]
    assert found.held.value == 1.0
    assert found.right.value is not None
    assert found.right.value >= 0.25
    assert found.citation_recall.value is not None
    assert found.citation_recall.value >= 0.5
    for asked in found.asked:
        assert asked.right == any(wording in asked.answer for wording in asked.expected)


def test_a_collection_without_facts_and_one_that_is_not_there_are_told(library: Library) -> None:
    library.collection("bare").add_bytes("bare.txt", b"nothing at all is told here by anyone\n")
    with pytest.raises(NothingToAsk, match="occurs only once"):
        examine(library.collection("bare"), 3)
    with pytest.raises(NoSuchCollection):
        examine(library.collection("none"), 3)


def test_the_command_writes_every_question(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIBUS_HOME", str(home))
    with Library(settings=Settings(home=home)) as library:
        library.collection("samples").add(SAMPLES / "handbook.md")
    options = ["-c", "samples", "--questions", "3", "--seed", "1", "--out", str(tmp_path / "out")]
    run = CliRunner().invoke(app, ["eval", *options])
    assert run.exit_code == 0, run.output
    assert "citation precision" in run.output
    kept = json.loads((tmp_path / "out" / "collection.json").read_text())
    assert len(kept["asked"]) == 3
    assert kept["environment"]["command"] == "omnibus eval -c samples --questions 3 --seed 1"
