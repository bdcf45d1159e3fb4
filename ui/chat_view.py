"""The chat panel: a dialogue's messages, citations as numbered links, progress and statistics in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from urllib.parse import quote

from app.answering.answer import Answer, AnswerStats, Citation, Turn
from app.answering.stream import Progress
from app.conversations import Conversation
from app.errors import OmnibusError
from app.suggestions import Suggestion
from ui.sanitise import rendered
from ui.texts import Texts

WAITING = '<p class="notice">…</p>'
AGAIN_TEMPERATURE = 0.7
"""The least at which a question that is asked again is answered: greedily it would be the same."""


@dataclass(slots=True)
class Dialogue:
    """What one browser tab has asked: finished turns, the messages shown, every answer and citation by number."""

    tab: str = ""
    """The browser's own name for the tab, the same after a reload."""
    turns: list[Turn] = field(default_factory=list)
    messages: list[dict[str, str]] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    """Where each turn's question stands among the messages."""
    number: int | None = None
    """Under which it is kept; null before its first answer."""
    editing: int | None = None
    """The turn whose question is being changed."""
    suggested: list[str] = field(default_factory=list)
    left: bool = False
    """The person went on to another dialogue; what is still in the making for this one is not shown."""

    @classmethod
    def of(cls, kept: Conversation, say: Texts, tab: str) -> Dialogue:
        """A kept conversation as it was shown."""
        dialogue = cls(tab, number=kept.id)
        for question, answer in kept.turns:
            dialogue.finish(dialogue.asked(question), question, answer, say)
        return dialogue

    def asked(self, question: str) -> int:
        """Show a question and an answer to come; returns where the answer goes."""
        self.messages.append({"role": "user", "content": rendered(question)})
        self.messages.append({"role": "assistant", "content": WAITING})
        return len(self.messages) - 1

    def show(self, at: int, text: str) -> None:
        """The answer so far."""
        self.messages[at]["content"] = rendered(text)

    def finish(self, at: int, question: str, answer: Answer, say: Texts) -> None:
        """The answer complete, with its citations and statistics."""
        first = len(self.citations)
        self.citations.extend(answer.citations)
        self.turns.append(Turn(question, answer.text))
        self.answers.append(answer)
        self.starts.append(at - 1)
        self.messages[at]["content"] = rendered(answer.text) + _footer(answer, first, len(self.answers) - 1, say)

    def note(self, at: int, sentence: str, so_far: str = "") -> None:
        """End the answer with a sentence of ours."""
        self.messages[at]["content"] = f'{rendered(so_far)}<p class="notice">{escape(sentence)}</p>'

    def cut(self, turns: int) -> None:
        """Keep only the first turns."""
        if turns < len(self.turns):
            del self.messages[self.starts[turns] :]
            del self.citations[sum(len(answer.citations) for answer in self.answers[:turns]) :]
            for rows in (self.turns, self.answers, self.starts):
                del rows[turns:]


def progress(event: Progress, say: Texts) -> str:
    """A progress event as a bar with words."""
    if event.phase == "wait":
        return status(say("waiting_behind", count=event.total))
    share = 100 * event.done / event.total if event.total else 0
    if event.phase != "prefill":
        return status(say(event.phase), share)
    words = [say("prefill", done=event.done, total=event.total)]
    if event.tokens_per_second:
        words.append(say("rate", rate=say.decimal(event.tokens_per_second, 0)))
    if event.eta_seconds and event.eta_seconds >= 1:
        words.append(say("left", seconds=say.decimal(event.eta_seconds, 0)))
    if event.cached:
        words.append(say("from_cache", share=say.percent(event.cached / max(event.total, 1))))
    return status(", ".join(words), share)


def status(words: str, share: float | None = None, *, editing: bool = False) -> str:
    """A line under the chat, with a bar where there is something to fill."""
    bar = "" if share is None else f'<div class="meter"><div style="width:{share:.0f}%"></div></div>'
    mark = ' data-editing="yes"' if editing else ""
    return f'<div class="status" role="status"{mark}>{escape(words)}{bar}</div>'


def failure(error: OmnibusError, say: Texts) -> str:
    """Why something was not done, in the line under the chat."""
    return status(say.error(error) or say("bug"))


def suggestions(dialogue: Dialogue, say: Texts) -> str:
    """Questions to begin with, as buttons."""
    if not dialogue.suggested:
        return ""
    links = "".join(
        f'<a href="#act-suggest-{i}" role="button">{escape(question)}</a>'
        for i, question in enumerate(dialogue.suggested)
    )
    return f'<div class="suggestions"><span>{escape(say("suggested"))}</span>{links}</div>'


def question(suggestion: Suggestion, say: Texts) -> str:
    """A suggestion as a question."""
    return say(f"suggest_{suggestion.kind}", path=suggestion.path, heading=suggestion.heading)


def exports(collection: str, number: int | None, say: Texts) -> str:
    """Links that save a conversation as a file."""
    if number is None:
        return ""
    address = f"/api/collections/{quote(collection, safe='')}/conversations/{number}"
    links = "".join(
        f'<a href="{address}?form={form}" download role="button">{name}</a>'
        for form, name in (("markdown", "Markdown"), ("html", "HTML"), ("jsonl", "JSONL"))
    )
    return f'<div class="exports"><span>{escape(say("export"))}</span>{links}</div>'


def _footer(answer: Answer, first: int, number: int, say: Texts) -> str:
    items = "".join(
        f'<li><a href="#cite-{first + i}" class="cite {c.state}">[{i + 1}] {escape(_place(c, say))}</a> '
        f"{_doubt(c, say)}<q>{escape(_short(c.quote))}</q></li>"
        for i, c in enumerate(answer.citations)
    )
    sources = f'<ol class="citations">{items}</ol>' if items else ""
    part = f'<b class="part">{escape(say("part_only"))}</b> ' if answer.stats.mode == "packed" else ""
    again = say("again_title", temperature=say.decimal(AGAIN_TEMPERATURE))
    links = [f'<a href="#inside-{number}">{escape(say("inside_link"))}</a>'] + [
        f'<a href="#act-{act}-{number}" role="button" title="{escape(title)}">{escape(say(act))}</a>'
        for act, title in (("again", again), ("edit", say("edit_title")), ("branch", say("branch_title")))
    ]
    notice, took = escape(say.reason(answer.notice)), escape(statistics(answer.stats, say))
    return f'{sources}<p class="stats">{part}{notice}<br>{took}</p><p class="answer-acts">{" ".join(links)}</p>'


def statistics(s: AnswerStats, say: Texts) -> str:
    """What an answer took, in one line."""
    policy = say("policy_of_server") if s.policy == "its own" else s.policy
    if s.density is None or s.recall is None:
        attention = say("stats_attention", policy=policy)
    else:
        computed, kept = say.percent(s.density), say.percent(s.recall, 1)
        attention = say("stats_attention_kept", policy=policy, computed=computed, kept=kept)
    return say(
        "stats",
        prompt=s.prompt_tokens,
        cached=s.cached_tokens,
        prefill=say.decimal(s.prefill_s, 2),
        first=say.decimal(s.ttft_s, 2),
        rate=say("rate", rate=say.decimal(s.decode_tok_s)) if s.decode_tok_s else say("stats_one_token"),
        mode=say(f"stats_{s.mode}"),
        attention=attention,
    )


def _doubt(citation: Citation, say: Texts) -> str:
    """A badge where the words are not quite the document's."""
    return f'<span class="badge fuzzy">{escape(say("fuzzy"))}</span> ' if citation.state == "fuzzy" else ""


def _place(citation: Citation, say: Texts) -> str:
    """Where a quote stands: path, then page or lines."""
    first, last = citation.line_start, citation.line_end
    if citation.path is None:
        return say("not_found")
    if citation.page is not None:
        return f"{citation.path}, {say('page', page=citation.page)}"
    return f"{citation.path}, {say('line', line=first) if first == last else say('range', first=first, last=last)}"


def _short(quote: str) -> str:
    quote = " ".join(quote.split())
    return quote if len(quote) <= 160 else quote[:157] + "…"
