"""/api/jobs: long work, how far it is, stopping it and going on."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from app.http.viewed import library_of
from app.jobs.jobs import Job

router = APIRouter(prefix="/api/jobs", tags=["jobs"])
Number = Annotated[int, Path(ge=1, le=1 << 31, description="The job's number.")]
MISSING: dict[int | str, dict[str, Any]] = {
    400: {"description": "Cannot be done; the message says why."},
    404: {"description": "There is no such job."},
}


@router.get("")
def jobs(request: Request) -> list[Job]:
    """Every job that is remembered, newest first."""
    made: list[Job] = library_of(request).jobs()
    return made


@router.get("/{number}", responses=MISSING)
def job(number: Number, request: Request) -> Job:
    """One job and how far it is."""
    made: Job = library_of(request).job(number)
    return made


@router.post("/{number}/cancel", responses=MISSING)
def cancel(number: Number, request: Request) -> Job:
    """Ask a job to stop behind what it has in hand; what was carried over stays."""
    made: Job = library_of(request).cancel_job(number)
    return made


@router.post("/{number}/resume", status_code=202, responses=MISSING)
def resume(number: Number, request: Request) -> Job:
    """Go on with a job that was stopped or whose process ended."""
    made: Job = library_of(request).resume_job(number)
    return made
