"""/api/batch: many questions at once, answered in the background, their rows read as JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.batch import batches
from app.http.queue import Busy
from app.http.schemas import Drawn
from app.http.viewed import library_of
from app.jobs.jobs import Job, State
from app.planning.planner import ModeChoice

router = APIRouter(prefix="/api/batch", tags=["batch"])
MOST = 100_000
NUMBER = Path(ge=1, le=1 << 31, description="The batch's number.")
WAIT_S = 60
"""When somebody may come back who found too many batches under way."""


class BatchQuestion(BaseModel):
    """A question; `reference` is the right answer, to be scored against, `source` the path that it should come from."""

    model_config = ConfigDict(extra="forbid")

    question: str
    id: str | None = None
    collection: str | None = None
    reference: str | None = None
    source: str | None = None


class BatchRequest(Drawn):
    """Questions and how to answer them; those that name no collection of their own are asked of `collection`."""

    questions: list[BatchQuestion] = Field(min_length=1, max_length=MOST)
    collection: str = Field(default="default", max_length=200)
    mode: ModeChoice = "auto"

    @field_validator("collection")
    @classmethod
    def _no_null(cls, name: str) -> str:
        if "\x00" in name:
            raise ValueError("a name cannot hold a null character")
        return name


class BatchInfo(BaseModel):
    """A batch and how far it is; it is a job of the same number (/api/jobs)."""

    id: int
    state: State
    collection: str
    done: int
    total: int
    created: datetime
    eta_seconds: float | None
    error: str | None


class BatchRow(BaseModel):
    """One line of the results. It has an answer or an `error`; scores are null where nothing was given to compare."""

    index: int
    id: str | None
    collection: str
    question: str
    answer: str | None
    citations: list[dict[str, Any]]
    mode: str | None
    prompt_tokens: int | None
    answer_tokens: int | None
    finish_reason: str | None
    exact_match: float | None
    token_f1: float | None
    citation_precision: float | None
    error: str | None


class JsonLines(StreamingResponse):
    """One JSON object a line."""

    media_type = "application/jsonl"


LINES: dict[int | str, dict[str, Any]] = {
    200: {"model": BatchRow, "description": "One of these a line."},
    400: {"description": "Cannot be done; the message says why."},
    404: {"description": "There is no such batch."},
}
MISSING: dict[int | str, dict[str, Any]] = {code: LINES[code] for code in (400, 404)}
BUSY: dict[int | str, dict[str, Any]] = {400: LINES[400], 429: {"description": "Too many batches are under way."}}


@router.post("", status_code=202, responses=BUSY)
def submit(body: BatchRequest, request: Request) -> BatchInfo:
    """Start to answer questions; each corpus is read once. Rows are kept as they finish, over restarts too."""
    library = library_of(request)
    under_way = sum(job.kind == batches.KIND and job.state == "running" for job in library.job_table.all())
    if under_way > library.settings.queue_limit:
        raise Busy(under_way, WAIT_S)
    rows = [question.model_dump(exclude_none=True) for question in body.questions]
    sampling = body.sampling(library.settings.max_new_tokens)
    job = batches.submit(library, rows, collection=body.collection, mode=body.mode, sampling=sampling)
    return _info(job, len(rows))


@router.get("/{number}", responses=MISSING)
def status(number: Annotated[int, NUMBER], request: Request) -> BatchInfo:
    """How far a batch is."""
    library = library_of(request)
    total = batches.total(library, number)
    return _info(library.job(number), total)


@router.get("/{number}/results", response_class=JsonLines, responses=LINES)
def results(
    number: Annotated[int, NUMBER],
    request: Request,
    after: Annotated[int, Query(ge=0, description="Leave out so many rows, which you have.")] = 0,
) -> JsonLines:
    """The rows so far, one JSON object a line: as they finished, and in the questions' order once all are there."""
    rows = batches.rows(library_of(request), number)

    def left() -> Iterator[str]:
        return (row for place, row in enumerate(rows) if place >= after)

    return JsonLines(left())


def _info(job: Job, total: int) -> BatchInfo:
    return BatchInfo(
        id=job.id,
        state=job.state,
        collection=job.collection,
        done=job.files_done,
        total=total,
        created=job.created,
        eta_seconds=job.eta_seconds,
        error=job.error,
    )
