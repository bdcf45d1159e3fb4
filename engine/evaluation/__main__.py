"""`python -m engine.evaluation --model FOLDER --lengths 1000,2000 --policies dense,auto,dense@fp8 --out DIR`.

Needs torch, transformers and numpy, and matplotlib for the plots; restored variants (`POLICY@CODEC`) need the session
store's packages too. A run that was stopped goes on where it was when it is given the same folder. How long it takes:
each round asks every suite once at every length in every variant; --minutes ends it behind a whole task, --rounds sets
how many, --suites which. Lengths beyond the model's window are read under YaRN.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from engine.errors import EngineError
from engine.evaluation.evaluate import Plan, evaluate, plain_frame
from engine.evaluation.report import write_report
from engine.evaluation.runner import groups
from engine.evaluation.variant import split_variants
from engine.models.model import LanguageModel


def main() -> int:
    """Run, print the table, write records, results, plots and report; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default", help="default, a hub id, a folder, or a .gguf file")
    parser.add_argument("--lengths", type=_numbers, default=[1024, 2048, 4096, 8192], help="tokens, between commas")
    parser.add_argument("--policies", default="dense,auto", help="POLICY or POLICY@CODEC, between commas")
    parser.add_argument("--suites", default=",".join(groups()), help="between commas [%(default)s]")
    parser.add_argument("--rounds", type=int, default=1, help="prompts per suite, length and variant")
    parser.add_argument("--minutes", type=float, help="stop behind the task that is being done then")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--home", type=Path, help="where the default model is kept")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    try:
        return run(options)
    except EngineError as error:
        print(error, file=sys.stderr)
        return 1


def run(options: argparse.Namespace) -> int:
    """Evaluate as the options say."""
    model = LanguageModel.load(options.model, device=options.device, dtype=options.dtype, home=options.home)
    plan = Plan(
        suites=tuple(options.suites.split(",")),
        lengths=tuple(options.lengths),
        variants=tuple(split_variants(options.policies)),
        rounds=options.rounds,
        seed=options.seed,
        minutes=options.minutes,
    )
    result = evaluate(model, plan, options.out, plain_frame(model), on_task=Bar())
    print(file=sys.stderr)
    command = " ".join(["python -m engine.evaluation", *_words()])
    print(write_report(result, options.out, command))
    return 0


class Bar:
    """One line on stderr: how far, what, and how long it will take."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def __call__(self, what: str, done: int, total: int) -> None:
        """As engine.evaluation.runner.OnTask."""
        spent = time.perf_counter() - self._began
        left = spent / done * (total - done)
        end = "\r" if sys.stderr.isatty() else "\n"
        print(f"{done}/{total}  {spent:.0f} s, {left:.0f} s left  {what:60}", end=end, file=sys.stderr, flush=True)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _words() -> list[str]:
    """The command's arguments, without this machine's paths."""
    hidden = {"--out": "DIR", "--home": "HOME", "--model": "MODEL"}
    words = sys.argv[1:]
    return [
        hidden[before] if before in hidden and ("/" in word or before != "--model") else word
        for before, word in zip(["", *words], words, strict=False)
    ]


if __name__ == "__main__":
    sys.exit(main())
