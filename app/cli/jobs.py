"""omnibus jobs: long work, how far it is, stopping it and going on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import JsonOption, err, library, out, print_json, print_table

if TYPE_CHECKING:
    from app.jobs.jobs import Job

app = typer.Typer(help="Long work: how far it is, stopping it, going on.", no_args_is_help=True)
Number = Annotated[int, typer.Argument(help="The job's number.")]


def line(job: Job) -> str:
    """How far a job is, in a line."""
    if job.kind == "batch":
        return f"{job.files_done:,} of {job.files_total:,} questions"
    tokens = "" if job.tokens is None else f", {job.tokens:,} tokens"
    left = f", {job.eta_seconds:,.0f} s left" if job.state == "running" and job.eta_seconds else ""
    size = f"{job.bytes_done / 1e6:,.1f} of {job.bytes_total / 1e6:,.1f} MB"
    return f"{job.files_done:,} of {job.files_total:,} files, {size}{tokens}{left}"


@app.command()
def ls(as_json: JsonOption = False) -> None:
    """List the jobs, newest first."""
    with library() as lib:
        jobs = lib.jobs()
        if as_json:
            print_json(jobs)
        elif not jobs:
            out.print("There was no job yet. Start one with: omnibus add PATH")
        else:
            rows = [(str(j.id), j.kind, j.collection, j.state, line(j), j.error or "") for j in jobs]
            print_table(("job", "kind", "collection", "state", "done", "problem"), rows)


@app.command()
def cancel(number: Number) -> None:
    """Stop a job behind the files in hand; what was carried over stays."""
    with library() as lib:
        out.print(f"Job {number} is {'stopping' if lib.cancel_job(number).state == 'running' else 'at rest'}.")


@app.command()
def resume(number: Number) -> None:
    """Go on with a job that was stopped or killed."""
    from app.jobs.working import work_on

    with library() as lib:
        job = lib.job(number)
        with err.status("Looking at what is done") as status:
            work_on(lib, job, on_progress=lambda job: status.update(line(job)))
        out.print(f"Job {number}: {line(lib.job(number))}.", markup=False)
