"""The page: library on the left, chat in the middle, source on the right."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.library import Library
from ui import library_view, source_view
from ui.chat_view import Dialogue
from ui.events import Events
from ui.style import CSS, theme

ADVICE = "Add documents, then ask about them. Every answer ends with links to the lines it rests on."
OPEN_SOURCE = """
const LINKS = ['cite', 'doc', 'inside', 'look'].map((kind) => `a[href^="#${kind}-"]`).join(', ');
let cited = -1;
function open(target) {
  if (target.startsWith('cite-')) cited = Number(target.slice(5));
  trigger('jump', { target });
}
document.addEventListener('click', (event) => {
  const link = event.target.closest(LINKS);
  if (!link) return;
  event.preventDefault();
  open(link.getAttribute('href').slice(1));
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') document.querySelector('#stop')?.click();
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea, select')) return;
  const cites = document.querySelectorAll('a.cite').length;
  if (event.key === '/') { event.preventDefault(); document.querySelector('#question textarea').focus(); }
  if (event.key === '[' && cited > 0) open(`cite-${cited - 1}`);
  if (event.key === ']' && cited + 1 < cites) open(`cite-${cited + 1}`);
});
watch('value', () => {
  const lines = element.querySelector('.source-lines');
  const hit = element.querySelector('tr.hit');
  if (lines && hit) lines.scrollTop = hit.offsetTop - lines.clientHeight / 3;
  const picture = element.querySelector('.page-picture');
  const box = element.querySelector('.page-picture span');
  if (picture && box) picture.scrollTop = box.offsetTop - picture.clientHeight / 3;
  if (window.matchMedia('(max-width: 900px)').matches) element.scrollIntoView({ block: 'start' });
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
    events = Events(library)
    page: gr.Blocks
    with gr.Blocks(title="Omnibus", analytics_enabled=False, fill_width=True, delete_cache=(3600, 3600)) as page:
        dialogue = gr.State(lambda: Dialogue())  # a function: Gradio takes the class itself for a value
        gr.HTML(
            "<h1>Omnibus</h1><p>Ask whole books and codebases. Every answer shows where it stands.</p>", elem_id="title"
        )
        who = gr.HTML(elem_id="who")
        with gr.Row():
            with gr.Column(scale=3, min_width=280):
                collection = gr.Dropdown(
                    label="Collection",
                    allow_custom_value=True,
                    elem_id="collection",
                    info="Pick one, or type a new name.",
                )
                upload = gr.File(label="Add files", file_count="multiple", height=140, elem_id="upload")
                plan = gr.HTML(elem_id="plan")
                documents = gr.HTML(library_view.EMPTY, elem_id="documents")
                earlier = gr.Dropdown(
                    label="Earlier conversations", choices=[], value=None, elem_id="earlier", info="Kept as you ask."
                )
            with gr.Column(scale=5, min_width=320):
                chat = gr.Chatbot(
                    elem_id="chat",
                    height="62vh",
                    show_label=False,
                    label="Answers",
                    buttons=[],
                    placeholder=ADVICE,
                    feedback_options=None,
                    layout="panel",
                )
                status = gr.HTML(elem_id="status")
                with gr.Row(elem_id="ask-row", equal_height=True):
                    question = gr.Textbox(
                        show_label=False,
                        label="Question",
                        placeholder="Your question",
                        lines=1,
                        max_lines=6,
                        scale=6,
                        min_width=80,
                        container=False,
                        elem_id="question",
                        autofocus=True,
                    )
                    ask = gr.Button("Ask", variant="primary", scale=1, min_width=64, elem_id="ask")
                    stop = gr.Button("Stop", scale=1, min_width=64, elem_id="stop")
            with gr.Column(scale=5, min_width=320):
                source = gr.HTML(source_view.EMPTY, elem_id="source", js_on_load=OPEN_SOURCE)

        panel, talk = [documents, plan], [chat, dialogue, status]
        planned = {"fn": events.plan, "inputs": [collection, dialogue], "outputs": panel, "show_progress": "hidden"}
        kept = {"fn": events.earlier, "inputs": [collection, dialogue], "outputs": earlier, "show_progress": "hidden"}
        page.load(events.who, None, [who, upload], show_progress="hidden")
        page.load(events.open, None, [collection, *panel]).then(**kept).then(**planned, concurrency_limit=4)
        collection.input(events.choose, [collection, dialogue], [*panel, *talk, source]).then(**kept).then(**planned)
        earlier.input(events.reopen, [earlier, collection, dialogue], [*talk, source], show_progress="hidden")
        upload.upload(events.add, [upload, collection], [upload, collection, status, *panel], concurrency_limit=4).then(
            **planned
        )
        for start in (ask.click, question.submit):
            start(
                events.respond,
                [question, collection, dialogue],
                [*talk, question],
                concurrency_limit=16,
                show_progress="hidden",
            ).then(**kept).then(**planned)
        stop.click(events.stop, None, None, queue=False)
        chat.clear(events.leave, dialogue, talk, queue=False, show_progress="hidden").then(**kept).then(**planned)
        source.jump(events.jump, [collection, dialogue], source, queue=False, show_progress="hidden")
        page.unload(events.stop)
    return page
