"""What the page's events do: each is a call to the library and its result as HTML."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app.answer import Answer, Citation
from app.collection import Collection
from app.errors import NoSuchCollection, OmnibusError, explain
from app.library import Library
from app.stream import Cancelled
from app.users import User
from ui import chat_view, inside_view, library_view, source_view
from ui.chat_view import Dialogue
from ui.running import Running

REFRESH_SECONDS = 0.06
DEFAULT = "default"
BUG = "Something went wrong in Omnibus. Its log says what."
Talk = tuple[list[dict[str, str]], Dialogue, str]
"""The chat's messages, the dialogue behind them, the status line."""


def viewer_of(request: gr.Request) -> User | None:
    """Who is signed in at the page; null where nobody need be."""
    assert request.request is not None
    viewer: User | None = request.request.scope["state"]["viewer"]
    return viewer


class Events:
    """Handlers over one library; what belongs to one browser session is in its Dialogue."""

    def __init__(self, library: Library) -> None:
        self._library, self._running = library, Running()

    def _seen(self, request: gr.Request) -> Library:
        """The library as the person at the page may see it."""
        return self._library.seen_by(viewer_of(request))

    def _collection(self, name: str | None, request: gr.Request) -> Collection:
        return self._seen(request).collection(name or DEFAULT)

    # -- library ------------------------------------------------------------------------------------------------------

    def who(self, request: gr.Request) -> tuple[str, Any]:
        """Who is signed in, and a way out; the field for files is there for those who may add some."""
        viewer = viewer_of(request)
        return (library_view.signed_in(viewer) if viewer else ""), gr.File(visible=viewer is None or viewer.is_admin)

    def open(self, request: gr.Request) -> tuple[Any, str, str]:
        """The first look: collections, and the documents of the first."""
        names = [info.name for info in self._seen(request).collections()]
        name = names[0] if names else DEFAULT
        return gr.Dropdown(choices=names or [DEFAULT], value=name), *self._panel(name, request)

    def _panel(self, name: str | None, request: gr.Request) -> tuple[str, str]:
        """Documents of a collection, as they are before anything is counted."""
        try:
            return library_view.documents(self._collection(name, request).documents()), ""
        except NoSuchCollection:
            return library_view.UNSEEN, ""

    def _readable(self, name: str | None, request: gr.Request) -> bool:
        try:
            return any(info.status != "skipped" for info in self._collection(name, request).documents())
        except NoSuchCollection:
            return False

    def plan(self, name: str | None, dialogue: Dialogue, request: gr.Request) -> Iterator[tuple[Any, Any]]:
        """Documents with their tokens, and what a question will read; loads the model, whose tokens they are.

        Shows nothing where the person went on to another collection meanwhile.
        """
        if not self._readable(name, request):
            yield gr.skip(), ""
            return
        if not self._library.loaded:
            yield gr.skip(), library_view.note("Loading the model, to count tokens.")
        try:
            collection = self._collection(name, request)
            plan = collection.plan()
        except Exception as error:
            sentence = explain(error)
            yield gr.skip(), gr.skip() if dialogue.left else library_view.note(sentence or BUG)
            if sentence is None:
                raise
            return
        if dialogue.left:
            yield gr.skip(), gr.skip()
        else:
            yield library_view.documents(collection.documents(), plan), library_view.plan_line(plan)

    def choose(
        self, name: str | None, dialogue: Dialogue, request: gr.Request
    ) -> tuple[str, str, list[Any], Dialogue, str, str]:
        """Another collection: its documents, a fresh dialogue, no source."""
        return *self._panel(name, request), *self.leave(dialogue, request), source_view.EMPTY

    def add(self, files: Sequence[str] | None, name: str | None, request: gr.Request) -> tuple[Any, Any, str, str, str]:
        """Put uploaded files into the collection and say what became of them."""
        try:
            self._seen(request).check_may_change()
            collection = self._collection(name, request)
        except OmnibusError as error:
            return None, gr.skip(), chat_view.status(error.message), gr.skip(), gr.skip()
        loaded, notes = 0, []
        for file in files or ():
            try:
                info = collection.add_bytes(Path(file).name, Path(file).read_bytes())
            except OmnibusError as error:
                notes.append(error.message)
                continue
            loaded += info.status != "skipped"
            if info.status == "skipped":
                notes.append(f"{info.path} was skipped: {info.reason}.")
        words = " ".join([f"{loaded} added to '{collection.name}'.", *notes])
        names = [info.name for info in self._seen(request).collections()]
        picker = gr.Dropdown(choices=names, value=collection.name)
        return None, picker, chat_view.status(words), *self._panel(collection.name, request)

    # -- dialogue -----------------------------------------------------------------------------------------------------

    def respond(
        self, question: str, name: str | None, dialogue: Dialogue, request: gr.Request
    ) -> Iterator[tuple[Any, Any, Any, Any]]:
        """Ask; yields the chat, the dialogue, the status line, and the question, emptied once it is taken."""
        session = request.session_hash or ""
        try:
            collection = self._collection(name, request)
            stream = collection.stream(question, history=dialogue.turns)
        except OmnibusError as error:
            yield dialogue.messages, dialogue, chat_view.status(error.message), gr.skip()
            return
        if not self._readable(name, request):
            yield (
                dialogue.messages,
                dialogue,
                chat_view.status("There is nothing to read yet: add files first."),
                question,
            )
            return
        self._running.start(session, stream)
        at = dialogue.asked(question)
        text, line, shown = "", chat_view.status("Waiting for the model"), 0.0
        try:
            yield dialogue.messages, dialogue, line, ""
            for event in stream.events():
                if isinstance(event, Answer):
                    dialogue.finish(at, question, event)
                    dialogue.number = collection.conversations.add(question, event, dialogue.number)
                elif isinstance(event, str):
                    text, line = text + event, chat_view.status("Answering")
                    dialogue.show(at, text)
                else:
                    line = chat_view.progress(event)
                if time.monotonic() - shown > REFRESH_SECONDS and not dialogue.left:
                    shown = time.monotonic()
                    yield dialogue.messages, dialogue, line, gr.skip()
        except Cancelled:
            dialogue.note(at, "Stopped.", text)
        except Exception as error:
            sentence = explain(error)
            dialogue.note(at, sentence or BUG, text)
            if sentence is None:
                raise
        finally:
            stream.cancel()
            self._running.end(session, stream)
        # Gradio sends what came last once more at the end, so a dialogue that was left ends with changing nothing.
        skip = gr.skip()
        yield (skip, skip, skip, skip) if dialogue.left else (dialogue.messages, dialogue, "", skip)

    def stop(self, request: gr.Request) -> None:
        """Stop this session's answer, in the middle of reading too."""
        self._running.stop(request.session_hash or "")

    def leave(self, dialogue: Dialogue, request: gr.Request) -> Talk:
        """Stop what is being answered and begin a fresh dialogue."""
        dialogue.left = True
        self.stop(request)
        return [], Dialogue(), ""

    def earlier(self, name: str | None, dialogue: Dialogue, request: gr.Request) -> Any:
        """The conversations that were kept of a collection, the one that is shown chosen."""
        try:
            kept = self._collection(name, request).conversations.all()
        except NoSuchCollection:
            kept = []
        return gr.Dropdown(choices=[(info.name, info.id) for info in kept], value=dialogue.number)

    def reopen(
        self, number: int | None, name: str | None, dialogue: Dialogue, request: gr.Request
    ) -> tuple[list[Any], Dialogue, str, str]:
        """Go on with a kept conversation."""
        empty = self.leave(dialogue, request)
        try:
            again = Dialogue.of(self._collection(name, request).conversations.get(int(number or 0)))
        except OmnibusError as error:
            return *empty[:2], chat_view.status(error.message), source_view.EMPTY
        return again.messages, again, "", source_view.EMPTY

    def jump(self, name: str | None, dialogue: Dialogue, event: gr.EventData, request: gr.Request) -> Any:
        """Open what a link names: `cite-<number>`, `doc-<id>`, `inside-<answer>` or `look-<answer>-<place>`."""
        kind, _, key = str(event._data["target"]).partition("-")
        try:
            collection = self._collection(name, request)
            if kind == "doc":
                return source_view.render(collection.source(key))
            if kind == "inside":
                return inside_view.render(dialogue.answers[int(key)], int(key))
            if kind == "look":
                answer, _, place = key.partition("-")
                seen = dialogue.answers[int(answer)].looked_at[int(place)]
                return self._place(collection, seen.path, seen.char_start, seen.char_end)
            if not 0 <= int(key) < len(dialogue.citations):
                return gr.skip()
            citation = dialogue.citations[int(key)]
            if citation.document is None or citation.char_start is None or citation.char_end is None:
                return source_view.unverified(citation)
            start, end = citation.char_start, citation.char_end
            return self._place(collection, citation.document, start, end, citation, int(key), len(dialogue.citations))
        except (OmnibusError, ValueError, IndexError):
            return chat_view.status("This document is no longer in the collection.")

    def _place(
        self,
        collection: Collection,
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
        return source_view.render(view, citation, picture, number=number, of=of)
