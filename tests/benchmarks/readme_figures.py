"""Figures in the README's sentences, from the results."""

from __future__ import annotations

from collections.abc import Callable

from tests.benchmarks.results import Results

K, M = 1024, 1024 * 1024


def sooner(results: Results) -> str:
    """How much sooner `auto` is than published methods, at the least recall with which it keeps more than they do."""
    levels = ("auto", "auto:recall=0.9", "auto:recall=0.75")

    def times(policy: str, tokens: int) -> str:
        other = results.row("policies", policy=policy, tokens=tokens)
        ours = [results.row("policies", policy=level, tokens=tokens) for level in levels]
        ours = [row for row in ours if row["kept"] > other["kept"]]
        return f"{other['ms'] / min(row['ms'] for row in ours):.1f}"

    lengths = (128 * K, 512 * K, M)
    first, second = (
        [times(policy, n) for n in lengths] for policy in ("minference:1000,6096", "flexprefill:gamma=0.95")
    )
    return (
        f"{first[0]}, {first[1]} and {first[2]} times sooner than MInference at 128K, 512K and 1M, "
        f"and {second[0]}, {second[1]} and {second[2]} times sooner than FlexPrefill"
    )


def border(results: Results) -> str:
    """What `auto` takes of dense's time on a CPU, the default model's shape."""
    rows = [results.row("crossover_cpu", policy="auto", tokens=n) for n in (4 * K, 8 * K, 16 * K, 32 * K)]
    shares = [f"{row['beside_dense']:.2f}" for row in rows]
    return f"{', '.join(shares[:-1])} and {shares[-1]} of dense's time at 4K, 8K, 16K and 32K"


def scattered(results: Results) -> str:
    """MInference's vertical-slash on random heads."""
    short, long = (
        results.middle("prefill", "seconds", policy="minference:1000,6096", tokens=n) for n in (32 * K, 128 * K)
    )
    return (
        f"cover {100 * short['density']:.0f} % of 32K and {100 * long['density']:.0f} % of 128K, and it takes "
        f"{short['seconds']:.1f} and {long['seconds']:.1f} s"
    )


def questions(results: Results) -> str:
    """Many questions over one prompt on a CPU."""
    row = results.row("cpu_batch", what="questions")
    return (
        f"{row['questions']} questions over one prompt of {row['tokens']:,} tokens, 32 tokens an answer: "
        f"{row['seconds together']:.2f} s each together, {row['seconds alone']:.2f} s one after another, "
        f"{row['ratio']:.1f} times"
    )


def stored(results: Results) -> str:
    """How long the prefill took whose KV the store's table is about."""
    return f"{results.row('store', what='prefill, nothing saved')['seconds']:.0f} s"


def found(results: Results) -> str:
    """Known-item search as the product does it."""
    search = "product: BM25 and trigrams, fused"
    whole, half = (
        next(r for r in results.part("ingest", "recall") if (r["search"], r["question"]) == (search, question))
        for question in ("sentence", "half its words")
    )
    return (
        f"{whole['recall@5 %']:.1f} % of docstring sentences of the standard library lead to their file among the "
        f"first five, {half['recall@5 %']:.1f} % with half their words missing"
    )


def edited(results: Results) -> str:
    """Packing a large codebase again after one edit."""
    row = next(r for r in results.part("ingest", "repack") if r["step"] == "one edit")
    return (
        f"{row['tokens'] / 1e6:.1f} million tokens is packed again after one edit in {row['processor s']:.1f} s of the "
        f"processor, {row['seconds']:.1f} by the clock"
    )


def restored(results: Results) -> str:
    """Restoring into a GPU from the page cache, the fastest measured of each codec."""
    raw, fp8 = (
        min(results.rows("store_gpu", codec=codec, tokens=128 * K), key=lambda row: float(row["restored_s_warm"]))
        for codec in ("bfloat16", "fp8")
    )
    prefill = results.middle("prefill", "seconds", policy="blocks:density=0.03", tokens=128 * K)
    return (
        f"bf16 {raw['gigabytes']:.1f} GB in {raw['restored_s_warm']:.1f} s ({raw['restored_gb_s_warm']:.0f} GB/s; one "
        f"core reads the same files at {raw['read_gb_s_warm']:.1f}), fp8 {fp8['gigabytes']:.1f} GB in "
        f"{fp8['restored_s_warm']:.1f} s; prefilling them at 3 % takes {prefill['seconds']:.1f} s"
    )


FIGURES: dict[str, Callable[[Results], str]] = {
    "sooner": sooner,
    "border": border,
    "scattered": scattered,
    "questions": questions,
    "stored": stored,
    "found": found,
    "edited": edited,
    "restored": restored,
}
"""By the name that the README's marks use."""
