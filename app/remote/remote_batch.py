"""A batch asked of a server: submitted, its rows read as they finish, stopped when nobody reads on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from app.answering.answer import Citation
from app.batch.batch_answer import BatchAnswer, Question
from app.batch.batch_progress import BatchProgress, OnBatchProgress
from app.errors import OmnibusError
from app.examination.scores import Scores
from app.remote.wire import Wire
from engine.events import CancelToken

LOOK_UP_S = 0.25


def answers(
    wire: Wire,
    questions: Sequence[str],
    body: dict[str, Any],
    *,
    on_progress: OnBatchProgress | None = None,
    cancel: CancelToken | None = None,
) -> Iterator[BatchAnswer]:
    """The answers as they finish; raises RemoteError, Cancelled, and OmnibusError where the whole batch failed."""
    rows = [{"question": question} for question in questions]
    number = wire.call("POST", "/api/batch", json={**body, "questions": rows})["id"]
    seen: set[int] = set()
    failed, started = 0, time.perf_counter()
    try:
        while True:
            if cancel is not None:
                cancel.raise_if_cancelled()
            info = wire.call("GET", f"/api/batch/{number}")
            over = info["state"] != "running"
            # rows that are there already come in another order once the batch is done
            for row in _rows(wire, number, 0 if over else len(seen)):
                if row["index"] in seen:
                    continue
                seen.add(row["index"])
                answer = _answer(row)
                failed += answer.error is not None
                yield answer
                if on_progress:
                    rate = len(seen) / (time.perf_counter() - started)
                    left = len(questions) - len(seen)
                    on_progress(BatchProgress(len(seen), len(questions), failed, rate, left / rate))
            if over:
                break
            time.sleep(LOOK_UP_S)
    finally:
        if len(seen) < len(questions):
            wire.call("POST", f"/api/jobs/{number}/cancel")
    if info["state"] != "done":
        raise OmnibusError(info["error"] or f"The batch was stopped on the server ({info['state']}).")


def _rows(wire: Wire, number: int, after: int) -> list[dict[str, Any]]:
    text = wire.text(f"/api/batch/{number}/results?after={after}")
    return [json.loads(line) for line in text.split("\n") if line]


def _answer(row: dict[str, Any]) -> BatchAnswer:
    """A row of the results as the answer that it was."""
    question = Question(row["index"], row["question"], row["collection"], id=row["id"])
    scores = Scores(row["exact_match"], row["token_f1"], row["citation_precision"])
    return BatchAnswer(
        question,
        row["answer"],
        tuple(Citation(**c) for c in row["citations"]),
        row["prompt_tokens"],
        row["answer_tokens"],
        row["finish_reason"],
        row["mode"],
        scores,
        row["error"],
    )
