"""Samples: token ids in our own prompt form, with the weight that each token has in the loss."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.answering import prompt
from app.answering.answer import Turn
from app.reader import templates
from app.reader.ask import Ask
from app.reader.corpus import Corpus, cut
from app.reader.makers import CODE, PROSE
from app.reader.sources import Source
from app.reader.spoken import Spoken, opening
from engine.models.frame import frame
from ingest.document import Document, Verdict
from ingest.pack import pack, whole
from ingest.tree import tree_lines

FIRST = 3.0
"""What the first answer behind a corpus counts: later ones have seen how answers look."""
LED = 0.12
"""Share of the answers that are made to begin in some way."""
TREES = 0.75
"""Share of the prompts with a tree behind their documents, as the product's have it where there are several."""
END = "<|im_end|>"


@dataclass(frozen=True, slots=True)
class Sample:
    """ids[i] is to be predicted from those before it and counts weights[i] in the loss."""

    ids: NDArray[np.int32]
    weights: NDArray[np.float32]


def document(path: str, text: str, *, code: bool = False) -> Document:
    """A document of a generated corpus."""
    return Document(path, "", path, "code" if code else "text", path, text, Verdict("loaded"))


def prompt_ids(tokenizer: Any, corpus: Corpus, fence: str) -> list[int]:
    """The corpus packed as the product packs it."""

    def encode(text: str) -> tuple[list[int], list[tuple[int, int]]]:
        made = tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
        return made.input_ids, made.offset_mapping

    documents = [document(p.path, p.text, code=p.code) for p in sorted(corpus.parts, key=lambda p: p.path.encode())]
    shown = tree_lines if len(documents) > 1 and corpus.random.random() < TREES else None
    return [int(i) for i in pack(whole(documents), encode, fence=fence, tree=shown).token_ids]


def dialogue(tokenizer: Any, corpus: Corpus, asks: Sequence[Ask], longest: int) -> Sample | None:
    """A corpus and a dialogue over it, as many turns as fit; None where not even one does."""
    fence = f"{corpus.random.getrandbits(32):08x}"
    packed = prompt_ids(tokenizer, corpus, fence)
    head, _ = turn_ids(tokenizer, asks[0], ())
    ids: list[int] = [*head, *packed]
    weights = [0.0] * len(ids)
    history: list[Turn] = []
    before = 0
    for number, ask in enumerate(asks):
        _, tail = turn_ids(tokenizer, ask, history)
        said = [
            *tokenizer(ask.reply, add_special_tokens=False).input_ids,
            *tokenizer(END, add_special_tokens=False).input_ids,
        ]
        asked = tail[before:]
        given = len(tokenizer(ask.lead, add_special_tokens=False).input_ids) if ask.lead else 0
        if len(ids) + len(asked) + len(said) > longest:
            break
        ids += [*asked, *said]
        weights += [0.0] * len(asked) + [0.0] * given
        weights += [FIRST if number == 0 else 1.0] * (len(said) - given)
        before = len(tail) + len(said)
        history.append(Turn(ask.question, ask.reply))
    if not history:
        return None
    return Sample(np.asarray(ids, dtype=np.int32), np.asarray(weights, dtype=np.float32))


def turn_ids(tokenizer: Any, ask: Ask, history: Sequence[Turn]) -> tuple[list[int], list[int]]:
    """Ids before the corpus and behind it, as the product asks."""
    return frame(tokenizer, prompt.messages(ask.question, history, brief=True), system=prompt.SYSTEM)


def asked(sources: Sequence[Source], random: Random, tokenizer: Any, longest: int) -> Sample:
    """One sample of questions over documents with at most so many tokens."""
    while True:
        count = min(80, max(int(longest**0.5 / 4.5), longest // 400))
        room = int(longest * random.uniform(0.6, 1.0)) - 90 * count
        corpus = cut(sources, random, max(120, room), code=random.choice((0.0, 0.0, 0.0, 0.3, 0.6, 1.0)))
        asks: list[Ask] = []
        makers = PROSE | CODE if any(p.code for p in corpus.parts) else PROSE
        for make, share in makers.items():
            for _ in range(int(share + random.random())):
                asks += make(corpus, random.randrange(1, count + 1))
        text = re.sub(r"\s+", " ", corpus.text)
        asks = [ask for ask in asks if all(re.sub(r"\s+", " ", q) in text for q in ask.quotes)]
        asks = [
            replace(a, lead=random.choice(templates.LEADS)) if a.quotes and random.random() < LED else a for a in asks
        ]
        random.shuffle(asks)
        if asks and (made := dialogue(tokenizer, corpus, asks[:count], longest)) is not None:
            return made


def text(sources: Sequence[Source], random: Random, tokenizer: Any, longest: int) -> Sample:
    """Real text to go on with, an eighth of its tokens counted: what the model knew it should keep."""
    corpus = cut(sources, random, longest, code=random.choice((0.0, 0.0, 1.0)))
    ids = tokenizer(corpus.text, add_special_tokens=False).input_ids[:longest]
    return _counted(ids, 0, 0.125, random)


def plain(said: Sequence[Spoken], random: Random, tokenizer: Any, longest: int) -> Sample:
    """A dialogue without documents as the base led it, a quarter of its reply counted."""
    chosen = random.choice(said)
    head = tokenizer(opening(chosen.system, chosen.question), add_special_tokens=False).input_ids
    ids = [*head, *tokenizer(chosen.reply, add_special_tokens=False).input_ids][:longest]
    return _counted(ids, len(head), 0.25, random)


def _counted(ids: Sequence[int], start: int, share: float, random: Random) -> Sample:
    """A share of the ids from `start` on counts."""
    weights = [0.0 if i < start else float(random.random() < share) for i in range(len(ids))]
    return Sample(np.asarray(ids, dtype=np.int32), np.asarray(weights, dtype=np.float32))
