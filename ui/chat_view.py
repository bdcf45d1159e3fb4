"""The chat panel: a dialogue's messages, citations as numbered links, progress and statistics in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

from app.answer import Answer, Citation, Turn
from app.conversations import Conversation
from app.stream import Progress
from ui.sanitise import rendered

PHASES = {
    "load": "Loading the model",
    "restore": "Restoring what was read before",
    "prefill": "Reading",
    "decode": "Answering",
}
WAITING = '<p class="notice">…</p>'


@dataclass(slots=True)
class Dialogue:
    """What one browser session has asked: finished turns, the messages shown, every answer and citation by number."""

    turns: list[Turn] = field(default_factory=list)
    messages: list[dict[str, str]] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    number: int | None = None
    """Under which it is kept; null before its first answer."""
    left: bool = False
    """The person went on to another dialogue; what is still in the making for this one is not shown."""

    @classmethod
    def of(cls, kept: Conversation) -> Dialogue:
        """A kept conversation as it was shown."""
        dialogue = cls(number=kept.id)
        for question, answer in kept.turns:
            dialogue.finish(dialogue.asked(question), question, answer)
        return dialogue

    def asked(self, question: str) -> int:
        """Show a question and an answer to come; returns where the answer goes."""
        self.messages.append({"role": "user", "content": rendered(question)})
        self.messages.append({"role": "assistant", "content": WAITING})
        return len(self.messages) - 1

    def show(self, at: int, text: str) -> None:
        """The answer so far."""
        self.messages[at]["content"] = rendered(text)

    def finish(self, at: int, question: str, answer: Answer) -> None:
        """The answer complete, with its citations and statistics."""
        first = len(self.citations)
        self.citations.extend(answer.citations)
        self.turns.append(Turn(question, answer.text))
        self.answers.append(answer)
        self.messages[at]["content"] = rendered(answer.text) + _footer(answer, first, len(self.answers) - 1)

    def note(self, at: int, sentence: str, so_far: str = "") -> None:
        """End the answer with a sentence of ours."""
        self.messages[at]["content"] = f'{rendered(so_far)}<p class="notice">{escape(sentence)}</p>'


def progress(event: Progress) -> str:
    """A progress event as a bar with words."""
    share = 100 * event.done / event.total if event.total else 0
    words = PHASES[event.phase]
    if event.phase == "prefill":
        words += f" {event.done:,} of {event.total:,} tokens"
        words += f", {event.tokens_per_second:,.0f} tokens/s" if event.tokens_per_second else ""
        words += f", {event.eta_seconds:.0f} s left" if event.eta_seconds and event.eta_seconds >= 1 else ""
    return status(words, share)


def status(words: str, share: float | None = None) -> str:
    """A line under the chat, with a bar where there is something to fill."""
    bar = "" if share is None else f'<div class="meter"><div style="width:{share:.0f}%"></div></div>'
    return f'<div class="status" role="status">{escape(words)}{bar}</div>'


def _footer(answer: Answer, first: int, number: int) -> str:
    items = "".join(
        f'<li><a href="#cite-{first + i}" class="cite {c.state}">[{i + 1}] {escape(c.place)}</a> '
        f"<q>{escape(_short(c.quote))}</q></li>"
        for i, c in enumerate(answer.citations)
    )
    sources = f'<ol class="citations">{items}</ol>' if items else ""
    inside = f'<a href="#inside-{number}">Inside this answer</a>'
    return f'{sources}<p class="stats">{escape(answer.notice)}<br>{escape(answer.stats.line)} · {inside}</p>'


def _short(quote: str) -> str:
    quote = " ".join(quote.split())
    return quote if len(quote) <= 160 else quote[:157] + "…"
