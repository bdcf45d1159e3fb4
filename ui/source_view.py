"""The source panel: the lines of a document around a cited place, numbered, the cited ones marked."""

from __future__ import annotations

import base64
from html import escape

from app.answering.answer import Citation
from app.source import PageImage, SourceView
from ui.texts import Texts


def empty(say: Texts) -> str:
    """What stands where nothing is opened yet."""
    return f'<div class="source-empty"><p>{escape(say("open_here"))}</p></div>'


def render(
    view: SourceView,
    say: Texts,
    citation: Citation | None = None,
    page: PageImage | None = None,
    *,
    number: int = 0,
    of: int = 0,
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
    badge = f'<span class="badge {citation.state}">{escape(say(citation.state))}</span>' if citation else ""
    label = f" · {escape(say('page', page=view.page))}" if view.page else ""
    last = view.first_line + len(view.lines) - 1
    lines = say("lines", first=view.first_line, last=last, total=view.total_lines)
    return (
        f'<div class="source-head"><strong>{escape(view.path)}</strong>{label} · {lines} {badge}'
        f"{_steps(number, of, say) if citation else ''}</div>{_picture(page, view, say) if page else ''}"
        f'<div class="source-lines" tabindex="0" role="region" aria-label="{escape(say("source"))}"><table>'
        f"{''.join(rows)}</table></div>"
    )


def _steps(number: int, of: int, say: Texts) -> str:
    """Links to the citations before and behind this one."""
    before = _step(number - 1, "‹", say("previous")) if number else ""
    behind = _step(number + 1, "›", say("next")) if number + 1 < of else ""
    return f'<span class="steps">{before}{behind}</span>' if before or behind else ""


def _step(number: int, sign: str, label: str) -> str:
    return f'<a href="#cite-{number}" class="step" role="button" aria-label="{escape(label)}">{sign}</a>'


def _picture(page: PageImage, view: SourceView, say: Texts) -> str:
    """The page with its cited words marked."""
    data = base64.b64encode(page.png).decode()
    boxes = "".join(
        f'<span style="left:{100 * left:.2f}%;top:{100 * top:.2f}%;width:{100 * (right - left):.2f}%;'
        f'height:{100 * (bottom - top):.2f}%"></span>'
        for left, top, right, bottom in page.boxes
    )
    words = escape(say("page_of", page=view.page or "", path=view.path))
    return (
        f'<div class="page-picture" tabindex="0" role="region" aria-label="{words}"><div>'
        f'<img alt="{words}" width="{page.width}" height="{page.height}" src="data:image/png;base64,{data}">{boxes}'
        "</div></div>"
    )


def unverified(citation: Citation, say: Texts) -> str:
    """What to show for a quote that is in no document."""
    return (
        f'<div class="source-empty"><p><span class="badge unverified">{escape(say("unverified"))}</span></p>'
        f"<p>“{escape(citation.quote)}”</p><p>{escape(say('unverified_says'))}</p></div>"
    )
