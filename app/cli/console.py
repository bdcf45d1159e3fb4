"""What every command shares: the library, progress on stderr, errors as one sentence, tables and JSON out."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from app.library import Library

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="Name of the collection.")]
ModelOption = Annotated[
    str | None, typer.Option("--model", "-m", help="default, a hub id, a folder, or a .gguf file [OMNIBUS_MODEL].")
]
GeneratorOption = Annotated[
    str | None,
    typer.Option("--generator", help="Base (http://…/v1) of another engine that answers [OMNIBUS_GENERATOR_URL]."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

FAULT = 70
"""Exit code of an error that is not the person's."""
PHASES = {
    "wait": "Waiting for the engine",
    "load": "Loading the model",
    "restore": "Restoring",
    "prefill": "Reading",
    "decode": "Answering",
    "measure": "Measuring",
}


def fail(message: str, code: int = 1) -> typer.Exit:
    """Print one sentence to stderr; raise what it returns."""
    err.print(message, style="red", markup=False)
    return typer.Exit(code)


@contextmanager
def library(model: str | None = None, generator: str | None = None) -> Iterator[Library]:
    """The library of OMNIBUS_HOME; whatever goes wrong ends the command with a sentence and an exit code."""
    from pydantic import ValidationError

    try:
        from app.library import Library

        with Library(model=model, generator=generator) as opened:
            yield opened
    except KeyboardInterrupt:
        raise fail("Stopped.", 130) from None
    except ValidationError as error:
        first = error.errors()[0]
        name = "OMNIBUS_" + "_".join(str(part) for part in first["loc"]).upper()
        raise fail(f"The setting {name} is wrong: {first['msg']}.", 2) from None
    except (typer.Exit, BrokenPipeError):
        raise
    except Exception as error:
        if os.environ.get("OMNIBUS_DEBUG") == "1":
            raise
        raise fail(*sentence(error)) from None


def sentence(error: Exception) -> tuple[str, int]:
    """What went wrong and what to do, and the exit code."""
    from sqlalchemy.exc import DatabaseError

    from app.errors import explain

    if (ours := explain(error)) is not None:
        return ours, 1
    if isinstance(error, DatabaseError):
        return f"The library's database cannot be used: {error.orig}. See: omnibus doctor", 1
    if isinstance(error, OSError) and error.strerror:
        where = f" ('{error.filename}')" if error.filename else ""
        return f"{error.strerror}{where}. See: omnibus doctor", 1
    what = f"{type(error).__name__}: {error}"
    return f"A fault inside Omnibus ({what}). Run it again with OMNIBUS_DEBUG=1 and report what it prints.", FAULT


def print_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A table in a terminal; in a pipe, lines of fields between tabs and no header."""
    if not out.is_terminal:
        sys.stdout.writelines("\t".join(row) + "\n" for row in rows)
        return
    table = Table(*header)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    out.print(table)


def print_json(value: Any) -> None:
    """Print a value, dataclasses as objects."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)


@contextmanager
def progress() -> Iterator[Callable[[Any], None]]:
    """A bar on stderr for engine progress, shown while there is something to wait for; nothing in a pipe."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:

        def show(event: Any) -> None:
            rate = f"{event.tokens_per_second:,.0f} tokens/s" if event.tokens_per_second else ""
            left = f"{event.eta_seconds:.0f} s left" if event.eta_seconds and event.eta_seconds >= 1 else ""
            state = ", ".join(filter(None, (rate, left)))
            if event.phase not in tasks:
                tasks[event.phase] = bar.add_task(PHASES[event.phase], total=event.total, state="")
            bar.update(tasks[event.phase], completed=event.done, total=event.total, state=state)
            if event.done >= event.total:
                bar.update(tasks[event.phase], visible=False)

        yield show


def counted(show: Callable[[Any], None]) -> Callable[[str, int, int], None]:
    """The bar of a run of many measurements: how many are done, and the seconds left at the pace so far."""
    from engine.events import Progress as Event

    began = time.perf_counter()

    def on_done(what: str, done: int, total: int) -> None:
        left = (time.perf_counter() - began) / done * (total - done)
        show(Event("measure", done, total, eta_seconds=left))

    return on_done
