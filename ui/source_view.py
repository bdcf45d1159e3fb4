"""The source panel: the lines of a document around a cited place, numbered, the cited ones marked."""

from __future__ import annotations

from html import escape

from app.answer import Citation
from app.source import SourceView

EMPTY = (
    '<div class="source-empty"><p>Click a citation under an answer, or a document on the left, '
    "to open its source here.</p></div>"
)
BADGES = {"exact": "exact quote", "fuzzy": "nearly this wording", "unverified": "not found in the documents"}


def render(view: SourceView, citation: Citation | None = None) -> str:
    """HTML of a window of lines; everything from the document is escaped."""
    rows = []
    for number, line in enumerate(view.lines, view.first_line):
        hit = view.highlight_start is not None and view.highlight_start <= number <= (view.highlight_end or 0)
        rows.append(
            f'<tr class="{"hit" if hit else ""}" data-line="{number}"><td class="number">{number}</td>'
            f'<td class="line">{escape(line) or "&nbsp;"}</td></tr>'
        )
    badge = f'<span class="badge {citation.state}">{BADGES[citation.state]}</span>' if citation else ""
    page = f" · page {escape(view.page)}" if view.page else ""
    lines = f"lines {view.first_line}–{view.first_line + len(view.lines) - 1} of {view.total_lines:,}"
    return (
        f'<div class="source-head"><strong>{escape(view.path)}</strong>{page} · {lines} {badge}</div>'
        f'<div class="source-lines" tabindex="0" role="region" aria-label="Source"><table>{"".join(rows)}</table></div>'
    )


def unverified(citation: Citation) -> str:
    """What to show for a quote that is in no document."""
    return (
        f'<div class="source-empty"><p><span class="badge unverified">{BADGES["unverified"]}</span></p>'
        f"<p>“{escape(citation.quote)}”</p><p>The answer quotes this, but no document holds it. "
        "Do not rely on it.</p></div>"
    )
