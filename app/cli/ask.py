"""omnibus ask: a question, the answer as it is made, its citations, a line of statistics."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from app.cli.console import (
    CollectionOption,
    GeneratorOption,
    JsonOption,
    ModelOption,
    err,
    fail,
    library,
    out,
    print_json,
    progress,
)

if TYPE_CHECKING:
    from app.answering.answer import Answer
    from app.collection import Collection
    from app.planning.planner import ModeChoice


def mode_choice(mode: str) -> ModeChoice:
    """Check a --mode; wrong ones end the command with exit code 2."""
    from app.planning.planner import ModeChoice

    choices: tuple[ModeChoice, ...] = get_args(ModeChoice)
    for choice in choices:
        if mode == choice:
            return choice
    raise fail(f"There is no mode '{mode}'. Choose one of: {', '.join(choices)}.", 2)


def ask(
    question: Annotated[str, typer.Argument(help="What to ask.", show_default=False)],
    collection: CollectionOption = "default",
    mode: Annotated[str, typer.Option(help="auto, whole (all documents) or packed (best passages).")] = "auto",
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer, in tokens.")] = None,
    model: ModelOption = None,
    generator: GeneratorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a collection. The answer streams; then come its citations and what it took."""
    chosen = mode_choice(mode)
    with library(model, generator) as lib:
        asked = lib.collection(collection)
        if as_json:
            with progress() as show:
                answer = asked.ask(question, mode=chosen, max_new_tokens=max_new_tokens, on_progress=show)
            print_json(answer.to_dict())
        else:
            tell(asked, question, chosen, max_new_tokens)


def tell(collection: Collection, question: str, mode: ModeChoice = "auto", max_new_tokens: int | None = None) -> Answer:
    """Print an answer as it is made, then its citations, its notice and its statistics; return it."""
    stream = collection.stream(question, mode=mode, max_new_tokens=max_new_tokens)
    events = stream.events()
    first = None
    with progress() as show:
        for event in events:
            if isinstance(event, str):
                first = event
                break
            if hasattr(event, "phase"):
                show(event)
    sys.stdout.write(first or "")
    for event in events:
        if isinstance(event, str):
            sys.stdout.write(event)
            sys.stdout.flush()
    sys.stdout.write("\n")
    sys.stdout.flush()
    assert stream.answer is not None
    for line in cited(stream.answer):
        out.print(line, markup=False)
    err.print(f"{stream.answer.notice}\n{stream.answer.stats.line}", style="dim", markup=False)
    return stream.answer


def cited(answer: Answer) -> list[str]:
    """A line for each citation."""
    return [
        f'  [{number}] {citation.place} ({citation.state}): "{" ".join(citation.quote.split())}"'
        for number, citation in enumerate(answer.citations, 1)
    ]
