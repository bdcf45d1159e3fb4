"""The attention map: each document of the prompt as a row of squares, the stronger the more the answer looked there."""

from __future__ import annotations

from bisect import bisect_right
from html import escape

from app.answering.attention_map import AttentionMap, Cell
from ui.heat_map import scale
from ui.texts import Texts

EDGES = (0.01, 0.03, 0.06, 0.12, 0.25, 0.4, 0.6, 0.8)
"""Of the part that was looked at most: shares from which the next stronger colour stands."""
REACHED = 0.01
"""Share from which a part is reached by the Tab key; all are reached by the pointer."""


def render(drawn: AttentionMap, number: int, say: Texts) -> str:
    """HTML of the map of answer `number`; each part is a link that opens its place."""
    most = max((cell.share for d in drawn.documents for cell in d.cells), default=0.0)
    rows = []
    for i, document in enumerate(drawn.documents):
        cells = "".join(_cell(cell, f"{number}-{i}-{j}", most, say) for j, cell in enumerate(document.cells))
        rows.append(
            f'<li><span class="map-name">{escape(document.path)}</span><span>{say.percent(document.share, 1)}</span>'
            f'<div class="cells heat computed">{cells}</div></li>'
        )
    more = say("map_others", count=drawn.others, share=say.percent(drawn.elsewhere, 1)) if drawn.others else ""
    rest = f"<p>{escape(more)}</p>" if more else ""
    return (
        f'{scale("computed", say("map_none"), say("map_most", share=say.percent(most, 1)))}<ul class="map">'
        f"{''.join(rows)}</ul>{rest}"
    )


def _cell(cell: Cell, key: str, most: float, say: Texts) -> str:
    step = bisect_right(EDGES, cell.share / most) if most else 0
    place = say("page", page=cell.page) if cell.page else say("range", first=cell.line_start, last=cell.line_end)
    words = escape(f"{place}: {say.percent(cell.share, 1)}")
    away = "" if cell.share >= REACHED else ' tabindex="-1"'
    return f'<a href="#cell-{key}" class="step-{step}" title="{words}" aria-label="{words}"{away}></a>'
