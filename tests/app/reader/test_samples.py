"""Training samples: in the product's own form, with quotes that the documents really hold."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from app.answering import prompt
from app.answering.answer import Turn
from app.reader import samples, templates
from app.reader.batches import Maker, Shares
from app.reader.corpus import cut
from app.reader.makers import CODE, PROSE
from app.reader.sources import Source
from app.reader.spoken import Spoken, spoken
from engine.evaluation import texts
from engine.models import default_model
from engine.models.model import LanguageModel
from tests.conftest import KEPT


@pytest.fixture(scope="module")
def tokenizer(default_model_path: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(default_model_path)


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    """Stand-ins of the right kind: prose and code that every Python carries."""
    prose = texts.paragraphs()
    books = [Source("prose", f"{i}.txt", False, "\n\n".join(prose[i * 40 : i * 40 + 40])) for i in range(8)]
    return [*books, *(Source("code", f"{m}.py", True, texts.source(m)) for m in ("csv", "shlex", "textwrap"))]


def test_every_quote_stands_in_the_documents(sources: list[Source]) -> None:
    seen: set[str] = set()
    for number in range(12):
        random = Random(number)
        corpus = cut(sources, random, 3000, code=0.4)
        asks = [ask for make in PROSE | CODE for ask in make(corpus, 4)]
        text = " ".join(corpus.text.split())
        for ask in asks:
            seen.add(ask.kind)
            assert ask.answer == templates.REFUSAL or ask.quotes
            assert sum(" ".join(q.split()) in text for q in ask.quotes) >= len(ask.quotes)
    assert seen >= {"fact", "absent", "cloze", "pair", "several", "tracking", "which"}
    assert seen >= {"function", "purpose", "default", "exception", "base class", "definition"}


def test_a_sample_is_the_products_prompt(
    sources: list[Source], tokenizer: Any, default_language_model: LanguageModel
) -> None:
    corpus = cut(sources, Random(5), 600, code=0.0)
    asks = [ask for make in list(PROSE)[:2] for ask in make(corpus, 3)][:3]
    made = samples.dialogue(tokenizer, corpus, asks, 4096)
    assert made is not None
    last, *_ = reversed(asks)
    history = [Turn(ask.question, ask.reply) for ask in asks[:-1]]
    dialogue = prompt.messages(last.question, history, brief=True)
    head, tail = default_language_model.frame(dialogue, system=prompt.SYSTEM)
    ids = made.ids.tolist()
    said = default_language_model.encode(last.reply + samples.END)
    assert ids[: len(head)] == head
    assert ids[-len(said) - len(tail) :] == [*tail, *said]


def test_only_answers_are_learned(sources: list[Source], tokenizer: Any) -> None:
    made = samples.asked(sources, Random("learned"), tokenizer, 2048)
    learned = tokenizer.decode(made.ids[made.weights > 0])
    assert len(made.ids) <= 2048
    assert "answer this question" not in learned
    assert samples.END in learned


def test_a_step_is_the_same_whenever_it_is_made(sources: list[Source], default_model_path: Path) -> None:
    said = [Spoken("Be kind.", "Say hello.", "Hello!<|im_end|>")]
    makers = [
        Maker(default_model_path, sources, said, shares=Shares(), tokens=1024, seed=3, longest=1024) for _ in range(2)
    ]
    makers[0](6, 0)
    for first, second in zip(makers[0](7, 0)[:2], makers[1](7, 0)[:2], strict=True):
        assert (first == second).all()
    assert (makers[0](7, 0)[0] != makers[0](7, 1)[0]).any()


def test_a_dialogue_without_documents_is_taught_by_its_reply(sources: list[Source], default_model_path: Path) -> None:
    said = [Spoken("Be kind.", "Say hello.", "Hello, hello, hello, hello, hello, hello, hello!<|im_end|>")]
    maker = Maker(default_model_path, sources, said, shares=Shares(1.0, 0.0), tokens=1024, seed=3, longest=1024)
    ids, weights, taught = maker(1, 0)
    assert taught
    assert ids.shape == weights.shape == (4, 256)
    assert 0 < weights.sum() < 4 * 20


def test_the_base_asks_itself_and_replies(tokenizer: Any) -> None:
    made = spoken(KEPT / "models" / default_model.BASE, 12, torch.device("cpu"), seed=1)
    assert made
    assert all(s.question.strip() and not s.question.endswith("<|im_end|>") for s in made)
    assert len(tokenizer(made[0].reply).input_ids) > 3
