"""Answer, its citations and statistics: what every face shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from app.answering.inside import Inside
from app.answering.looked_at import LookedAt

if TYPE_CHECKING:
    from engine.decode.logprobs import TokenLogprob

State = Literal["exact", "fuzzy", "unverified"]
Mode = Literal["whole", "packed"]


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote and its place. Lines are 1-based; characters count in the document's text; null where unverified."""

    quote: str
    state: State
    document: str | None = None
    path: str | None = None
    page: str | None = None
    line_start: int | None = None
    line_end: int | None = None
    char_start: int | None = None
    char_end: int | None = None
    score: float | None = None

    @property
    def place(self) -> str:
        """The place in words: path, then page or lines."""
        if self.path is None:
            return "not found in the documents"
        if self.page is not None:
            return f"{self.path}, page {self.page}"
        if self.line_start == self.line_end:
            return f"{self.path}, line {self.line_start}"
        return f"{self.path}, lines {self.line_start}-{self.line_end}"


@dataclass(frozen=True, slots=True)
class AnswerStats:
    """What the answer took. Times in seconds; rates in tokens per second; null where it does not apply.

    `mode` is "none" where the model was asked without documents; `finish_reason` "length" where the answer was cut.
    """

    prompt_tokens: int
    cached_tokens: int
    prefill_s: float
    ttft_s: float
    decode_tok_s: float | None
    policy: str
    mode: Mode | Literal["none"]
    density: float | None
    recall: float | None
    answer_tokens: int
    finish_reason: Literal["stop", "length"] = "stop"
    snapshot: str | None = None
    """Hash of what it was made from; `Collection.snapshot` gives that again."""

    @property
    def line(self) -> str:
        """One line for people."""
        rate = f"{self.decode_tok_s:.1f} tokens/s" if self.decode_tok_s else "one token"
        return (
            f"{self.prompt_tokens:,} prompt tokens ({self.cached_tokens:,} from cache), "
            f"prefill {self.prefill_s:.2f} s, first token after {self.ttft_s:.2f} s, {rate}, "
            f"{self.mode} mode, {self.attention}"
        )

    @property
    def attention(self) -> str:
        """Which policy chose what was read, and what that kept; of a context from cache no figure is left."""
        if self.density is None or self.recall is None:
            return f"{self.policy} attention"
        return f"{self.policy} attention ({self.density:.0%} computed, {self.recall:.1%} kept)"


@dataclass(frozen=True, slots=True)
class Answer:
    """Text, citations, statistics, a notice about what it was based on, what its tokens looked at, most first, their
    log probabilities where the sampling asked for them, and how it was made where that was watched."""

    text: str
    citations: tuple[Citation, ...]
    stats: AnswerStats
    notice: str
    looked_at: tuple[LookedAt, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    inside: Inside | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, the shape that `omnibus ask --json` prints; without `inside`, which is large."""
        keys = ["quote", "document", "path", "page", "line_start", "line_end", "char_start", "char_end", "state"]
        return {
            "text": self.text,
            "citations": [{k: getattr(c, k) for k in keys} for c in self.citations],
            "stats": asdict(self.stats),
            "notice": self.notice,
            "looked_at": [asdict(place) for place in self.looked_at],
        }

    def _repr_html_(self) -> str:
        """The answer in a notebook: text, citations with their places, and what it took, all of it escaped."""
        cited = "".join(
            f"<li><b>{escape(c.place)}</b> <small>({c.state})</small><br><q>{escape(c.quote)}</q></li>"
            for c in self.citations
        )
        text = escape(self.text).replace("\n", "<br>")
        return f"<p>{text}</p><ol>{cited}</ol><small>{escape(self.notice)} {escape(self.stats.line)}</small>"


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier question and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Guidance(Turn):
    """No turn, but what a program's system message asks of the answer (`question` holds it). It is put before the
    question, behind the corpus, so that the corpus' KV does not depend on it."""

    answer: str = ""
