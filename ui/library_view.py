"""The library panel: a collection's documents with their verdicts, and what a question over them will read."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from app.planner import Plan
from app.shelf import DocumentInfo

EMPTY = (
    '<div class="empty"><p>No documents yet.</p><p>Drop files above: PDF, Markdown, HTML, text or code. '
    "They stay on this machine.</p></div>"
)


def documents(infos: Sequence[DocumentInfo]) -> str:
    """HTML list of documents, skipped ones with the reason."""
    if not infos:
        return EMPTY
    return f'<ul class="documents">{"".join(_row(info) for info in infos)}</ul>'


def _row(info: DocumentInfo) -> str:
    size = f"{info.pages} pages" if info.pages else f"{info.characters:,} characters"
    name, note = escape(info.path), escape(info.reason or "")
    if info.status == "skipped":
        return f'<li class="skipped"><span class="name">{name}</span><span class="note">skipped: {note}</span></li>'
    link = f'<a class="name" href="#doc-{escape(info.id)}">{name}</a>'
    return f'<li class="{info.status}">{link}<span class="note">{size}{"; " + note if note else ""}</span></li>'


def plan_line(plan: Plan) -> str:
    """One sentence on what a question will read, and a meter of the window's share."""
    share = min(100, round(100 * plan.corpus_tokens / plan.effective_window))
    if plan.mode == "packed":
        ready = "Passages are picked for each question."
    elif plan.cached_tokens >= plan.corpus_tokens:
        ready = "Ready: it has been read already."
    elif plan.prefill_seconds is None:
        ready = "It is read at the first question."
    else:
        ready = f"Ready in about {max(plan.prefill_seconds, 0.1):.1f} s at the first question."
    return (
        f'<div class="plan"><div class="meter" role="img" aria-label="{share}% of the effective window">'
        f'<div style="width:{share}%" class="{plan.mode}"></div></div>'
        f"<p><strong>{plan.corpus_tokens:,}</strong> of {plan.effective_window:,} tokens the model answers well from. "
        f"{ready}</p></div>"
    )
