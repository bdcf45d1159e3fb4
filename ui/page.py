"""The page: library on the left, chat in the middle, source on the right."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app.answer import Answer
from app.errors import EmptyCollection, NoSuchCollection, OmnibusError, explain
from app.library import Library
from app.stream import Cancelled
from ui import chat_view, library_view, source_view
from ui.chat_view import Dialogue
from ui.running import Running
from ui.style import CSS, theme

REFRESH_SECONDS = 0.06
DEFAULT = "default"
OPEN_SOURCE = """
document.addEventListener('click', (event) => {
  const link = event.target.closest('a[href^="#cite-"], a[href^="#doc-"]');
  if (!link) return;
  event.preventDefault();
  trigger('jump', { target: link.getAttribute('href').slice(1) });
});
watch('value', () => {
  const hit = element.querySelector('tr.hit');
  if (hit) hit.scrollIntoView({ block: 'center' });
});
"""


def mount_options(library: Library) -> dict[str, Any]:
    """How the page is mounted: nothing recorded, nothing shared, no file of the disk served."""
    return {
        "theme": theme(),
        "css": CSS,
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "mcp_server": False,
        "ssr_mode": False,
        "show_error": False,
        "max_file_size": f"{library.settings.max_upload_mb}mb",
    }


def build(library: Library) -> gr.Blocks:
    """The page over a library."""
    view = Page(library)
    page: gr.Blocks
    with gr.Blocks(title="Omnibus", analytics_enabled=False, fill_width=True, delete_cache=(3600, 3600)) as page:
        dialogue = gr.State(lambda: Dialogue())  # a function: Gradio takes the class itself for a value
        gr.HTML(
            "<h1>Omnibus</h1><p>Ask whole books and codebases. Every answer shows where it stands.</p>", elem_id="title"
        )
        with gr.Row():
            with gr.Column(scale=2, min_width=260):
                collection = gr.Dropdown(
                    label="Collection",
                    allow_custom_value=True,
                    elem_id="collection",
                    info="Pick one, or type a new name.",
                )
                upload = gr.File(label="Add files", file_count="multiple", height=110, elem_id="upload")
                plan = gr.HTML(elem_id="plan")
                documents = gr.HTML(library_view.EMPTY, elem_id="documents")
            with gr.Column(scale=4, min_width=320):
                chat = gr.Chatbot(
                    elem_id="chat",
                    height="62vh",
                    show_label=False,
                    label="Answers",
                    buttons=["copy"],
                    placeholder="Add documents, then ask about them.",
                    feedback_options=None,
                    layout="panel",
                )
                status = gr.HTML(elem_id="status")
                with gr.Row():
                    question = gr.Textbox(
                        show_label=False,
                        label="Question",
                        placeholder="Ask about these documents",
                        lines=1,
                        scale=6,
                        elem_id="question",
                        autofocus=True,
                        max_lines=6,
                    )
                    ask = gr.Button("Ask", variant="primary", scale=1, min_width=80, elem_id="ask")
                    stop = gr.Button("Stop", scale=1, min_width=80, elem_id="stop")
            with gr.Column(scale=4, min_width=320):
                source = gr.HTML(source_view.EMPTY, elem_id="source", js_on_load=OPEN_SOURCE)

        panel = [documents, plan]
        page.load(view.open, None, [collection, *panel])
        collection.input(view.choose, collection, [*panel, chat, dialogue, status])
        upload.upload(view.add, [upload, collection], [upload, collection, status, *panel], concurrency_limit=4)
        for start in (ask.click, question.submit):
            start(
                view.respond,
                [question, collection, dialogue],
                [chat, status, dialogue, question],
                concurrency_limit=16,
                show_progress="hidden",
            ).then(view.panel, collection, panel, show_progress="hidden")
        stop.click(view.stop, None, None, queue=False)
        source.jump(view.jump, [collection, dialogue], source, queue=False, show_progress="hidden")
        page.unload(view.stop)
    return page


class Page:
    """What the page's events do."""

    def __init__(self, library: Library) -> None:
        self._library, self._running = library, Running()

    def open(self) -> tuple[Any, str, str]:
        """The first look: collections, and the documents of the first."""
        names = [info.name for info in self._library.collections()]
        name = names[0] if names else DEFAULT
        return gr.Dropdown(choices=names or [DEFAULT], value=name), *self.panel(name)

    def panel(self, name: str | None) -> tuple[str, str]:
        """Documents and plan of a collection; the plan waits until the model is there."""
        collection = self._library.collection(name or DEFAULT)
        infos = collection.documents()
        if not self._library.loaded or not any(info.status != "skipped" for info in infos):
            return library_view.documents(infos), ""
        try:
            line = library_view.plan_line(collection.plan())
        except (EmptyCollection, NoSuchCollection):
            line = ""
        return library_view.documents(infos), line

    def choose(self, name: str | None) -> tuple[str, str, list[Any], Dialogue, str]:
        """Another collection: its documents, and a fresh dialogue."""
        return *self.panel(name), [], Dialogue(), ""

    def add(self, files: Sequence[str] | None, name: str | None) -> tuple[Any, Any, str, str, str]:
        """Put uploaded files into the collection and say what became of them."""
        collection = self._library.collection(name or DEFAULT)
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
        names = [info.name for info in self._library.collections()]
        picker = gr.Dropdown(choices=names, value=collection.name)
        return None, picker, chat_view.status(words), *self.panel(collection.name)

    def respond(
        self, question: str, name: str | None, dialogue: Dialogue, request: gr.Request
    ) -> Iterator[tuple[Any, str, Dialogue, str]]:
        """Ask; yields the chat, the status line, the dialogue and the emptied question."""
        session = request.session_hash or ""
        try:
            stream = self._library.collection(name or DEFAULT).stream(question, history=dialogue.turns)
        except OmnibusError as error:
            yield dialogue.messages, chat_view.status(error.message), dialogue, question
            return
        self._running.start(session, stream)
        dialogue.asked(question)
        yield dialogue.messages, chat_view.status("Waiting for the model"), dialogue, ""
        text, line, shown = "", "", 0.0
        try:
            for event in stream.events():
                if isinstance(event, Answer):
                    dialogue.finish(question, event)
                    line = ""
                elif isinstance(event, str):
                    text, line = text + event, chat_view.status("Answering")
                    dialogue.show(text)
                else:
                    line = chat_view.progress(event)
                if isinstance(event, Answer) or time.monotonic() - shown > REFRESH_SECONDS:
                    shown = time.monotonic()
                    yield dialogue.messages, line, dialogue, ""
        except Cancelled:
            dialogue.note("Stopped.", text)
        except Exception as error:
            sentence = explain(error)
            dialogue.note(sentence or "Something went wrong in Omnibus. Its log says what.", text)
            if sentence is None:
                raise
        finally:
            stream.cancel()
            self._running.end(session, stream)
        yield dialogue.messages, "", dialogue, ""

    def stop(self, request: gr.Request) -> None:
        """Stop this session's answer, in the middle of reading too."""
        self._running.stop(request.session_hash or "")

    def jump(self, name: str | None, dialogue: Dialogue, event: gr.EventData) -> str:
        """Open the source of a citation (`cite-<number>`) or of a document (`doc-<id>`)."""
        kind, _, key = str(event._data["target"]).partition("-")
        collection = self._library.collection(name or DEFAULT)
        try:
            if kind == "doc":
                return source_view.render(collection.source(key))
            citation = dialogue.citations[int(key)]
            if citation.document is None:
                return source_view.unverified(citation)
            place = collection.source(citation.document, char_start=citation.char_start, char_end=citation.char_end)
            return source_view.render(place, citation)
        except (OmnibusError, ValueError, IndexError):
            return chat_view.status("This document is no longer in the collection.")
