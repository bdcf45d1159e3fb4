"""Text of a model, or of a person, as HTML that can fetch nothing and run nothing."""

from __future__ import annotations

import re

import nh3
from markdown_it import MarkdownIt

TAGS = set("blockquote br code em h1 h2 h3 h4 h5 h6 hr li ol p pre strong table tbody td th thead tr ul".split())
NUMBERED = re.compile(r"^(\s{0,3}\d+)([.)])(?=\s)", re.MULTILINE)
"""How an item of a numbered list begins."""
_markdown = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table")
_markdown.disable(["image", "link", "autolink", "reference", "html_inline", "html_block"])


def rendered(text: str) -> str:
    """Markdown to HTML without links, images, styles or scripts: what a document told the model to print stays text.

    The HTML is one line: the chat reads it as Markdown once more, and what stands after an empty line in it (in a
    code block, or made by an entity) would become an image or a link there. A number that begins no list stays as it
    is: `18. "The roof ..."` is an answer, not the first item of one.
    """
    if len(NUMBERED.findall(text)) == 1:
        text = NUMBERED.sub(r"\1\\\2", text)
    html = nh3.clean(_markdown.render(text), tags=TAGS, attributes={"ol": {"start"}})
    return html.strip().replace("\r", "").replace("\n", "&#10;")
