"""What links that open something do: a citation, a document, the inside of an answer, a place that it looked at."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.answering.answer import Citation
from app.collection import Collection
from app.errors import OmnibusError
from ui import chat_view, inside_view, source_view
from ui.chat_view import Dialogue
from ui.texts import Texts
from ui.viewer import Viewed


class SourceEvents:
    """Handlers over one library."""

    def __init__(self, viewed: Viewed) -> None:
        self._viewed = viewed

    def jump(self, name: str | None, dialogue: Dialogue, request: gr.Request, event: gr.EventData) -> Any:
        """Open what a link names.

        `cite-<number>`, `doc-<id>`, `inside-<answer>`, `look-<answer>-<place>` or `cell-<answer>-<file>-<part>`.
        """
        kind, _, key = str(event._data["target"]).partition("-")
        say = Texts.of(request)
        try:
            collection = self._viewed.collection(name, request)
            if kind == "doc":
                return source_view.render(collection.source(key), say)
            if kind == "inside":
                return inside_view.render(dialogue.answers[int(key)], int(key), say)
            if kind == "look":
                answer, place = (int(part) for part in key.split("-"))
                seen = dialogue.answers[answer].looked_at[place]
                return _place(collection, say, seen.path, seen.char_start, seen.char_end)
            if kind == "cell":
                answer, file, part = (int(number) for number in key.split("-"))
                how = dialogue.answers[answer].inside
                if how is None:
                    return gr.skip()
                drawn = how.map.documents[file]
                return _place(collection, say, drawn.path, drawn.cells[part].char_start, drawn.cells[part].char_end)
            if not 0 <= int(key) < len(dialogue.citations):
                return gr.skip()
            citation = dialogue.citations[int(key)]
            if citation.document is None or citation.char_start is None or citation.char_end is None:
                return source_view.unverified(citation, say)
            start, end, of = citation.char_start, citation.char_end, len(dialogue.citations)
            return _place(collection, say, citation.document, start, end, citation, int(key), of)
        except (OmnibusError, ValueError, IndexError):
            return chat_view.status(say("gone"))


def _place(
    collection: Collection,
    say: Texts,
    document: str,
    start: int,
    end: int,
    citation: Citation | None = None,
    number: int = 0,
    of: int = 0,
) -> str:
    """Characters of a document, on its page's picture where there is one."""
    view = collection.source(document, char_start=start, char_end=end)
    picture = collection.page_image(document, start, end)
    return source_view.render(view, say, citation, picture, number=number, of=of)
