"""The bare model: a reader's base answers where there are no documents, the reader where a message may hold some."""

from __future__ import annotations

import pytest

from app.answering.answer import Answer
from app.answering.completion import MESSAGE, complete, converse
from app.answering.stream import AnswerStream
from app.errors import NotAnswerable
from app.library import Library
from engine.decode.sampling import Sampling
from engine.models import default_model
from engine.models.frame import Message

FEW = Sampling(max_new_tokens=12)
QUESTION = "What is the capital of France?"
CONTEXT = "The ferry to the island leaves from pier nine. " * 40
"""What another program's retrieval would put into a message."""


def answered(stream: AnswerStream) -> Answer:
    *_, last = stream.events()
    assert isinstance(last, Answer)
    return last


def asked(library: Library, *said: str, system: str = "") -> Answer:
    roles = ("user", "assistant") * len(said)
    turns = [Message(role, text) for role, text in zip(roles, said, strict=False)]
    return answered(converse(library, turns, system=system, sampling=FEW))


def test_a_question_without_documents_goes_to_the_readers_base(library: Library, short_library: Library) -> None:
    answer = asked(library, QUESTION)
    assert "Paris" in answer.text
    assert answer.text == asked(short_library, QUESTION).text
    assert answer.notice == f"{default_model.BASE} answered, for there were no documents."
    assert asked(short_library, QUESTION).notice == "The model answered without documents."
    assert library.engine.model.name == default_model.NAME, "collections are still asked the reader"


def test_a_text_goes_on_as_the_base_would(library: Library, short_library: Library) -> None:
    begun = "The capital of France is"
    assert answered(complete(library, begun, sampling=FEW)).text == (
        answered(complete(short_library, begun, sampling=FEW)).text
    )


def test_a_message_that_may_hold_documents_is_read_by_the_reader(library: Library) -> None:
    assert len(library.engine.model.encode(CONTEXT)) > MESSAGE
    ferry = "Which pier does the ferry to the island leave from?"
    for answer in (asked(library, f"{CONTEXT}\n\n{ferry}"), asked(library, ferry, system=CONTEXT)):
        assert answer.notice == "The model answered without documents."
        assert "nine" in answer.text.lower()
    assert answered(complete(library, CONTEXT, sampling=FEW)).notice == "The model answered without documents."


def test_a_long_dialogue_of_short_messages_that_the_base_cannot_hold_goes_to_the_reader(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library.load_plain_engine().model, "window", 1024)  # for 8,192 tokens take a minute to read
    turn = "word " * 300
    answer = asked(library, *[turn] * 5)
    assert answer.stats.prompt_tokens > library.load_plain_engine().model.window
    assert answer.notice == "The model answered without documents."


def test_another_policy_holds_for_both_and_another_model_forgets_both(library: Library) -> None:
    plain = library.load_plain_engine()
    assert plain is not library.engine
    library.use(policy="dense")
    assert plain.policy.name == library.engine.policy.name == "dense"
    library.use(model=default_model.BASE)
    assert library.load_plain_engine() is library.engine


def test_nothing_is_no_prompt(library: Library) -> None:
    with pytest.raises(NotAnswerable):
        asked(library)
    with pytest.raises(NotAnswerable):
        answered(complete(library, ""))
