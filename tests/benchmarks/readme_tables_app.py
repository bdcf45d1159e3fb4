"""Tables of the README about the whole application: batches, serving, trees, search."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.results import Results

Cells = list[list[str]]


def application(results: Results) -> Cells:
    """A batch that is killed, many clients at one server, and how soon a plain installation starts."""
    batch, serving, start = (results.all_of(name) for name in ("batch", "serving", "start"))
    saving = batch["saving"]
    same = "the same bytes as" if batch["identical to the run left alone"] else "OTHER ROWS THAN"
    together, alone = (saving[f"wall s a question, {how}"] for how in ("together", "one by one"))
    memory = serving["memory each half minute MB"]
    rows = start["rows"]
    starts = [what for what in rows if what != "python alone"]
    return [
        ["case", ""],
        [
            f"{batch['questions']} questions over one corpus, killed twice",
            f"{batch['rows']} rows, {batch['rows'] - batch['different indices']} doubled, {same} a run left alone",
        ],
        [
            "a question, together / one by one behind the warm prefix",
            f"{together:.3f} / {alone:.3f} s by the clock: {saving['wall ratio']:.1f} times "
            f"(rounds {', '.join(f'{ratio:.1f}' for ratio in sorted(saving['wall ratios']))})",
        ],
        [
            f"{serving['clients']} clients streaming for {serving['seconds'] / 60:.0f} minutes, queue of "
            f"{serving['queue limit']}",
            f"{serving['answers']:,} answers, {serving['broken off']} lost, {serving['another text']} mixed; "
            f"{serving['refused with 429']:,} told to wait; first token p50 {serving['ttft p50 s']:.1f} s, "
            f"p99 {serving['ttft p99 s']:.1f} s",
        ],
        ["its memory each half minute, MB", ", ".join(str(mb) for mb in memory)],
        [
            " / ".join(f"`{what}`" for what in starts) + ", no extras",
            " / ".join(f"{rows[what]['median s']:.2f}" for what in starts) + " s by the clock",
        ],
    ]


def trees(results: Results) -> Cells:
    """Packing whole trees beside other programs."""
    kept = results.all_of("ingest")["peers"]["rows"]
    names = list(dict.fromkeys(row["tree"] for row in kept))
    found = {(row["tree"], row["program"]): row for row in kept}

    def cell(row: dict[str, Any]) -> str:
        return row["error"] if "error" in row else f"{row['processor s']:.1f} ({row['seconds']:.0f})"

    made = [["tree", "documents: with text + skipped", "tokens", "Omnibus", "repomix", "gitingest"]]
    for name in names:
        ours = found[name, "omnibus"]
        counts = (
            f"{ours['documents']:,}: {ours['with text']:,} + {ours['skipped']:,}" if "documents" in ours else "",
            f"{ours['tokens']:,}" if "tokens" in ours else "",
        )
        made.append([name, *counts, *(cell(found[name, program]) for program in ("omnibus", "repomix", "gitingest"))])
    return made


def recall(results: Results) -> Cells:
    """Known-item search: recall among five files."""
    kept = results.all_of("ingest")["recall, learned"]["rows"]
    found = {(row["question"], row["search"]): row["recall@5 %"] for row in kept}
    kinds = ("sentence", "half its words")
    return [
        ["search, recall@5", "the sentence", "half of its words"],
        *(
            [search, *(f"{found[kind, search]:.1f} %" for kind in kinds)]
            for search in dict.fromkeys(row["search"] for row in kept)
        ),
    ]
