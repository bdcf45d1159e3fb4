"""Conversations are kept with their citations, found by their words, and taken away as files."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.answering.answer import Answer, AnswerStats, Citation
from app.answering.looked_at import LookedAt
from app.errors import NoSuchConversation
from app.library import Library
from app.planning.reasons import Reason, reason

STATS = AnswerStats(10, 0, 0.1, 0.2, 5.0, "auto", "whole", None, None, 7, "stop", "abc123")
QUOTE = Citation("2.3 The roof\ncarries <18> panels.", "exact", "d1", "hut.md", None, 3, 4, 10, 40, None)
ANSWER = Answer("It carries 18.", (QUOTE,), STATS, "Read whole.", (LookedAt("hut.md", None, 3, 4, 10, 40, 0.5),))


@pytest.fixture
def kept(library: Library) -> Library:
    library.collection("hut").add_bytes("hut.md", b"# Hut\n\n2.3 The roof carries 18 panels.\n")
    library.collection("else").add_bytes("else.md", b"# Else\n")
    return library


def test_a_conversation_comes_back_as_it_was(kept: Library) -> None:
    talks = kept.collection("hut").conversations
    number = talks.add("How many panels?", ANSWER)
    assert talks.add("And when?", ANSWER, number) == number
    found = talks.get(number)
    assert found.name == "How many panels?"
    assert found.turns == (("How many panels?", ANSWER), ("And when?", ANSWER))
    assert [(info.id, info.turns) for info in talks.all()] == [(number, 2)]


def test_a_notice_is_kept_with_its_code_and_facts_so_that_another_language_can_say_it(kept: Library) -> None:
    talks = kept.collection("hut").conversations
    answer = replace(ANSWER, notice=reason("whole_fits", corpus=1500).opening())
    ((_, found),) = talks.get(talks.add("How many panels?", answer)).turns
    assert found.notice == "All 1,500 tokens of the documents fit and are read whole."
    assert isinstance(found.notice, Reason)
    assert (found.notice.code, found.notice.facts) == ("whole_fits", {"corpus": 1500})


def test_they_are_found_by_their_words_renamed_and_forgotten(kept: Library) -> None:
    talks = kept.collection("hut").conversations
    first, second = talks.add("How many panels?", ANSWER), talks.add("Who is the warden?", ANSWER)
    assert [info.id for info in talks.all()] == [second, first]
    assert [info.id for info in talks.all("PANELS")] == [first]
    assert len(talks.all("carries 18")) == 2
    talks.rename(second, "About people")
    assert [info.id for info in talks.all("people")] == [second]
    talks.delete(second)
    with pytest.raises(NoSuchConversation):
        talks.get(second)


def test_a_collection_sees_its_own_only_and_takes_them_with_it(kept: Library) -> None:
    number = kept.collection("hut").conversations.add("How many panels?", ANSWER)
    other = kept.collection("else").conversations
    assert other.all() == []
    for reach in (other.get, other.delete, lambda n: other.add("And?", ANSWER, n)):
        with pytest.raises(NoSuchConversation):
            reach(number)
    kept.delete_collection("hut")
    kept.collection("hut").add_bytes("hut.md", b"# Hut\n")
    assert kept.collection("hut").conversations.all() == []


def test_exports_hold_questions_answers_places_and_snapshot(kept: Library) -> None:
    talks = kept.collection("hut").conversations
    number = talks.add("How many <b>panels</b>?", ANSWER)
    markdown = talks.export(number, "markdown")
    assert "## How many <b>panels</b>?" in markdown
    assert "1. hut.md, lines 3-4 (exact): “2.3 The roof carries <18> panels.”" in markdown
    assert "Snapshot abc123." in markdown
    page = talks.export(number, "html")
    assert "How many &lt;b&gt;panels&lt;/b&gt;?" in page
    assert "carries &lt;18&gt; panels." in page
    (line,) = talks.export(number, "jsonl").splitlines()
    assert json.loads(line)["citations"][0]["path"] == "hut.md"


def test_one_is_cut_and_branched_with_its_beginning(kept: Library) -> None:
    talks = kept.collection("hut").conversations
    number = talks.add("How many panels?", ANSWER)
    talks.add("And when?", ANSWER, number)
    branch = talks.branch(number, 1)
    talks.add("And who?", ANSWER, branch)
    assert [question for question, _ in talks.get(branch).turns] == ["How many panels?", "And who?"]
    assert [question for question, _ in talks.get(number).turns] == ["How many panels?", "And when?"]
    talks.cut(number, 1)
    assert [question for question, _ in talks.get(number).turns] == ["How many panels?"]
    for reach in (lambda n: talks.cut(n, 0), lambda n: talks.branch(n, 0)):
        with pytest.raises(NoSuchConversation):
            reach(number + 100)
