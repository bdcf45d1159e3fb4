"""The library panel: a collection's documents with their verdicts, and what a question over them will read."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from app.planner import Plan
from app.shelf import DocumentInfo
from app.users import User

EMPTY = (
    '<div class="empty"><p>No documents yet.</p><p>Drop files above: PDF, Markdown, HTML, text or code. '
    "They stay on this machine.</p></div>"
)
UNSEEN = '<div class="empty"><p>There is no such collection, or none that you may see.</p></div>'
HEADS = '<thead><tr><th scope="col">Document</th><th scope="col">Pages</th><th scope="col">Tokens</th></tr></thead>'


def documents(infos: Sequence[DocumentInfo], plan: Plan | None = None) -> str:
    """HTML table of documents with their verdicts; tokens where a plan has counted them."""
    if not infos:
        return EMPTY
    counts = {d.path: d.tokens for d in plan.documents} if plan else {}
    rows = "".join(_row(info, counts.get(info.path)) for info in infos)
    return f'<div class="documents" tabindex="0"><table>{HEADS}<tbody>{rows}</tbody></table></div>'


def _row(info: DocumentInfo, tokens: int | None) -> str:
    name = escape(info.path)
    label = name if info.status == "skipped" else f'<a href="#doc-{escape(info.id)}">{name}</a>'
    pages = f"{info.pages:,}" if info.pages else ""
    return (
        f'<tr class="{info.status}"><td class="name">{label}<span class="note">{escape(_verdict(info))}</span></td>'
        f"<td>{pages}</td><td>{'' if tokens is None else f'{tokens:,}'}</td></tr>"
    )


def _verdict(info: DocumentInfo) -> str:
    """What became of the file, in words."""
    sure = "" if info.confidence is None else f", {info.confidence:.0%} sure"
    return f"{info.status}: {info.reason}{sure}" if info.reason else info.status


def plan_line(plan: Plan) -> str:
    """What a question will read, how long that takes, and a meter of the share it has of the effective window."""
    share = min(100, round(100 * plan.corpus_tokens / plan.effective_window))
    seconds = None if plan.prefill_seconds is None else max(plan.prefill_seconds, 0.1)
    if plan.mode == "packed":
        head = "Too long to be read whole."
        ready = "Each question reads the passages that match it" + (f", about {seconds:.1f} s." if seconds else ".")
    elif plan.cached_tokens >= plan.corpus_tokens:
        head, ready = "Fits, read whole.", "Ready: it has been read already."
    else:
        head = "Fits, read whole."
        ready = f"Ready in about {seconds:.1f} s at the first question." if seconds else "Read at the first question."
    return (
        f'<div class="plan"><p><strong>{head}</strong> {ready}</p>'
        f'<div class="meter" role="img" aria-label="{share}% of the effective window">'
        f'<div style="width:{share}%" class="{plan.mode}"></div></div>'
        f"<p>{plan.corpus_tokens:,} tokens. The model answers well from {plan.effective_window:,} "
        f"(its window: {plan.window:,}).</p></div>"
    )


def signed_in(user: User) -> str:
    """Who is signed in, with a button that ends it."""
    return (
        f'<form method="post" action="/sign-out">Signed in as <strong>{escape(user.name)}</strong> '
        "<button>Sign out</button></form>"
    )


def note(sentence: str) -> str:
    """A sentence in the plan's place."""
    return f'<div class="plan"><p>{escape(sentence)}</p></div>'
