"""The page: library, conversations and settings on the left, chat in the middle, source on the right."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.library import Library
from app.settings import Settings
from ui.chat_events import ChatEvents
from ui.chat_view import Dialogue
from ui.library_events import LibraryEvents
from ui.script import ACTS, RULES, SOURCE, TAB, THEME_KEPT, WARM
from ui.settings_panel import SettingsPanel
from ui.source_events import SourceEvents
from ui.style import CSS, theme
from ui.texts import I18N, label
from ui.viewer import Viewed

WATCHED_EVERY_S = 3.0


def mount_options(library: Library) -> dict[str, Any]:
    """How the page is mounted: nothing recorded, nothing shared, no file of the disk served."""
    return {
        "theme": theme(),
        "css": CSS,
        "i18n": I18N,
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "mcp_server": False,
        "ssr_mode": False,
        "show_error": False,
        "max_file_size": f"{library.settings.max_upload_mb}mb",
    }


class _Parts:
    """The page's components, laid out in the order they are made."""

    def __init__(self, viewed: Viewed, settings: Settings) -> None:
        self.dialogue, self.tab = gr.State(Dialogue()), gr.Textbox(visible=False)
        self.title, self.who = gr.HTML(elem_id="title"), gr.HTML(elem_id="who")
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=4, min_width=300, elem_id="side"), gr.Tabs():
                with gr.Tab(label("library"), elem_id="library-tab"):
                    self._library()
                with gr.Tab(label("conversations"), elem_id="conversations-tab"):
                    self._conversations()
                with gr.Tab(label("settings"), elem_id="settings-tab") as self.settings_tab:
                    self.settings = SettingsPanel(viewed, settings)
                    self.keys = gr.HTML(elem_id="keys")
            with gr.Column(scale=6, min_width=320, elem_id="middle"):
                self._chat()
            with gr.Column(scale=5, min_width=320, elem_id="right"):
                self.source = gr.HTML(elem_id="source", js_on_load=SOURCE)

    def _library(self) -> None:
        self.collection = gr.Dropdown(
            label=label("collection"), allow_custom_value=True, elem_id="collection", info=label("collection_info")
        )
        self.upload = gr.File(label=label("add_files"), file_count="multiple", height=130, elem_id="upload")
        self.plan = gr.HTML(elem_id="plan", js_on_load=WARM)
        self.documents = gr.HTML(elem_id="documents", js_on_load=RULES)
        self.watches = gr.HTML(elem_id="watches")

    def _conversations(self) -> None:
        self.find = gr.Textbox(label=label("find"), info=label("find_info"), elem_id="find", max_lines=1)
        self.earlier = gr.Radio(
            label=label("earlier"), choices=[], value=None, elem_id="earlier", info=label("earlier_info")
        )
        self.name = gr.Textbox(label=label("rename"), visible=False, elem_id="rename", max_lines=1)
        self.exports = gr.HTML(elem_id="exports")

    def _chat(self) -> None:
        self.chat = gr.Chatbot(
            elem_id="chat",
            height="62vh",
            show_label=False,
            label=label("answers"),
            buttons=[],
            placeholder=label("advice"),  # shown in the browser's language all the same
            feedback_options=None,
            layout="panel",
        )
        self.suggestions = gr.HTML(elem_id="suggestions")
        self.status = gr.HTML(elem_id="status", js_on_load=ACTS)
        with gr.Row(elem_id="ask-row", equal_height=True):
            self.question = gr.Textbox(
                show_label=False,
                label=label("question"),
                placeholder=label("your_question"),
                lines=1,
                max_lines=6,
                scale=6,
                min_width=80,
                container=False,
                elem_id="question",
                autofocus=True,
            )
            self.ask = gr.Button(label("ask"), variant="primary", scale=1, min_width=64, elem_id="ask")
            self.stop = gr.Button(label("stop"), scale=1, min_width=64, elem_id="stop")


def build(library: Library) -> gr.Blocks:
    """The page over a library."""
    viewed = Viewed(library)
    shelf, source = LibraryEvents(viewed), SourceEvents(viewed)
    chat = ChatEvents(viewed, shelf)
    page: gr.Blocks
    with gr.Blocks(title="Omnibus", analytics_enabled=False, fill_width=True, delete_cache=(3600, 3600)) as page:
        p = _Parts(viewed, library.settings)
        quiet: dict[str, Any] = {"show_progress": "hidden"}
        every = {"trigger_mode": "multiple", **quiet}  # by default an event is dropped while the one before is answered
        latest = {"trigger_mode": "always_last", **quiet}
        panel, talk = [p.documents, p.plan], [p.chat, p.dialogue, p.status]
        here = [p.collection, p.dialogue]
        planned = {
            "fn": shelf.plan,
            "inputs": [*here, p.settings.mode, p.settings.max_tokens],
            "outputs": panel,
            "concurrency_limit": 4,
            **latest,
        }
        kept = {"fn": chat.earlier, "inputs": [*here, p.find], "outputs": [p.earlier, p.name, p.exports], **latest}
        begin = {"fn": chat.suggest, "inputs": here, "outputs": p.suggestions, **latest}
        watched = {"fn": shelf.watches, "inputs": p.collection, "outputs": p.watches, "queue": False, **quiet}

        def settled(event: Any) -> None:
            event.then(**kept).then(**begin).then(**planned)

        opened = page.load(
            chat.open, p.tab, [p.title, p.collection, *panel, *talk, p.source, p.keys], js=TAB, queue=False, **quiet
        )
        opened.then(chat.follow, p.dialogue, talk, concurrency_limit=None, **quiet)
        settled(opened.then(**watched))
        page.load(shelf.who, None, [p.who, p.upload], **quiet)
        page.load(None, None, p.settings.theme, js=THEME_KEPT)
        gr.Timer(WATCHED_EVERY_S).tick(**watched)
        settled(p.collection.input(chat.choose, here, [*panel, *talk, p.source], queue=False, **latest))
        p.upload.upload(
            shelf.add, [p.upload, p.collection], [p.upload, p.collection, p.status, *panel], concurrency_limit=4
        ).then(**begin).then(**planned)
        p.documents.rule(shelf.rule, p.collection, [p.documents, p.status], **every).then(**begin).then(**planned)
        p.plan.warm(shelf.warm, p.collection, p.plan, concurrency_limit=4, **quiet).then(**planned)
        asked = [*here, *p.settings.asking]
        for start in (p.ask.click, p.question.submit):
            settled(start(chat.respond, [p.question, *asked], [*talk, p.question], concurrency_limit=None, **every))
        settled(p.status.act(chat.act, asked, [*talk, p.question], concurrency_limit=None, **every))
        p.stop.click(chat.stop, p.dialogue, None, queue=False)
        settled(p.chat.clear(chat.leave, here, talk, queue=False, **quiet))
        p.find.submit(**kept)
        p.earlier.input(chat.reopen, [p.earlier, *here], [*talk, p.source], **latest).then(**kept).then(**planned)
        p.name.submit(chat.rename, [p.name, *here], None, **quiet).then(**kept)
        p.source.jump(source.jump, here, p.source, queue=False, **every)
        p.settings_tab.select(p.settings.models, p.collection, p.settings.model, **quiet)
        p.settings.wire(p.collection, p.status, planned)
        page.unload(chat.gone)
    return page
