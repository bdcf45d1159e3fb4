"""Report: results as JSON, as a Markdown table, and with plots as one HTML page that asks no other for anything."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

from engine.evaluation.evaluate import Result
from engine.evaluation.plots import draw
from engine.evaluation.summary import ALL, FAILED, Row

COLUMNS = (
    "variant", "score", "95 %", "beside dense", "same next token", "perplexity", "density", "kept", "first token, s",
)  # fmt: skip
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1c1c1c}"
    "table{border-collapse:collapse;margin:1rem 0}th{text-align:left}"
    "td,th{padding:.25rem .6rem;border-bottom:1px solid #ccc}td{white-space:nowrap}"
    "img{max-width:100%;height:auto}details{margin:.5rem 0}summary{cursor:pointer}"
)


def write_report(result: Result, folder: Path, command: str) -> str:
    """Write results.json, table.md, report.html and the plots' PNGs into the folder; the Markdown table."""
    result.about["command"] = command
    (folder / "results.json").write_text(json.dumps(result.as_json(), indent=1) + "\n", encoding="utf-8")
    text = markdown(result)
    (folder / "table.md").write_text(text + "\n", encoding="utf-8")
    plots = draw(result.rows, result.records, folder)
    (folder / "report.html").write_text(page(result, plots), encoding="utf-8")
    return text


def markdown(result: Result) -> str:
    """A table per length over all questions, then one per suite; a sentence where dense itself fails."""
    parts = []
    for suite, length in _sections(result.rows):
        rows = _of(result.rows, suite, length)
        lines = [f"### {title(rows)}", "", _line(COLUMNS), _line(["---"] * len(COLUMNS))]
        lines += [_line(cells(row)) for row in rows]
        parts.append("\n".join([*lines, *([f"\n{warning}"] if (warning := failed(rows)) else [])]))
    return "\n\n".join(parts)


def page(result: Result, plots: dict[str, Path]) -> str:
    """The HTML page: what was run, the figures over all questions, plots, then every suite."""
    about = "".join(f"<tr><th>{escape(k)}</th><td>{escape(str(v))}</td></tr>" for k, v in result.about.items())
    main: list[str] = []
    rest: list[str] = []
    for suite, length in _sections(result.rows):
        rows = _of(result.rows, suite, length)
        (main if suite == ALL else rest).append(f"<h3>{escape(title(rows))}</h3>{_table(rows)}")
    images = "".join(f'<h3>{escape(name)}</h3><img alt="{escape(name)}" src="{_data(p)}">' for name, p in plots.items())
    name = escape(result.about["model"])
    note = "" if result.complete else "<p>The run ended before its plan: rounds may be incomplete.</p>"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Evaluation of {name}</title>'
        f"<style>{STYLE}</style></head><body><h1>Evaluation of {name}</h1>{note}"
        f"<p>{escape(meaning(result.rows))}</p>"
        f"<details><summary>How this was made</summary><table>{about}</table></details>"
        f"<h2>All questions</h2>{''.join(main)}<h2>Plots</h2>{images}<h2>Each suite</h2>{''.join(rest)}</body></html>\n"
    )


def meaning(rows: Sequence[Row]) -> str:
    """What the figures say, in one or two sentences."""
    overall = [row for row in rows if row.suite == ALL]
    dense = [row for row in overall if row.variant == "dense" and row.score is not None]
    if not dense:
        return "No question was asked."
    best = max((row.length for row in dense if (row.score or 0) >= 0.9), default=None)
    said = [f"{row.score:.0%} at {row.length:,}" for row in dense]
    head = f"Read whole by dense attention, {', '.join(said)} tokens of the answers are right"
    head += f"; nine in ten or more up to {best:,}." if best else "; at none of these lengths nine in ten."
    others = [row for row in overall if row.variant != "dense" and row.less_interval]
    worse = [row for row in others if row.less_interval and row.less_interval[0] > 0]
    if not others:
        return head
    if not worse:
        return f"{head} No other way of reading answers measurably worse on these prompts."
    named = ", ".join(f"{row.variant} at {row.length:,} ({-100 * (row.less or 0):.0f} points)" for row in worse)
    return f"{head} Measurably worse than dense: {named}."


def title(rows: Sequence[Row]) -> str:
    """Suite, length, and how the window was reached."""
    first = rows[0]
    beyond = f", window scaled {first.factor:.2g} times" if first.factor > 1 else ""
    return f"{first.suite}, {first.length:,} tokens{beyond}"


def failed(rows: Sequence[Row]) -> str:
    """A warning where dense attention itself does not answer."""
    dense = next((row for row in rows if row.variant == "dense"), None)
    if dense is None or dense.score is None or dense.score >= FAILED:
        return ""
    return "Dense attention itself fails here: compare the next tokens and the perplexity, not the score."


def cells(row: Row) -> list[str]:
    """A row's cells, in the order of COLUMNS."""

    def share(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.1f} %"

    def plain(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    interval = "" if row.interval is None else f"{100 * row.interval[0]:.0f} to {100 * row.interval[1]:.0f}"
    less = ""
    if row.less is not None and row.less_interval is not None and row.variant != "dense":
        low, high = (-100 * x for x in reversed(row.less_interval))
        less = f"{-100 * row.less + 0.0:+.1f} ({low + 0.0:+.1f} to {high + 0.0:+.1f})"
    return [
        f"`{row.variant}`", share(row.score), interval, less, share(row.agreement), plain(row.perplexity, ".2f"),
        plain(row.density, ".3f"), plain(row.kept, ".3f"), f"{row.ttft:.2f} ({row.ttft_of_dense:.2f})",
    ]  # fmt: skip


def _sections(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """Every (suite, length), all questions first."""
    found = {(row.suite, row.length) for row in rows}
    return sorted(found, key=lambda pair: (pair[0] != ALL, pair[0], pair[1]))


def _of(rows: Sequence[Row], suite: str, length: int) -> list[Row]:
    return [row for row in rows if (row.suite, row.length) == (suite, length)]


def _line(fields: Sequence[str]) -> str:
    return f"| {' | '.join(fields)} |"


def _table(rows: Sequence[Row]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in COLUMNS)
    body = "".join("<tr>" + "".join(f"<td>{escape(c.strip('`'))}</td>" for c in cells(row)) + "</tr>" for row in rows)
    warning = failed(rows)
    return f"<table><tr>{head}</tr>{body}</table>" + (f"<p>{escape(warning)}</p>" if warning else "")


def _data(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
