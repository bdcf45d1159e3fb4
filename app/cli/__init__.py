"""The command line: `omnibus` or `python -m omnibus`."""

from __future__ import annotations

import typer

from app.cli import (
    ask,
    batch,
    bench,
    demo,
    doctor,
    documents,
    evaluate,
    jobs,
    models,
    patterns,
    rules,
    serve,
    sessions,
    token,
    user,
    watch,
)

app = typer.Typer(
    name="omnibus",
    help="Whole books and codebases in one prompt; answers tied to the exact place they came from.",
    epilog="Exit codes: 0 done, 1 a problem (one sentence says which), 2 wrong use, 70 a fault of ours, 130 stopped.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
app.command()(documents.add)
app.command()(documents.ls)
app.command()(documents.rm)
app.command()(documents.plan)
app.command()(documents.warm)
app.command()(rules.pin)
app.command()(rules.exclude)
app.command()(watch.watch)
app.command()(ask.ask)
app.command()(batch.batch)
app.command()(serve.serve)
app.command()(doctor.doctor)
app.command()(demo.demo)
app.command()(bench.bench)
app.add_typer(evaluate.app, name="eval")
app.add_typer(jobs.app, name="jobs")
app.add_typer(models.app, name="models")
app.add_typer(patterns.app, name="patterns")
app.add_typer(sessions.app, name="sessions")
app.add_typer(rules.app, name="snapshots")
app.add_typer(token.app, name="token")
app.add_typer(user.app, name="user")


def main() -> None:
    """Entry point of the `omnibus` script."""
    app(prog_name="omnibus")
