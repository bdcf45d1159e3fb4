"""Tables of the README: heads and rows of cells, from the results."""

from __future__ import annotations

from collections.abc import Callable

from tests.benchmarks import readme_evaluation, readme_processor
from tests.benchmarks.readme_highlights import highlights
from tests.benchmarks.readme_tables_app import application, recall, trees
from tests.benchmarks.results import Results, Row

Cells = list[list[str]]
K, M = 1024, 1024 * 1024


def attention(results: Results) -> Cells:
    """Attention kernels on a GPU."""

    def rate(case: str, tokens: int, digits: int = 0) -> str:
        return f"{results.row('attention', case=case, tokens=tokens)['tflops']:.{digits}f}"

    def dense(tokens: int) -> list[str]:
        other = rate("dense, cuDNN", tokens)
        return [f"dense, {tokens // K}K", f"{rate('dense', tokens)} TFLOP/s", f"cuDNN {other}"]

    e4m3 = results.row("attention", case="dense, e4m3", tokens=128 * K)
    lines = [
        results.row("attention", case="vertical-slash, whole layer", tokens=tokens)["ms"] for tokens in (512 * K, M)
    ]
    heads, groups = (rate(f"blocks, 3% per {of}", 512 * K) for of in ("head", "KV head"))
    return [
        ["case", "Omnibus", "in the same run"],
        dense(64 * K),
        dense(128 * K),
        [
            f"dense, e4m3, 128K (relative error {e4m3['error']:.3f} against bf16)",
            f"{e4m3['tflops']:.0f} TFLOP/s",
            "",
        ],
        [
            "block-sparse, 10 % of 128K",
            f"{rate('blocks, 10% per head', 128 * K)} TFLOP/s on the blocks computed",
            "",
        ],
        ["block-sparse, 3 % of 512K, index per head / per KV head", f"{heads} / {groups} TFLOP/s", ""],
        [
            "block-sparse, 1 % of 1M, beside 20 GB of other data",
            f"{rate('blocks, 1% per KV head', M)} TFLOP/s",
            "",
        ],
        [
            "vertical-slash (1000, 6096), a layer, estimate and index included, 512K / 1M",
            f"{lines[0]:.0f} / {lines[1]:.0f} ms",
            "",
        ],
    ]


def decode(results: Results) -> Cells:
    """Decode and estimates on a GPU."""

    def one(case: str) -> Row:
        return results.row("decode", case=case)

    def estimate(case: str) -> str:
        return _short(results.row("estimate", case=case, tokens=128 * K)["ms"])

    whole, copy, other = one("128K x 1"), one("copy"), one("128K x 1, torch")
    others = [one(f"128K x 1, {kind}") for kind in ("e4m3", "mass per 128 keys", "10 % of pages")]
    kinds = " / ".join(f"{row['ms']:.3f}" for row in others)
    shared = one("32 questions, shared prefix 128K")
    return [
        ["case", "Omnibus", "in the same run"],
        [
            "decode over 128K, one sequence",
            f"{whole['ms']:.3f} ms, {whole['gb_s'] / 1000:.2f} TB/s",
            f"torch {other['ms']:.3f} ms; a plain copy {copy['gb_s'] / 1000:.2f} TB/s",
        ],
        [
            "the same, keys and values in e4m3 / with attention mass per 128 keys / over 10 % of the pages",
            f"{kinds} ms",
            "",
        ],
        [
            "32 questions over one prefix of 128K, a step",
            f"{shared['ms']:.3f} ms",
            f"one by one {one('32 questions, one by one')['ms']:.2f} ms: {shared['times']:.1f} times",
        ],
        [
            "columns and diagonals of the last 64 queries, 128K",
            f"{estimate('last 64 queries, columns and diagonals')} ms",
            f"the same lines in plain torch {estimate('the same lines in plain torch')} ms",
        ],
        ["pooled block scores, 128K", f"{estimate('pooled scores')} ms", ""],
        ["antidiagonal block scores, stride 16, 128K", f"{estimate('antidiagonals, stride 16')} ms", ""],
    ]


def policies(results: Results) -> Cells:
    """Sparse policies, a layer on a GPU."""
    names = {
        "dense": "dense",
        "auto": "`auto` (0.95)",
        "auto:recall=0.9": "`auto:recall=0.9`",
        "auto:recall=0.75": "`auto:recall=0.75`",
        "minference:1000,6096": "MInference (1000, 6096)",
        "flexprefill:gamma=0.95": "FlexPrefill, 0.95",
        "xattention:stride=16,threshold=0.9": "XAttention, stride 16, 0.9",
    }
    rows = []
    for policy, name in names.items():
        at = {tokens: results.row("policies", policy=policy, tokens=tokens) for tokens in (32 * K, 128 * K, 512 * K, M)}
        times = [
            *(_short(at[tokens]["ms"]) for tokens in (32 * K, 128 * K)),
            *(_short(at[tokens]["ms"] / 1000) for tokens in (512 * K, M)),
        ]
        kept = [
            "1" if policy == "dense" else f"{at[tokens]['kept']:.3f}, {at[tokens]['worst_head']:.2f}"
            for tokens in (128 * K, M)
        ]
        rows.append([name, *times, *kept])
    return [["", "32K, ms", "128K, ms", "512K, s", "1M, s", "kept at 128K", "kept at 1M"], *rows]


def fidelity(results: Results) -> Cells:
    """What policies do to a real model; each cell is prose / code."""
    names = {
        "auto:recall=0.9,minimum=1024": "`auto:level=fast` (0.9)",
        "auto:recall=0.95,minimum=1024": "`auto` (0.95)",
        "auto:recall=0.98,minimum=1024": "`auto:recall=0.98`",
        "auto:recall=0.99,minimum=1024": "`auto:recall=0.99`",
        "auto:recall=0.997,minimum=1024": "`auto:level=high` (0.997)",
        "xattention:stride=8,threshold=0.9": "XAttention, stride 8, 0.9",
        "xattention:stride=8,threshold=0.95": "XAttention, stride 8, 0.95",
        "flexprefill:gamma=0.9": "FlexPrefill, 0.9",
        "flexprefill:gamma=0.95": "FlexPrefill, 0.95",
        "minference:512,2048": "MInference (512, 2048)",
        "minference:1000,6096": "MInference (1000, 6096)",
    }
    rows = []
    for policy, name in names.items():
        cells = [name]
        for file in ("fidelity", "fidelity_32k"):
            both = [results.row(file, policy=policy, text=text) for text in ("prose", "code")]
            cells += [
                " / ".join(f"{row['density']:.2f}" for row in both),
                " / ".join(f"{row['kept']:.3f}" for row in both),
                " / ".join(f"{100 * row['agreement']:.1f}" for row in both),
            ]
        rows.append(cells)
    heads = ["density, 8K", "kept", "agreement, %", "density, 32K", "kept", "agreement, %"]
    return [["", *heads], *rows]


def prefill(results: Results) -> Cells:
    """A whole model read on a GPU, the median run."""
    rows = []
    for tokens, name in ((32 * K, "32K"), (128 * K, "128K"), (512 * K, "512K"), (M, "1M")):
        run = results.middle("prefill", "seconds", policy="blocks:density=0.03", tokens=tokens)
        attention = run["attention"] + run["index"] + run["audit"]
        digits = 2 if tokens == 32 * K else 1
        rows.append(
            [
                name,
                f"{run['seconds']:.{digits}f}",
                f"{attention:.1f}" if attention > 1 else f"{attention:.2f}",
                f"{run['linear_and_rest']:.{digits}f} ({run['linear_floor']:.{digits}f})",
                f"{run['peak_gib']:.0f} GiB",
            ]
        )
    heads = ["attention, index, audit", "matrix products and the rest (floor at 726 TFLOP/s)", "peak GPU memory"]
    return [["tokens", "seconds", *heads], *rows]


def answering(results: Results) -> Cells:
    """Answers behind a prefix, a whole model on a GPU."""
    one, many, host = (
        results.row("answering", case=case)
        for case in ("one question, resident", "questions together", "one question, prefix on the host")
    )
    return [
        ["case", ""],
        [
            "one question behind 128K, resident",
            f"{one['tokens_per_second']:.0f} tokens/s: {100 * one['of_bandwidth']:.0f} % of what a plain copy's "
            "bandwidth allows",
        ],
        [
            f"{many['questions']} questions together",
            f"{many['tokens_per_second']:,.0f} tokens/s; reading and answering all: "
            f"{many['times_one_by_one']:.1f} times sooner than one by one",
        ],
        [
            "one question behind 1M in host memory, 8,192 keys a head and step",
            f"{host['tokens_per_second']:.0f} tokens/s",
        ],
    ]


def perplexity(results: Results) -> Cells:
    """What rounding costs the default model."""

    def both(whats: list[str], texts: list[str]) -> list[str]:
        rows = [results.row("perplexity", what=what, text=text) for what in whats for text in texts]
        more = " / ".join(f"{row['more_percent']:+.1f}" for row in rows)
        return [f"{more} %", " / ".join(f"{row['agreement_percent']:.1f}" for row in rows) + " %"]

    codecs = ["KV fp8", "KV int8", "KV int4"]
    return [
        ["", "perplexity", "same next token"],
        ["KV as e4m3 pages (host memory)", *both(["KV pages"], ["prose", "code"])],
        ["KV codec fp8 / int8 / int4, prose", *both(codecs, ["prose"])],
        ["KV codec fp8 / int8 / int4, code", *both(codecs, ["code"])],
        ["decode steps by int8 weights (CPU)", *both(["decode steps (int8 weights)"], ["prose", "code"])],
    ]


def store(results: Results) -> Cells:
    """What the session store keeps of the default model, and how soon it is back."""

    def cells(name: str) -> list[str]:
        kept, back = (results.row("store", what=what, codec=name) for what in ("codec", "restored"))
        return [
            name,
            f"{kept['bytes_per_token']:,.0f} ({kept['theory']:,.0f})",
            f"{kept['relative_error']:.3f}" if kept["relative_error"] else "0",
            f"{100 * kept['same_next_token']:.1f} %",
            f"{back['reused_gb_s_cold']:.2f} GB/s, {100 * back['share_reused_cold']:.0f} %",
            f"{back['seconds_fresh_cold']:.2f} s",
        ]

    heads = ["codec", "bytes a token (theory)", "error", "same next token", "restored, of the read rate", "in all"]
    return [heads, *map(cells, ("raw", "fp8", "int8", "int4"))]


def _short(value: float) -> str:
    """Three digits that count."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


TABLES: dict[str, Callable[[Results], Cells]] = {
    "highlights": highlights,
    "attention": attention,
    "decode": decode,
    "policies": policies,
    "fidelity": fidelity,
    "prefill": prefill,
    "answering": answering,
    "perplexity": perplexity,
    **readme_processor.TABLES,
    "application": application,
    "trees": trees,
    "recall": recall,
    "store": store,
    **readme_evaluation.TABLES,
}
"""By the name that the README's marks use."""
