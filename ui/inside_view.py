"""Inside an answer: where its time went, what was read and what came from cache, and where it looked."""

from __future__ import annotations

from html import escape

from app.answer import Answer, AnswerStats
from ui.texts import Texts


def render(answer: Answer, number: int, say: Texts) -> str:
    """HTML about one answer, the `number`-th of its dialogue; its places are links that open their source."""
    s = answer.stats
    return (
        '<div class="inside"><div class="source-head"><strong>Inside this answer</strong></div>'
        f"{_time(s)}{_prompt(s)}{_attention(s)}{_places(answer, number)}{_snapshot(s)}</div>"
    )


def _time(s: AnswerStats) -> str:
    decode = s.answer_tokens / s.decode_tok_s if s.decode_tok_s else 0.0
    waiting = max(0.0, s.ttft_s - s.prefill_s)
    parts = [("reading", s.prefill_s), ("question and first word", waiting), ("writing", decode)]
    most = max(parts, key=lambda part: part[1])[0]
    total = sum(seconds for _, seconds in parts)
    return _section(
        "Time",
        _stack([(name, seconds, f"{seconds:.2f} s") for name, seconds in parts]),
        f"It took {total:.1f} s in all; most of it went into {most}.",
    )


def _prompt(s: AnswerStats) -> str:
    read = s.prompt_tokens - s.cached_tokens
    parts = [("from the session store", s.cached_tokens), ("read now", read)]
    sentence = (
        "Nothing had been read before: the next question over the same documents starts sooner."
        if not s.cached_tokens
        else f"{s.cached_tokens / max(s.prompt_tokens, 1):.0%} of the prompt had been read before and was only loaded."
    )
    return _section("Prompt", _stack([(name, n, f"{n:,} tokens") for name, n in parts]), sentence)


def _attention(s: AnswerStats) -> str:
    if s.density is None or s.recall is None:
        sentence = (
            "What was loaded from the session store has no figures any more."
            if s.cached_tokens
            else "Every token looked at all tokens before it: nothing was left out."
        )
        return _section("Attention", "", sentence)
    bars = _bar("computed", s.density) + _bar("attention kept", s.recall)
    return _section(
        "Attention",
        bars,
        f"The {escape(s.policy)} policy computed {s.density:.0%} of the attention between tokens. Measured on sampled "
        f"tokens, that holds {s.recall:.1%} of what complete attention would have given weight to.",
    )


def _places(answer: Answer, number: int) -> str:
    if not answer.looked_at:
        return _section("Where it looked", "", "No place in the documents stands out.")
    most = max(place.share for place in answer.looked_at)
    rows = "".join(
        f'<li><a href="#look-{number}-{i}">{escape(place.path)}'
        f"{f', page {escape(place.page)}' if place.page else ''}, line {place.line_start}</a>"
        f'<span class="measure"><span style="width:{100 * place.share / most:.0f}%"></span></span>'
        f"<span>{place.share:.0%}</span></li>"
        for i, place in enumerate(answer.looked_at)
    )
    return _section(
        "Where it looked",
        f'<ol class="places">{rows}</ol>',
        "The attention of the model's retrieval heads while it wrote. It tells where the words came from, "
        "not whether they are right.",
    )


def _snapshot(s: AnswerStats) -> str:
    if not s.snapshot:
        return ""
    return _section("Snapshot", f"<code>{escape(s.snapshot)}</code>", "Names what was read, byte for byte.")


def _section(title: str, body: str, sentence: str) -> str:
    return f"<section><h3>{title}</h3>{body}<p>{sentence}</p></section>"


def _stack(parts: list[tuple[str, float, str]]) -> str:
    """Shares of a whole side by side, with a legend that says each in words."""
    total = sum(amount for _, amount, _ in parts) or 1
    fills = "".join(
        f'<span class="part-{i}" style="width:{100 * amount / total:.1f}%"></span>'
        for i, (_, amount, _) in enumerate(parts)
    )
    words = "".join(f'<li class="part-{i}">{name}: {said}</li>' for i, (name, _, said) in enumerate(parts))
    return f'<div class="stack" aria-hidden="true">{fills}</div><ul class="legend">{words}</ul>'


def _bar(name: str, share: float) -> str:
    return (
        f'<div class="share"><span>{name}</span><span class="measure"><span style="width:{100 * share:.1f}%">'
        f"</span></span><span>{share:.1%}</span></div>"
    )
