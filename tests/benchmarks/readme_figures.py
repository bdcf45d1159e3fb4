"""Figures in the pages' sentences, from the results, from the model table, and from what the code assumes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from engine.models.default_model import NAME
from engine.models.model import known_of
from engine.policies.auto import LEVELS
from engine.policies.by_name import ASSUMED
from engine.prefill.crossover import SHORTEST
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
    """What the store's table is about, and how long its prefill took."""
    seconds = results.row("store", what="prefill, nothing saved")["seconds"]
    return f"{results.about('store')['tokens']:,} tokens of code, whose prefill took {seconds:.0f} s"


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
    """Restoring into a GPU from the page cache, the fastest setting of each codec, beside computing anew."""
    best = {
        codec: min(results.rows("restore", codec=codec, what="restored"), key=lambda row: float(row["s"]))
        for codec in ("bfloat16", "fp8")
    }
    size = {codec: results.row("restore", codec=codec, what="written")["gigabytes"] for codec in best}
    told = [
        f"{codec} {size[codec]:.1f} GB in {row['s']:.2f} s by {row['threads']} threads" for codec, row in best.items()
    ]
    share = best["bfloat16"]["beside_prefill"]
    return f"{told[0]}, {told[1]}; prefilling them at 3 % takes {best['bfloat16']['s'] / share:.1f} s"


def never(results: Results) -> str:
    """What `auto` takes of dense's time on a GPU, by shape and length."""
    lengths = (8 * K, 16 * K, 32 * K, 64 * K)

    def told(shape: str) -> str:
        rows = [results.row("crossover", shape=shape, policy="auto", tokens=n) for n in lengths]
        return ", ".join(f"{row['beside_dense']:.2f}" for row in rows)

    return (
        f"{told('llama-3.1-8b')} of dense's time at 8K, 16K, 32K and 64K in the shape of Llama 3.1 8B, and "
        f"{told('smollm2-135m')} in the default model's"
    )


def known_items(results: Results) -> str:
    """How many questions the table of searches is about."""
    return f"{results.part('ingest', 'recall, learned')[0]['questions']} questions"


def demo(results: Results) -> str:
    """What the demo printed, from end to end."""
    printed = results.all_of("demo")["rows"]
    text = "\n\n".join("\n".join(line for line in lines if line) for lines in printed)
    return f"\n```text\n{text}\n```\n"


def demo_device(results: Results) -> str:
    """Where the demo ran, and how many processes wanted its cores."""
    about = results.about("demo")
    return f"{about['device']}, load {about['load'][0]:.0f}"


def window(results: Results) -> str:
    """The default model's effective window, which may not be above a length at which nine in ten facts are found."""
    tokens = int(known_of(NAME)["effective_window"])
    row = results.row("reader", model=NAME, length=tokens, policy="dense")
    if row["by_kind"]["fact"][0] < 90:
        raise KeyError(f"reader.json does not bear out the effective window of {tokens:,} in models.toml")
    return f"{tokens:,}"


def balanced(results: Results) -> str:
    """The share of attention that `auto` keeps where nothing else is said."""
    return f"{LEVELS['balanced']:.0%}".replace("%", " %")


def shortest(results: Results) -> str:
    """Up to where `auto` reads every key without measuring."""
    (tokens,) = set(SHORTEST.values())
    return f"{tokens // K}K"


def assumed(results: Results) -> str:
    """From where `auto` leaves keys out where nothing could be measured."""
    return f"{ASSUMED['cuda'] // K}K on a GPU and {ASSUMED['cpu'] // K}K on a CPU"


def on_device(results: Results) -> str:
    """The longest prompt whose keys and values stay on the GPU in the model's type."""
    rows = sorted(results.rows("prefill", policy="blocks:density=0.03"), key=lambda row: int(row["tokens"]))
    return next(f"{a['tokens'] // K}K" for a, b in pairwise(rows) if a["kv"] == "device" != b["kv"])


def scored(results: Results) -> str:
    """How many tokens the table of roundings is about."""
    row = results.row("perplexity", what="nothing rounded", text="prose")
    return f"{row['scored']:,} tokens behind {row['prefix']:,}"


def no_sooner(results: Results) -> str:
    """What `auto` saves of the default model's time on a CPU, told to begin early."""
    lengths = (K, 2 * K)
    rows = [
        results.row("evaluation/cpu/results", suite="all questions", variant="auto:minimum=1024", length=n)
        for n in lengths
    ]
    times = [f"{row['ttft_of_dense']:.2f}" for row in rows]
    names = [f"{n // K}K" for n in lengths]
    return f"its first token took {', '.join(times)} times as long as dense's at {', '.join(names)}"


def asked(results: Results) -> str:
    """How many questions the default model was asked in each cell."""
    (count,) = {row["questions"] for row in results.rows("evaluation/results", suite="all questions")}
    return f"{count} questions"


FIGURES: dict[str, Callable[[Results], str]] = {
    made.__name__: made
    for made in (
        sooner, border, scattered, questions, stored, found, edited, restored, known_items, demo, demo_device, window,
        balanced, shortest, assumed, on_device, scored, no_sooner, asked, never,
    )
}  # fmt: skip
"""By the name that the pages' marks use."""
