"""Tables of the README about answers: the default model's, and what policies do to them."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

from tests.benchmarks.results import Results, Row

Cells = list[list[str]]
K = 1024
ALL = "all questions"
NAMES = {
    "dense": "dense",
    "auto:minimum=1024": "`auto:minimum=1024` (0.95)",
    "dense@fp8": "dense, KV restored as fp8",
    "flexprefill:gamma=0.95": "FlexPrefill, 0.95",
    "xattention:stride=8,threshold=0.95": "XAttention, stride 8, 0.95",
    "minference:512,2048": "MInference (512, 2048)",
    "minference:1000,6096": "MInference (1000, 6096)",
}
FAR = "minference:1000,6096"
"""Asked at lengths at which it leaves something out."""


def processor(results: Results) -> Cells:
    """The default model's answers on a CPU, by policy and length."""
    lengths = (K, 2 * K)

    def cell(variant: str, length: int) -> str:
        try:
            row = results.row("evaluation/cpu/results", suite=ALL, variant=variant, length=length)
        except KeyError:
            return ""
        right = f"{100 * row['score']:.0f} % of {row['questions']}"
        return right if variant == "dense" else f"{right}; {100 * row['agreement']:.1f} %; {row['density']:.2f}"

    rows = [[name, *(cell(variant, n) for n in lengths)] for variant, name in NAMES.items() if variant != FAR]
    return [["answers right; same next token as dense; density", *(f"{n // K}K" for n in lengths)], *rows]


def perplexity(results: Results) -> Cells:
    """The default model's perplexity on a CPU, prose / code."""
    lengths = (K, 2 * K)

    def cell(variant: str, length: int) -> str:
        try:
            rows = [
                results.row("evaluation/cpu/results", suite=f"perplexity/{text}", variant=variant, length=length)
                for text in ("prose", "code")
            ]
        except KeyError:
            return ""
        return " / ".join(f"{row['perplexity']:.2f}" for row in rows)

    rows = [[name, *(cell(variant, n) for n in lengths)] for variant, name in NAMES.items() if variant != FAR]
    return [["perplexity, prose / code", *(f"{n // K}K" for n in lengths)], *rows]


def ruler(results: Results) -> Cells:
    """RULER's tasks and questions in turn, dense / `auto`, by length."""
    every = results.rows("evaluation/ruler/results", variant="dense")
    lengths = sorted({int(row["length"]) for row in every})
    auto = "auto:minimum=1024"

    def cell(suites: list[str], length: int) -> str:
        found: list[list[Row]] = [
            [results.row("evaluation/ruler/results", suite=suite, variant=variant, length=length) for suite in suites]
            for variant in ("dense", auto)
        ]
        return " / ".join(f"{100 * fmean(row['score'] for row in rows):.0f}" for rows in found) + " %"

    groups = {
        "RULER, one needle (3 tasks)": [f"ruler/niah_single_{n}" for n in (1, 2, 3)],
        "RULER, needles among needles (3)": [f"ruler/niah_multikey_{n}" for n in (1, 2, 3)],
        "RULER, four values, four keys (2)": ["ruler/niah_multivalue", "ruler/niah_multiquery"],
        "RULER, variable tracking": ["ruler/vt"],
        "RULER, common and frequent words (2)": ["ruler/cwe", "ruler/fwe"],
        "RULER, questions over articles (2)": ["ruler/qa_1", "ruler/qa_2"],
        "six questions in turn over one prefix": ["multi_turn"],
    }
    rows = [[name, *(cell(suites, n) for n in lengths)] for name, suites in groups.items()]
    return [["score of dense / of `auto:minimum=1024`", *(f"{n // K}K" for n in lengths)], *rows]


def reader(results: Results) -> Cells:
    """Held-out questions to the default model and to its base, by kind and length."""
    at = {row["length"]: row for row in results.rows("reader", model="smollm2-135m-reader", policy="dense")}
    auto = {row["length"]: row for row in results.rows("reader", policy="auto:minimum=1024")}
    base = {row["length"]: row for row in results.rows("reader", model="smollm2-135m", policy="dense")}
    lengths = sorted(at)

    def share(found: list[float]) -> str:
        value, low, high, count = found
        return f"{value:.1f} % ({low:.0f} to {high:.0f} of {count:.0f})"

    def all_of(rows: dict[int, Row], key: str) -> list[str]:
        return [share(rows[n][key]) if n in rows else "" for n in lengths]

    def kind(name: str) -> list[str]:
        return [f"{at[n]['by_kind'][name][0]:.0f} % of {at[n]['by_kind'][name][3]}" for n in lengths]

    return [
        ["", *(f"{n // K}K" for n in lengths)],
        ["**all questions answered right**", *all_of(at, "right")],
        ["facts", *kind("fact")],
        ["numbers", *kind("number")],
        ["a word left out of a sentence, in quotes", *kind("cloze, quoted")],
        ["a word left out of a sentence, bare", *kind("cloze, bare")],
        ["right answers with the sentence quoted", *all_of(at, "quoted")],
        ["questions without an answer refused", *all_of(at, "refused")],
        ["questions with an answer refused", *all_of(at, "wrongly_refused")],
        ["all questions with `auto` (0.95)", *all_of(auto, "right")],
        ["all questions, the base model", *all_of(base, "right")],
    ]


def device(results: Results) -> Cells:
    """The default model's answers and next tokens on a GPU, by policy and length."""
    variants = ("dense", "auto:minimum=1024", *(name for name in NAMES if name.startswith(("flex", "xatt"))), FAR)
    lengths = (4 * K, 8 * K, 16 * K, 32 * K)

    def cell(variant: str, length: int) -> str:
        row = results.row("evaluation/results", suite=ALL, variant=variant, length=length)
        right, first = f"{100 * row['score']:.0f} % of {row['questions']}", f"{row['ttft']:.2f} s"
        if variant == "dense":
            return f"{right}; {first}"
        return f"{right}; {100 * row['agreement']:.1f} %; {row['density']:.2f}; {first}"

    rows = [[NAMES[variant], *(cell(variant, n) for n in lengths)] for variant in variants]
    heads = [f"{n // K}K" for n in lengths]
    return [["answers right; same next token as dense; density; first token", *heads], *rows]


TABLES: dict[str, Callable[[Results], Cells]] = {
    "evaluation": device,
    "evaluation_cpu": processor,
    "evaluation_perplexity": perplexity,
    "evaluation_ruler": ruler,
    "reader": reader,
}
"""By the name that the README's marks use."""
