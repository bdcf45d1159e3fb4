"""omnibus bench: how fast this machine reads, answers and restores, beside its own limits and other engines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import JsonOption, ModelOption, counted, fail, library, out, print_json, print_table, progress

if TYPE_CHECKING:
    from engine.bench.bench import Bench, Plan
    from engine.bench.cases import Row

TOKENS, ROUNDS, POLICIES = "1024,4096", 3, "auto:minimum=1024"
QUICK_TOKENS, QUICK_ROUNDS, QUICK_POLICIES = "512", 2, ""
"""What --quick measures where nothing else is said."""
QUESTIONS, QUICK_QUESTIONS, QUICK_SECONDS, QUICK_DECODED = 8, 4, 12.0, 8
"""With --quick answers have so few tokens, and no round of a case begins after so many seconds: under two minutes."""
HEAD = ("what", "engine", "tokens", "seconds", "rate", "of the machine's limit", "beside")


def bench(
    model: ModelOption = None,
    tokens: Annotated[str | None, typer.Option(help=f"Prompt lengths in tokens, between commas [{TOKENS}].")] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help=f"Rounds that count; one before them warms up [{ROUNDS}].")
    ] = None,
    questions: Annotated[int | None, typer.Option(min=2, help=f"Questions answered together [{QUESTIONS}].")] = None,
    policies: Annotated[
        str | None, typer.Option(help=f"Read with these too, between commas; dense always [{POLICIES}].")
    ] = None,
    gguf: Annotated[
        Path | None,
        typer.Option(help="The model for llama.cpp, where llama-cpp-python is installed.", exists=True, dir_okay=False),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One short prompt, few rounds, nothing to compile: under two minutes.")
    ] = False,
    as_json: JsonOption = False,
    to: Annotated[Path | None, typer.Option("--out", help="Keep the figures as JSON in this file.")] = None,
) -> None:
    """Measure prefill, decode, restore and batch, each beside what the machine's memory and products allow."""
    from engine.bench.bench import Plan
    from engine.bench.bench import bench as run
    from engine.evaluation.variant import split_variants

    usual = (QUICK_TOKENS, QUICK_ROUNDS, QUICK_POLICIES) if quick else (TOKENS, ROUNDS, POLICIES)
    tokens, policies = tokens or usual[0], usual[2] if policies is None else policies
    try:
        lengths = tuple(int(part) for part in tokens.split(","))
    except ValueError:
        raise fail(f"--tokens takes numbers between commas, not '{tokens}'.", 2) from None
    if min(lengths) < 64:
        raise fail("--tokens begins at 64.", 2)
    questions = questions or (QUICK_QUESTIONS if quick else QUESTIONS)
    plan = Plan(lengths, rounds or usual[1], questions, tuple(split_variants(policies)), gguf, quick)
    if quick:
        plan = replace(plan, seconds=QUICK_SECONDS, decoded=QUICK_DECODED)
    with library(model) as lib, progress() as show:
        loaded = lib.load_engine(show).model
        found = run(loaded, plan, counted(show))
        found.about["command"] = command(plan)
    if to:
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(json.dumps(found.as_json(), indent=1) + "\n", encoding="utf-8")
    if as_json:
        print_json(found.as_json())
    else:
        show_bench(found)


def command(plan: Plan) -> str:
    """What makes these figures again, without this machine's paths."""
    lengths, policies = ",".join(map(str, plan.tokens)), ",".join(plan.policies) or '""'
    counts = f"--tokens {lengths} --rounds {plan.rounds} --questions {plan.questions}"
    rest = (" --quick" if plan.quick else "") + (" --gguf FILE" if plan.gguf else "")
    return f"omnibus bench {counts} --policies {policies}{rest}"


def show_bench(found: Bench) -> None:
    """The table, the machine's own rates, and what they say."""
    print_table(HEAD, map(cells, found.rows))
    roof = found.roof
    out.print(
        f"\nThis machine: {roof.bytes_per_second / 1e9:,.1f} GB/s, {roof.flops_per_second / 1e12:,.2f} TFLOP/s "
        f"({roof.how}).\n{found.meaning}",
        markup=False,
    )
    for who, why in found.missing.items():
        out.print(f"Not measured: {who} ({why}).", markup=False)


def cells(row: Row) -> tuple[str, ...]:
    """A row for a person."""
    unit = "answers/s" if row.what == "batch" else "tokens/s"
    rate = f"{row.rate:,.0f}" if row.rate >= 100 else f"{row.rate:.1f}"
    beside = {"restore": f"reading anew {row.times:.1f} times", "batch": f"one by one {row.times:.1f} times"}
    return (
        row.what, row.who, f"{row.tokens:,}", f"{row.seconds:.3g}", f"{rate} {unit}", f"{row.share:.0%} ({row.bound})",
        beside.get(row.what, f"{row.times:.2f} times ours"),
    )  # fmt: skip
