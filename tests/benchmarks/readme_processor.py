"""Tables of the README about speed on a CPU."""

from __future__ import annotations

from collections.abc import Callable

from tests.benchmarks.results import Results, Row

Cells = list[list[str]]


def processor(results: Results) -> Cells:
    """The default model on a CPU beside others."""
    read, decoded = (results.row("cpu_engine", what=what) for what in ("prefill", "decode"))
    sparse = next(key for key in read if key.startswith("omnibus auto"))
    return [
        ["", "Omnibus", "Omnibus, `auto`", "transformers", "llama.cpp"],
        ["prefill", *(f"{read[key]:.0f}" for key in ("omnibus", sparse, "transformers", "llama.cpp"))],
        ["decode", f"{decoded['omnibus']:.1f}", "", *(f"{decoded[key]:.1f}" for key in ("transformers", "llama.cpp"))],
    ]


def bench(results: Results) -> Cells:
    """What `omnibus bench` says of the default model on a CPU."""

    def cells(row: Row) -> list[str]:
        rate = f"{row['rate']:,.0f}" if row["rate"] >= 100 else f"{row['rate']:.2g}"
        unit = "answers/s" if row["what"] == "batch" else "tokens/s"
        beside = {
            "restore": "reading anew takes {:.0f} times as long",
            "batch": "one by one takes {:.1f} times as long",
        }
        others = "" if row["times"] == 1.0 else "takes {:.2f} times as long"
        limit = f"{100 * row['share']:.0f} % of what {row['bound']} allow{'s' * (row['bound'] == 'memory')}"
        said = beside.get(row["what"], others).format(row["times"])
        return [f"{row['what']}, {row['who']}", f"{rate} {unit}", limit, said]

    return [["", "rate", "beside the machine", "beside Omnibus"], *map(cells, results.rows("bench"))]


TABLES: dict[str, Callable[[Results], Cells]] = {"cpu_engine": processor, "bench": bench}
"""By the name that the README's marks use."""
