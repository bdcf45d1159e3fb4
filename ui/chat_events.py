"""What the chat does: ask, follow, stop, ask again, edit, branch, and go on with earlier conversations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anyio.to_thread
import gradio as gr

from app.answering.answer import Answer
from app.answering.stream import Progress
from app.errors import OmnibusError
from app.suggestions import suggestions
from ui import chat_view, source_view
from ui.chat_view import AGAIN_TEMPERATURE, Dialogue
from ui.choices import Choices
from ui.library_events import LibraryEvents
from ui.running import Run, Running
from ui.tabs import Tabs
from ui.texts import Texts
from ui.viewer import DEFAULT, Viewed

REFRESH_S = 0.07
SUGGESTED_FROM = 200
"""Documents of which headings are looked at; a library of thousands would take its time."""
Talk = tuple[Any, Any, Any]
"""The chat's messages, the dialogue behind them, the status line."""


class ChatEvents:
    """Handlers over one library; what belongs to one browser tab is in its Dialogue."""

    def __init__(self, viewed: Viewed, shelf: LibraryEvents) -> None:
        self._viewed, self._shelf = viewed, shelf
        self._running, self._tabs = Running(), Tabs()

    # -- coming and going ---------------------------------------------------------------------------------------------

    def open(self, tab: str, request: gr.Request) -> tuple[Any, ...]:
        """The first look, or what this tab showed before it was loaded again: collection, documents, plan, chat."""
        person = self._viewed.person(request)
        tab = tab and f"{person}\n{tab}"  # the browser says it: another user's is another tab
        say, kept = Texts.of(request), self._tabs.find(person, tab)
        names = self._shelf.names(request)
        name, dialogue = kept or (names[0] if names else DEFAULT, Dialogue(tab))
        if name not in names and kept:
            name, dialogue = names[0] if names else DEFAULT, Dialogue(tab)
        if tab:
            self._tabs.keep(person, name, dialogue)
        title = f"<h1>Omnibus</h1><p>{say('motto')}</p>"
        panel = self._shelf.panel(name, request)
        return (
            title,
            self._shelf.picker(name, request),
            *panel,
            *(dialogue.messages, dialogue, ""),
            source_view.empty(say),
            f'<p class="keys">{say("keys")}</p>',
        )

    def leave(self, name: str | None, dialogue: Dialogue, request: gr.Request) -> Talk:
        """Stop what is being answered and begin a fresh dialogue."""
        dialogue.left = True
        self._running.stop(dialogue.tab)
        fresh = Dialogue(dialogue.tab)
        self._tabs.keep(self._viewed.person(request), name or DEFAULT, fresh)
        return [], fresh, ""

    def choose(self, name: str | None, dialogue: Dialogue, request: gr.Request) -> tuple[Any, ...]:
        """Another collection: its documents, a fresh dialogue, no source. Nothing where it is shown already."""
        say, shown = Texts.of(request), self._tabs.find(self._viewed.person(request), dialogue.tab)
        if (
            dialogue.tab and shown is not None and shown[0] == (name or DEFAULT)
        ):  # Gradio says so too when the field is only left
            return (gr.skip(),) * 6
        return *self._shelf.panel(name, request), *self.leave(name, dialogue, request), source_view.empty(say)

    def gone(self, request: gr.Request) -> None:
        """The page was closed or is loaded again."""
        self._running.lose(request.session_hash or "")

    # -- asking -------------------------------------------------------------------------------------------------------

    async def respond(
        self, question: str, name: str | None, dialogue: Dialogue, request: gr.Request, *choices: Any
    ) -> AsyncIterator[tuple[Any, Any, Any, Any]]:
        """Ask; yields the chat, the dialogue, the status line, and the question, emptied once it is taken."""
        if dialogue.editing is not None and question.strip():
            await anyio.to_thread.run_sync(self._cut, name, dialogue, dialogue.editing, request)
        async for shown in self._asked(question, name, dialogue, Choices.of(*choices), request):
            yield shown

    async def act(
        self, name: str | None, dialogue: Dialogue, request: gr.Request, event: gr.EventData, *choices: Any
    ) -> AsyncIterator[tuple[Any, Any, Any, Any]]:
        """What a link under an answer does, `act-<again|edit|branch|suggest>-<number>`; yields as respond."""
        say, chosen, skip = Texts.of(request), Choices.of(*choices), gr.skip()
        _, act, key = str(event._data["target"]).split("-", 2)
        number = int(key)
        if act == "keep":  # Esc while a question is changed
            dialogue.editing = None
            yield skip, skip, "", ""
        elif act == "suggest" and number < len(dialogue.suggested):
            async for shown in self.respond(dialogue.suggested[number], name, dialogue, request, *choices):
                yield shown
        elif number >= len(dialogue.turns):
            yield skip, skip, skip, skip
        elif act == "edit":
            dialogue.editing = number
            yield skip, skip, chat_view.status(say("editing"), editing=True), dialogue.turns[number].question
        elif act == "branch":
            branch = await anyio.to_thread.run_sync(self._branch, name, dialogue, number + 1, request)
            yield branch.messages, branch, chat_view.status(say("branched")), skip
        elif act == "again":
            question = dialogue.turns[number].question
            await anyio.to_thread.run_sync(self._cut, name, dialogue, number, request)
            async for shown in self._asked(question, name, dialogue, chosen.again(AGAIN_TEMPERATURE), request):
                yield shown

    async def _asked(
        self, question: str, name: str | None, dialogue: Dialogue, choices: Choices, request: gr.Request
    ) -> AsyncIterator[tuple[Any, Any, Any, Any]]:
        say, skip = Texts.of(request), gr.skip()
        dialogue.tab = dialogue.tab or request.session_hash or ""
        if not self._running.take(dialogue.tab, question):
            yield skip, skip, skip, skip
            return
        try:
            run = await self._begun(question, name, dialogue, choices, request)
        except OmnibusError as error:
            yield dialogue.messages, dialogue, chat_view.failure(error, say), skip
            return
        finally:
            self._running.give_back(dialogue.tab)
        if run is None:
            yield dialogue.messages, dialogue, chat_view.status(say("nothing_to_read")), question
            return
        yield dialogue.messages, dialogue, chat_view.status(say("waiting")), ""
        async for talk in self._followed(run, request):
            yield *talk, skip

    async def _begun(
        self, question: str, name: str | None, dialogue: Dialogue, choices: Choices, request: gr.Request
    ) -> Run | None:
        """The answer in the making; null where there is nothing to read. Raises what a stream refuses at once."""
        collection, kept = self._viewed.collection(name, request), dialogue
        stream = collection.stream(
            question, mode=choices.mode, history=choices.history(dialogue.turns), sampling=choices.sampling
        )
        if not await anyio.to_thread.run_sync(self._shelf.readable, name, request):
            return None

        def keep(answer: Answer) -> None:
            kept.number = collection.conversations.add(question, answer, kept.number)

        dialogue.editing = None
        run = Run(dialogue, question, stream, Texts.of(request), keep)
        self._tabs.keep(self._viewed.person(request), name or DEFAULT, dialogue)
        self._running.start(run)
        return run

    async def follow(self, dialogue: Dialogue, request: gr.Request) -> AsyncIterator[Talk]:
        """Show what a tab was waiting for before it was loaded again."""
        run = self._running.of(dialogue.tab)
        if run is None:
            yield gr.skip(), gr.skip(), gr.skip()
            return
        async for talk in self._followed(run, request):
            yield talk

    async def _followed(self, run: Run, request: gr.Request) -> AsyncIterator[Talk]:
        session, dialogue, say = request.session_hash or "", run.dialogue, Texts.of(request)
        run.follow(session)
        shown, skip = -1, gr.skip()
        while not run.done and not dialogue.left:
            if shown != run.version:
                # while it waits or reads only the line changes: many pages would draw their chats anew for nothing
                talk = (dialogue.messages, dialogue) if shown < 0 or isinstance(run.event, str) else (skip, skip)
                shown = run.version
                yield *talk, _line(run, say)
            await asyncio.sleep(REFRESH_S)
        # Gradio sends what came last once more at the end, so a dialogue that was left ends with changing nothing.
        yield (skip, skip, skip) if dialogue.left else (dialogue.messages, dialogue, "")

    def stop(self, dialogue: Dialogue) -> None:
        """Stop this tab's answer, in the middle of reading too."""
        self._running.stop(dialogue.tab)

    def suggest(self, name: str | None, dialogue: Dialogue, request: gr.Request) -> str:
        """Questions to begin with, where nothing was asked yet."""
        say, collection, found = Texts.of(request), self._viewed.found(name, request), []
        if collection is not None and not dialogue.messages and len(collection.documents()) <= SUGGESTED_FROM:
            found = [chat_view.question(each, say) for each in suggestions(collection.shelf.documents())]
        dialogue.suggested = found  # at once: those that are shown can be clicked all the while
        return chat_view.suggestions(dialogue, say)

    def _cut(self, name: str | None, dialogue: Dialogue, turns: int, request: gr.Request) -> None:
        if dialogue.number is not None and turns < len(dialogue.turns):
            self._viewed.collection(name, request).conversations.cut(dialogue.number, turns)
        dialogue.cut(turns)

    def _branch(self, name: str | None, dialogue: Dialogue, turns: int, request: gr.Request) -> Dialogue:
        dialogue.left = True
        self._running.stop(dialogue.tab)
        conversations = self._viewed.collection(name, request).conversations
        number = conversations.branch(int(dialogue.number or 0), turns)
        branch = Dialogue.of(conversations.get(number), Texts.of(request), dialogue.tab)
        self._tabs.keep(self._viewed.person(request), name or DEFAULT, branch)
        return branch

    # -- earlier conversations ----------------------------------------------------------------------------------------

    def earlier(self, name: str | None, dialogue: Dialogue, words: str, request: gr.Request) -> tuple[Any, Any, str]:
        """The conversations kept of a collection that hold the words, the one that is shown, and links to take it."""
        collection = self._viewed.found(name, request)
        kept = [] if collection is None else collection.conversations.all(words or "")
        mine = next((info.name for info in kept if info.id == dialogue.number), "")
        number = dialogue.number if mine else None
        picker = gr.Dropdown(choices=[(info.name, info.id) for info in kept], value=number)
        links = chat_view.exports(name or DEFAULT, number, Texts.of(request))
        return picker, gr.Textbox(value=mine, visible=number is not None), links

    def reopen(self, number: int | None, name: str | None, dialogue: Dialogue, request: gr.Request) -> tuple[Any, ...]:
        """Go on with a kept conversation."""
        say, empty = Texts.of(request), self.leave(name, dialogue, request)
        try:
            kept = self._viewed.collection(name, request).conversations.get(int(number or 0))
        except OmnibusError as error:
            return *empty[:2], chat_view.failure(error, say), source_view.empty(say)
        again = Dialogue.of(kept, say, dialogue.tab)
        self._tabs.keep(self._viewed.person(request), name or DEFAULT, again)
        return again.messages, again, "", source_view.empty(say)

    def rename(self, words: str, name: str | None, dialogue: Dialogue, request: gr.Request) -> None:
        """Give the conversation that is shown another name."""
        if dialogue.number is not None and words.strip():
            self._viewed.collection(name, request).conversations.rename(dialogue.number, words)


def _line(run: Run, say: Texts) -> str:
    if run.event is None:
        return chat_view.status(say("waiting"))
    return chat_view.progress(run.event, say) if isinstance(run.event, Progress) else chat_view.status(say("decode"))
