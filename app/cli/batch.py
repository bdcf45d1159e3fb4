"""omnibus batch: a file of questions into a file of answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.cli.ask import mode_choice
from app.cli.console import CollectionOption, GeneratorOption, JsonOption, ModelOption, err, library, out, print_json


def batch(
    questions: Annotated[Path, typer.Argument(help="Questions, .jsonl, .csv or .parquet.", show_default=False)],
    answers: Annotated[Path, typer.Option("--out", "-o", help="Answers, of the same kinds.", show_default=False)],
    collection: CollectionOption = "default",
    mode: Annotated[str, typer.Option(help="auto, whole or packed.")] = "auto",
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer, in tokens.")] = None,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="0 draws the likeliest token.")] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same answers.")] = 0,
    model: ModelOption = None,
    generator: GeneratorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer many questions: each corpus is read once, and a run that was killed goes on when it is started again.

    A question is a line {"question": …} (or a column of that name), with "id", "collection", "reference" (the right
    answer, to be scored against) and "source" (the path that it should come from) where you have them.
    """
    chosen = mode_choice(mode)
    with library(model, generator) as lib:
        from app.batch.batch_file import run_batch
        from app.batch.batch_progress import BatchProgress
        from engine.decode.sampling import Sampling

        limit = max_new_tokens or lib.settings.max_new_tokens
        columns = (TextColumn("Answering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
            task = bar.add_task("", total=None)

            def show(progress: BatchProgress) -> None:
                bar.update(task, completed=progress.done, total=progress.total)

            made = run_batch(
                lib,
                questions,
                answers,
                collection=collection,
                mode=chosen,
                sampling=Sampling(temperature=temperature, seed=seed, max_new_tokens=limit),
                on_progress=show,
            )
        if as_json:
            print_json(made)
            return
        before = f", {made.resumed} of them before" if made.resumed else ""
        out.print(f"{made.answered} of {made.questions} questions answered{before}, in {made.seconds:.1f} s.")
        for name in ("exact_match", "token_f1", "citation_precision"):
            if (value := getattr(made, name)) is not None:
                out.print(f"  {name.replace('_', ' ')}: {value:.1%}")
        if made.failed:
            err.print(f"{made.failed} met an error; see 'error' in {answers}.", markup=False)
