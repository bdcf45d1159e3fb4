"""Examination: a collection's own facts asked of it, the answers and their citations scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from app.errors import NothingToAsk
from app.examination.cloze import Cloze, clozes

if TYPE_CHECKING:
    from app.answering.answer import Answer, Citation
    from app.collection import Collection
    from app.planning.planner import ModeChoice
    from engine.evaluation.statistics import Interval
    from engine.events import CancelToken

OnAnswer = Callable[[int, int], None]
"""Called with how many questions were answered and how many there are."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, what was answered, and what of it was right.

    `held` says whether the prompt held the fact at all; `citations` counts those of the answer and `proving` those
    whose characters hold the fact. Seconds from the question to the first token.
    """

    question: str
    expected: tuple[str, ...]
    path: str
    answer: str
    right: bool
    held: bool
    citations: int
    proving: int
    mode: str
    policy: str
    ttft: float


@dataclass(frozen=True, slots=True)
class Share:
    """A share from 0 to 1 with its 95 % interval; null where there was nothing to count."""

    value: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Examination:
    """Shares of questions answered right, and of those whose fact was in the prompt; and of citations.

    Precision is the share of citations whose characters hold the fact, recall the share of questions with one.
    """

    collection: str
    seed: int
    asked: tuple[Asked, ...]
    right: Share
    right_where_held: Share
    held: Share
    citation_precision: Share
    citation_recall: Share
    ttft: float

    def as_json(self) -> dict[str, Any]:
        """What `omnibus eval -c` writes."""
        return asdict(self)

    @property
    def rows(self) -> list[tuple[str, Share]]:
        """Every share and what it is of."""
        return [
            ("answers right", self.right),
            ("fact was in the prompt", self.held),
            ("answers right where it was", self.right_where_held),
            ("citation precision", self.citation_precision),
            ("citation recall", self.citation_recall),
        ]

    @property
    def meaning(self) -> str:
        """What the figures say, in a sentence or two."""
        right, held = self.right.value or 0.0, self.held.value or 0.0
        head = f"{right:.0%} of {len(self.asked)} facts of '{self.collection}' were answered right"
        if held < right + 0.1 and held < 0.9:
            return f"{head}; the prompt held only {held:.0%} of them: more would have to be read, not a better model."
        if right < 0.9 and held >= 0.9:
            return f"{head}, though the prompt held {held:.0%} of them: a better model would answer more."
        return f"{head}; the prompt held {held:.0%} of them."


def examine(
    collection: Collection,
    count: int,
    *,
    seed: int = 0,
    mode: ModeChoice = "auto",
    on_answer: OnAnswer | None = None,
    cancel: CancelToken | None = None,
) -> Examination:
    """Ask up to `count` clozes of the collection as a person would, each by itself.

    Raises NoSuchCollection, NothingToAsk where the documents hold no rare fact, and what asking raises.
    """
    collection.library.require(collection.name)
    documents = collection.shelf.documents()
    ruling = collection.rules_of(document.path for document in documents)
    questions = clozes([d for d in documents if d.path not in ruling.excluded], count, seed=seed)
    if not questions:
        raise NothingToAsk(collection.name)
    asked = []
    for done, found in enumerate(_answers(collection, questions, mode, cancel), start=1):
        asked.append(found)
        if on_answer:
            on_answer(done, len(questions))
    return scored(collection.name, seed, asked)


def _answers(
    collection: Collection, questions: Sequence[Cloze], mode: ModeChoice, cancel: CancelToken | None
) -> Iterator[Asked]:
    for cloze in questions:
        answer = collection.ask(cloze.question, mode=mode, cancel=cancel)
        yield judged(cloze, answer, held=_held(collection, cloze, answer))


def judged(cloze: Cloze, answer: Answer, *, held: bool) -> Asked:
    """The answer beside what was expected."""
    from engine.evaluation.scorers import any_of

    return Asked(
        question=cloze.question,
        expected=cloze.expected,
        path=cloze.path,
        answer=answer.text,
        right=any_of(answer.text, cloze.expected) == 1.0,
        held=held,
        citations=len(answer.citations),
        proving=sum(proves(citation, cloze) for citation in answer.citations),
        mode=answer.stats.mode,
        policy=answer.stats.policy,
        ttft=answer.stats.ttft_s,
    )


def proves(citation: Citation, cloze: Cloze) -> bool:
    """Whether the cited characters hold the fact; a quote that was not found proves nothing."""
    if citation.char_start is None or citation.char_end is None or citation.document != cloze.document:
        return False
    return citation.char_start <= cloze.start and cloze.end <= citation.char_end


def _held(collection: Collection, cloze: Cloze, answer: Answer) -> bool:
    """Whether what the answer was made from holds the fact's characters."""
    assert answer.stats.snapshot is not None
    for excerpt in collection.snapshot(answer.stats.snapshot).excerpts:
        pieces = excerpt.pieces or ((excerpt.start, excerpt.end),)
        here = excerpt.document.id == cloze.document and excerpt.same_as is None
        if here and any(start <= cloze.start and cloze.end <= end for start, end in pieces):
            return True
    return False


def scored(name: str, seed: int, asked: Sequence[Asked]) -> Examination:
    """The shares over all questions."""
    from engine.evaluation.statistics import bootstrap, wilson

    def share(values: Sequence[bool]) -> Share:
        if not values:
            return Share(None, None)
        mean = fmean(values)
        return Share(mean, wilson(mean, len(values)))

    cited = [[1.0] * a.proving + [0.0] * (a.citations - a.proving) for a in asked if a.citations]
    every = [value for group in cited for value in group]
    return Examination(
        collection=name,
        seed=seed,
        asked=tuple(asked),
        right=share([a.right for a in asked]),
        right_where_held=share([a.right for a in asked if a.held]),
        held=share([a.held for a in asked]),
        citation_precision=Share(fmean(every), bootstrap(cited)) if every else Share(None, None),
        citation_recall=share([a.proving > 0 for a in asked]),
        ttft=median(a.ttft for a in asked),
    )
