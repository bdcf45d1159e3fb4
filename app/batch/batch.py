"""Batch question answering: each corpus is read once, its questions are decoded together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from app.batch.batch_answer import BatchAnswer, Question
from app.batch.batch_progress import OnBatchProgress, Reporter
from app.batch.group import Group
from app.errors import NoSuchCollection
from app.planning.planner import ModeChoice
from engine.decode.sampling import Sampling
from engine.events import CancelToken

if TYPE_CHECKING:
    from app.library import Library


def answer_batch(
    library: Library,
    questions: Sequence[Question],
    *,
    mode: ModeChoice = "auto",
    sampling: Sampling | None = None,
    skip: frozenset[int] = frozenset(),
    on_progress: OnBatchProgress | None = None,
    cancel: CancelToken | None = None,
) -> Iterator[BatchAnswer]:
    """The answers as they finish; those of `skip` (by index) are left out, and change nothing in the others.

    Progress is told of an answer once its reader asks for the next. A question's own error is its row's. The engine is
    held for a collection at a time, so nothing else of the library can be asked from inside the loop. Raises Cancelled,
    or the engine's errors where no model can be loaded.
    """
    drawn = library.settings.drawn(sampling)
    report = Reporter(len(questions) - len(skip), on_progress)
    groups: dict[str, list[Question]] = {}
    for question in questions:
        groups.setdefault(question.collection, []).append(question)
    for name, group in groups.items():
        waiting = [q for q in group if q.index not in skip]
        if not waiting:
            continue
        try:
            collection = library.collection(name)
        except NoSuchCollection as error:
            for answer in (BatchAnswer.failed(q, error.message) for q in waiting):
                yield answer
                report(answer)
            continue
        if library.generator is not None:
            from app.batch.generator_batch import answers

            for answer in answers(library.generator, collection, waiting, mode, drawn, cancel):
                yield answer
                report(answer)
            continue
        with library.turn(cancel):
            job = Group(library.load_engine(), collection, group, mode, drawn, cancel)
            for answer in job.run(waiting):
                yield answer
                report(answer)
