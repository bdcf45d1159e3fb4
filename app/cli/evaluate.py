"""omnibus eval, eval window: how well a model answers on this machine, under which policy, and up to which length."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import ModelOption, counted, fail, library, out, progress

if TYPE_CHECKING:
    from engine.evaluation.task import Frame, Turn
    from engine.models.model import LanguageModel

app = typer.Typer(help="Measure answers, policies and the effective window of a model.")

QUICK_SUITES, QUICK_LENGTHS = ["needle#1", "needle#3", "passkey", "perplexity/prose"], [512, 1024]
QUICK_MINUTES = 2.0
"""What --quick asks, and when it begins no other question: under five minutes without a GPU."""


@app.callback(invoke_without_command=True)
def evaluate(
    context: typer.Context,
    model: ModelOption = None,
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Ask a collection facts of its own, and score citations.")
    ] = None,
    questions: Annotated[int, typer.Option(min=1, help="With --collection: how many.")] = 20,
    seed: Annotated[int, typer.Option(help="Other seeds ask other questions.")] = 0,
    file: Annotated[
        Path | None,
        typer.Option(help="Ask the samples of a public benchmark's JSONL file.", exists=True, dir_okay=False),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="With --file: ruler, infinitebench, longbench or scbench.")
    ] = "ruler",
    longest: Annotated[
        int | None, typer.Option(min=1, help="With --file: leave out longer samples [the model's window].")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A few questions: under five minutes without a GPU.")] = False,
    suites: Annotated[str, typer.Option(help="Suites, between commas.")] = "needle,facts,passkey,key_value,perplexity",
    lengths: Annotated[str, typer.Option(help="Prompt lengths in tokens, between commas.")] = "1024,2048",
    policies: Annotated[
        str, typer.Option(help="POLICY or POLICY@CODEC, between commas; dense is always there to compare with.")
    ] = "dense,auto:minimum=512",
    rounds: Annotated[int, typer.Option(min=1, help="Prompts per suite, length and policy.")] = 1,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Stop behind the task that is being done then.")
    ] = None,
    to: Annotated[Path, typer.Option("--out", help="The report's folder; a stopped run goes on in it.")] = Path("eval"),
) -> None:
    """Ask generated questions whose answers are known, under each policy, and write a report."""
    if context.invoked_subcommand:
        return
    if collection is not None:
        examine(model, collection, questions, seed, to)
        return
    from engine.evaluation.evaluate import Plan, evaluate_file
    from engine.evaluation.evaluate import evaluate as run
    from engine.evaluation.report import meaning, write_report
    from engine.evaluation.variant import split_variants

    try:
        counts = [int(part) for part in lengths.split(",")]
    except ValueError:
        raise fail(f"--lengths takes numbers between commas, not '{lengths}'.", 2) from None
    asked = suites.split(",")
    if quick:
        asked, counts, minutes = QUICK_SUITES, QUICK_LENGTHS, minutes or QUICK_MINUTES
    with library(model) as lib, progress() as show:
        loaded = lib.load_engine(show).model
        plan = Plan(tuple(asked), tuple(counts), tuple(split_variants(policies)), rounds, seed, minutes)
        if file is not None:
            most = longest or loaded.window
            result = evaluate_file(loaded, file, form, plan, to, longest=most, on_task=counted(show))
            command = f"omnibus eval --file {file.name} --format {form} --policies {policies}"
        else:
            result = run(loaded, plan, to, frame_of(loaded), on_task=counted(show))
            command = (
                f"omnibus eval --suites {','.join(asked)} --lengths {','.join(map(str, counts))} --policies {policies}"
            )
        table = write_report(result, to, command)
    out.print(table, markup=False)
    if not result.complete:
        out.print("\nTime was up before every question was asked; the same command goes on where it stopped.")
    out.print(f"\n{meaning(result.rows)}\nThe whole report: {to / 'report.html'}", markup=False)


def examine(model: str | None, name: str, questions: int, seed: int, to: Path) -> None:
    """Clozes over a collection's rare facts, through the whole product; a table, a sentence, and collection.json."""
    from app.examination.examination import examine as run
    from engine.evaluation.evaluate import versions
    from engine.events import Progress
    from engine.hardware import device_name

    with library(model) as lib, progress() as show:
        loaded = lib.load_engine(show).model
        found = run(lib.collection(name), questions, seed=seed, on_answer=lambda n, of: show(Progress("decode", n, of)))
        about = {"model": loaded.name, "device": device_name(loaded.device), **versions()}
        about["command"] = f"omnibus eval -c {name} --questions {questions} --seed {seed}"
    to.mkdir(parents=True, exist_ok=True)
    place = to / "collection.json"
    place.write_text(json.dumps({"environment": about, **found.as_json()}, indent=1) + "\n", encoding="utf-8")
    for what, share in found.rows:
        if share.value is not None and share.interval is not None:
            low, high = share.interval
            out.print(f"{what:28}{share.value:6.1%}   95 %: {low:.0%} to {high:.0%}", markup=False)
    out.print(f"{'first token, median':28}{found.ttft:.2f} s\n\n{found.meaning}\nEvery question: {place}", markup=False)


@app.command()
def window(
    model: ModelOption = None,
    most: Annotated[int, typer.Option(min=512, help="Longest prompt to try, in tokens.")] = 8192,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of questions per length.")] = 2,
    to: Annotated[Path, typer.Option("--out", help="Folder of what was measured.")] = Path("eval-window"),
) -> None:
    """Find the longest prompt from which nine answers in ten are right, and have every later question heed it."""
    from engine.evaluation.evaluate import Plan
    from engine.evaluation.evaluate import evaluate as run
    from engine.evaluation.summary import ALL
    from engine.evaluation.window import SUITES, Window, window_of
    from engine.models.measured import remember_window

    with library(model) as lib, progress() as show:
        loaded = lib.load_engine(show).model
        scores: list[tuple[int, float]] = []
        found, length = Window(None, None), 512
        while length <= min(most, loaded.window):
            plan = Plan(SUITES, (length,), ("dense",), rounds)
            result = run(loaded, plan, to, frame_of(loaded), on_task=counted(show))
            (row,) = [r for r in result.rows if (r.suite, r.length, r.variant) == (ALL, length, "dense")]
            scores.append((length, row.score or 0.0))
            low, high = row.interval or (0.0, 1.0)
            out.print(
                f"{length:,} tokens: {row.score:.0%} of {row.questions} answers right (95 %: {low:.0%} to {high:.0%})",
                markup=False,
            )
            found = window_of(scores)
            if length not in (found.effective, found.relative):
                break
            length *= 2
        kept = {"model": loaded.name, "scores": scores, "effective": found.effective, "relative": found.relative}
        (to / "window.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        if found.effective:
            place = remember_window(lib.settings.home, loaded.name, found.effective)
            said = f"The effective window of {loaded.name} is {found.effective:,} tokens; kept in {place}."
        else:
            said = (
                f"{loaded.name} answers fewer than nine in ten at 512 tokens: it has no effective window, and the "
                f"{loaded.effective_window:,} tokens that are heeded now were not changed."
            )
        beside = (
            f"Nine tenths of what it answers at 512 it answers up to {found.relative:,} tokens"
            if (found.relative)
            else "At 512 tokens it answers nothing"
        )
        out.print(f"{said}\n{beside}; that is said for comparison only.", markup=False)


def frame_of(model: LanguageModel) -> Frame:
    """The product's own words around a corpus."""
    from app.answering import prompt
    from app.answering.answer import Turn as Asked

    def frame(question: str, history: Sequence[Turn]) -> tuple[list[int], list[int]]:
        turns = [Asked(*turn) for turn in history]
        return prompt.framed(model, question, turns)

    return frame
