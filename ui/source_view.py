"""The source panel: the lines of a document around a cited place, numbered, the cited ones marked."""

from __future__ import annotations

import base64
from html import escape

from app.answer import Citation
from app.source import PageImage, SourceView

EMPTY = (
    '<div class="source-empty"><p>Click a citation under an answer, or a document on the left, '
    "to open its source here.</p></div>"
)
BADGES = {"exact": "exact quote", "fuzzy": "nearly this wording", "unverified": "not found in the documents"}


def render(
    view: SourceView, citation: Citation | None = None, page: PageImage | None = None, *, number: int = 0, of: int = 0
) -> str:
    """HTML of a window of lines, the page as it looks above it; everything from the document is escaped.

    A citation is the `number`-th (from 0) `of` so many of the dialogue.
    """
    rows = []
    for at, line in enumerate(view.lines, view.first_line):
        hit = view.highlight_start is not None and view.highlight_start <= at <= (view.highlight_end or 0)
        rows.append(
            f'<tr class="{"hit" if hit else ""}" data-line="{at}"><td class="number">{at}</td>'
            f'<td class="line">{escape(line) or "&nbsp;"}</td></tr>'
        )
    badge = f'<span class="badge {citation.state}">{BADGES[citation.state]}</span>' if citation else ""
    label = f" · page {escape(view.page)}" if view.page else ""
    lines = f"lines {view.first_line}–{view.first_line + len(view.lines) - 1} of {view.total_lines:,}"
    return (
        f'<div class="source-head"><strong>{escape(view.path)}</strong>{label} · {lines} {badge}'
        f"{_steps(number, of) if citation else ''}</div>{_picture(page, view) if page else ''}"
        f'<div class="source-lines" tabindex="0" role="region" aria-label="Source"><table>{"".join(rows)}</table></div>'
    )


def _steps(number: int, of: int) -> str:
    """Links to the citations before and behind this one."""
    before = f'<a href="#cite-{number - 1}" class="step" aria-label="Previous citation">‹</a>' if number else ""
    behind = f'<a href="#cite-{number + 1}" class="step" aria-label="Next citation">›</a>' if number + 1 < of else ""
    return f'<span class="steps">{before}{behind}</span>' if before or behind else ""


def _picture(page: PageImage, view: SourceView) -> str:
    """The page with its cited words marked."""
    data = base64.b64encode(page.png).decode()
    boxes = "".join(
        f'<span style="left:{100 * left:.2f}%;top:{100 * top:.2f}%;width:{100 * (right - left):.2f}%;'
        f'height:{100 * (bottom - top):.2f}%"></span>'
        for left, top, right, bottom in page.boxes
    )
    words = f"Page {escape(view.page or '')} of {escape(view.path)}"
    return (
        f'<div class="page-picture" tabindex="0" role="region" aria-label="{words}"><div>'
        f'<img alt="{words}" width="{page.width}" height="{page.height}" src="data:image/png;base64,{data}">{boxes}'
        "</div></div>"
    )


def unverified(citation: Citation) -> str:
    """What to show for a quote that is in no document."""
    return (
        f'<div class="source-empty"><p><span class="badge unverified">{BADGES["unverified"]}</span></p>'
        f"<p>“{escape(citation.quote)}”</p><p>The answer quotes this, but no document holds it. "
        "Do not rely on it.</p></div>"
    )
