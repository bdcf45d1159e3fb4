"""Tables of the README about answers: the default model's, what policies do to them, and the base model's."""

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
}


def processor(results: Results) -> Cells:
    """The default model's answers on a CPU, by policy and length."""
    lengths = (K, 2 * K, 4 * K, 8 * K)

    def cell(variant: str, length: int) -> str:
        try:
            row = results.row("evaluation/cpu/results", suite=ALL, variant=variant, length=length)
        except KeyError:
            return ""
        right = f"{100 * row['score']:.0f} % of {row['questions']}"
        return right if variant == "dense" else f"{right}; {100 * row['agreement']:.1f} %; {row['density']:.2f}"

    rows = [[name, *(cell(variant, n) for n in lengths)] for variant, name in NAMES.items()]
    return [["answers right; same next token as dense; density", *(f"{n // K}K" for n in lengths)], *rows]


def perplexity(results: Results) -> Cells:
    """The default model's perplexity on a CPU, prose / code."""
    lengths = (K, 2 * K, 4 * K)

    def cell(variant: str, length: int) -> str:
        try:
            rows = [
                results.row("evaluation/cpu/results", suite=f"perplexity/{text}", variant=variant, length=length)
                for text in ("prose", "code")
            ]
        except KeyError:
            return ""
        return " / ".join(f"{row['perplexity']:.2f}" for row in rows)

    rows = [[name, *(cell(variant, n) for n in lengths)] for variant, name in NAMES.items()]
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
    """The default model's answers to held-out questions, by kind and length."""
    on_gpu = {row["length"]: row for row in results.rows("reader", policy="dense")}
    on_cpu = {row["length"]: row for row in results.part("reader", "cpu") if row["model"] == "smollm2-135m-reader"}
    at = {**on_cpu, **on_gpu}
    lengths = sorted(at)

    def share(found: list[float]) -> str:
        value, low, high, count = found
        return f"{value:.0f} % ({low:.0f} to {high:.0f} of {count:.0f})"

    def kind(name: str) -> list[str]:
        return [share(at[n]["by_kind"][name]) for n in lengths]

    return [
        ["", *(f"{n // K}K" for n in lengths)],
        ["facts", *kind("fact")],
        ["numbers", *kind("number")],
        ["words left out of a sentence", *kind("cloze, bare")],
        ["right answers with the sentence quoted", *(share(at[n]["quoted"]) for n in lengths)],
        ["questions without an answer refused", *(share(at[n]["refused"]) for n in lengths)],
    ]


def base(results: Results) -> Cells:
    """Next tokens and scores of policies on generated questions, the model without its adapter."""
    variants = ("auto:minimum=1024", "flexprefill:gamma=0.95", "xattention:stride=8,threshold=0.95", "dense@fp8")
    lengths = (4 * K, 8 * K, 16 * K, 32 * K)

    def at(variant: str, length: int) -> Row:
        return results.row("evaluation/results", suite=ALL, variant=variant, length=length)

    rows = [
        [
            NAMES[variant],
            *(
                f"{100 * at(variant, n)['agreement']:.1f} % "
                f"({100 * at('dense', n)['score']:.0f} / {100 * at(variant, n)['score']:.0f} %)"
                for n in lengths
            ),
        ]
        for variant in variants
    ]
    heads = [f"{n // K}K" for n in lengths]
    return [["same next token as dense (score of dense / of the policy)", *heads], *rows]


TABLES: dict[str, Callable[[Results], Cells]] = {
    "evaluation": base,
    "evaluation_cpu": processor,
    "evaluation_perplexity": perplexity,
    "evaluation_ruler": ruler,
    "reader": reader,
}
"""By the name that the README's marks use."""
