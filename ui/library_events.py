"""What the library panel does: documents in and out, rules, the plan, reading ahead, watched folders."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr

from app.answering.stream import CancelToken, Progress
from app.collection import Collection
from app.errors import OmnibusError
from app.planning.planner import ModeChoice
from ui import chat_view, library_view, plan_view
from ui.chat_view import Dialogue
from ui.texts import Texts
from ui.viewer import Viewed, viewer_of


class LibraryEvents:
    """Handlers over one library."""

    def __init__(self, viewed: Viewed) -> None:
        self._viewed = viewed

    def who(self, request: gr.Request) -> tuple[str, Any]:
        """Who is signed in, and a way out; the field for files is there for those who may add some."""
        viewer = viewer_of(request)
        shown = library_view.signed_in(viewer, Texts.of(request)) if viewer else ""
        return shown, gr.File(visible=viewer is None or viewer.is_admin)

    def names(self, request: gr.Request) -> list[str]:
        """The collections that can be chosen."""
        return [info.name for info in self._viewed.seen(request).collections()]

    def picker(self, name: str, request: gr.Request) -> Any:
        """The choice of collections, with one of them chosen."""
        names = self.names(request)
        return gr.Dropdown(choices=names if name in names else [*names, name], value=name)

    def panel(self, name: str | None, request: gr.Request) -> tuple[str, str]:
        """Documents of a collection, as they are before anything is counted, and no plan yet."""
        say, collection = Texts.of(request), self._viewed.found(name, request)
        return library_view.unseen(say) if collection is None else self._documents(collection, say), ""

    def _documents(self, collection: Collection, say: Texts, plan: Any = None) -> str:
        infos, server = collection.documents(), _server(collection)
        return library_view.documents(infos, collection.rules_of(info.path for info in infos), say, plan, server=server)

    def readable(self, name: str | None, request: gr.Request) -> bool:
        """Whether the collection has anything to read."""
        collection = self._viewed.found(name, request)
        return collection is not None and any(info.status != "skipped" for info in collection.documents())

    def plan(
        self, name: str | None, dialogue: Dialogue, mode: ModeChoice, max_tokens: float, request: gr.Request
    ) -> Iterator[tuple[Any, Any]]:
        """Documents with their tokens, and what a question will read; loads the model, whose tokens they are.

        Of another engine it is said where documents go. Shows nothing where the person went on to another collection
        meanwhile. What is on its way to the browser by then is put right by the plan of that collection, which comes
        behind it and always says which documents it has.
        """
        say = Texts.of(request)
        collection = self._viewed.found(name, request)
        server = _server(collection) if collection is not None else ""
        if dialogue.left:
            yield gr.skip(), gr.skip()
            return
        if server or not self.readable(name, request):
            documents, nothing = self.panel(name, request)
            yield documents, plan_view.note(say("sent", server=server)) if server else nothing
            return
        if not self._viewed.seen(request).loaded:
            yield gr.skip(), plan_view.note(say("loading_to_count"))
        try:
            collection = self._viewed.collection(name, request)
            plan = collection.plan(mode=mode, history=dialogue.turns, max_new_tokens=max(1, int(max_tokens)))
        except Exception as error:
            sentence = say.error(error)
            yield gr.skip(), gr.skip() if dialogue.left else plan_view.note(sentence or say("bug"))
            if sentence is None:
                raise
            return
        if not dialogue.left:
            yield self._documents(collection, say, plan), plan_view.render(plan, mode, say)
        yield gr.skip(), gr.skip()  # Gradio sends what came last once more at the end

    def add(self, files: Sequence[str] | None, name: str | None, request: gr.Request) -> tuple[Any, Any, str, str, str]:
        """Put uploaded files, archives unpacked, into the collection and say what became of them."""
        say = Texts.of(request)
        try:
            self._viewed.seen(request).check_may_change()
            collection = self._viewed.collection(name, request)
        except OmnibusError as error:
            return None, gr.skip(), chat_view.failure(error, say), gr.skip(), gr.skip()
        before = {info.id for info in collection.documents()}
        notes = []
        for file in files or ():
            try:
                collection.add_bytes(Path(file).name, Path(file).read_bytes())
            except OmnibusError as error:
                notes.append(say.error(error) or say("bug"))
        new = [info for info in collection.documents() if info.id not in before]
        notes += [
            say("was_skipped", path=i.path, reason=say.verdict(i.reason or "")) for i in new if i.status == "skipped"
        ]
        loaded = sum(info.status != "skipped" for info in new)
        words = " ".join([say("added", count=loaded, name=collection.name), *notes[:5]])
        panel = self.panel(collection.name, request)
        return None, self.picker(collection.name, request), chat_view.status(words), *panel

    def rule(self, name: str | None, request: gr.Request, event: gr.EventData) -> tuple[Any, Any]:
        """Pin a document, leave it out, undo either, or remove it: `rule-<act>-<id>`; the documents, and the status."""
        say = Texts.of(request)
        _, act, key = str(event._data["target"]).split("-", 2)
        try:
            collection = self._viewed.collection(name, request)
            path = next((info.path for info in collection.documents() if info.id == key), None)
            if path is not None:
                self._rule(collection, act, path)
        except OmnibusError as error:
            return gr.skip(), chat_view.failure(error, say)
        return self._documents(collection, say), ""

    def _rule(self, collection: Collection, act: str, path: str) -> None:
        ruling = collection.rules_of([path])
        if act == "remove":
            collection.remove(path)
        elif act == "pin":
            collection.pin_documents(library_view.pattern(path))
        elif act == "exclude":
            collection.exclude_documents(library_view.pattern(path))
        elif (rule := ruling.pinned.get(path) or ruling.excluded.get(path)) is not None:
            collection.drop_rules(rule.pattern)

    def warm(self, name: str | None, request: gr.Request) -> Iterator[Any]:
        """Read the collection into the session store now; yields how far it is."""
        say, collection = Texts.of(request), self._viewed.found(name, request)
        if collection is None:
            return
        told: queue.SimpleQueue[Progress | BaseException | None] = queue.SimpleQueue()
        token = CancelToken()

        def work() -> None:
            try:
                collection.warm(on_progress=told.put, cancel=token)
                told.put(None)
            except BaseException as error:
                told.put(error)

        yield plan_view.note(say("waiting"))
        threading.Thread(target=work, name="omnibus-warm", daemon=True).start()
        try:
            while isinstance(event := told.get(), Progress):
                while not told.empty() and isinstance(newer := told.get(), Progress):
                    event = newer
                yield plan_view.reading(event, say)
        finally:
            token.cancel()  # where the page is gone; what was read stays
        if event is not None:
            yield plan_view.note(say.error(event) or say("bug"))

    def watches(self, name: str | None, request: gr.Request) -> str:
        """How the collection's watched folders are now."""
        collection, library = self._viewed.found(name, request), self._viewed.seen(request)
        return "" if collection is None else library_view.watches(library.watches(), collection.name, Texts.of(request))


def _server(collection: Collection) -> str:
    """The other engine that answers in the local model's place; empty where none does."""
    return urlsplit(collection.library.settings.generator_url).netloc
