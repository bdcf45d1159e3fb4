"""Inside an answer: what took how long, what each head computed and kept, where it looked, what came from the store."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from app.answering.answer import Answer, AnswerStats
from app.answering.inside import HeadFigures, Inside, StoreUse
from ui import heat_map, map_view
from ui.plan_view import size
from ui.texts import Texts

ALWAYS = ("index", "attention", "linear", "copies", "decode")
"""Parts of the time that are named even where they took none."""
SEEN_S = 0.005


def render(answer: Answer, number: int, say: Texts) -> str:
    """HTML about one answer, the `number`-th of its dialogue; its places are links that open their source."""
    how, s = answer.inside, answer.stats
    seconds: Mapping[str, float] = dict(how.seconds.items()) if how else _rough(s)
    parts = [_time(seconds, say), *_heads(how, s, say), _places(answer, number, say)]
    if how is not None and how.map.documents:
        drawn = map_view.render(how.map, number, say)
        parts.append(_section(say("map"), drawn, say("map_says")))
    parts += [_prompt(s, how.store if how else None, say), _store(how.store, say) if how and how.store else ""]
    if s.snapshot:
        parts.append(_section(say("snapshot"), f"<code>{escape(s.snapshot)}</code>", say("snapshot_says")))
    title = escape(say("inside"))
    return (
        f'<div class="inside" tabindex="0" role="region" aria-label="{title}"><div class="source-head"><h2>{title}</h2>'
        f"</div>{''.join(parts)}</div>"
    )


def _rough(s: AnswerStats) -> dict[str, float]:
    """What statistics alone tell."""
    decode = s.answer_tokens / s.decode_tok_s if s.decode_tok_s else 0.0
    return {"reading": s.prefill_s, "question": max(0.0, s.ttft_s - s.prefill_s), "decode": decode}


def _time(seconds: Mapping[str, float], say: Texts) -> str:
    total, most = sum(seconds.values()), max(seconds, key=lambda part: seconds[part])
    shown = [(part, s) for part, s in seconds.items() if s >= SEEN_S or part in ALWAYS]
    rows = "".join(_bar(say(f"time_{p}"), s / (seconds[most] or 1), f"{say.decimal(s, 2)} s") for p, s in shown)
    words = say("time_says", total=say.decimal(total), most=say(f"time_{most}"))
    return _section(say("time"), rows, f"{words} {say('time_measured')}" if "linear" in seconds else words)


def _heads(how: Inside | None, s: AnswerStats, say: Texts) -> list[str]:
    if how is None or how.heads is None:
        return [_section(say("density"), "", say("density_gone") if s.cached_tokens else say("density_none"))]
    heads, tokens = how.heads, how.read_tokens
    about = say("heads_earlier", tokens=tokens) if how.earlier else say("heads_now", tokens=tokens)
    axes = say("heads_axes", layers=len(heads.density), heads=len(heads.density[0]))
    return [
        _section(say("density"), _density(heads, axes, say), f"{_density_says(heads, s, say)} {about}"),
        _section(say("kept"), _kept(heads, axes, say), _kept_says(heads, say)),
    ]


def _density(heads: HeadFigures, axes: str, say: Texts) -> str:
    drawn = heat_map.heat_map(heads.density, heat_map.COMPUTED, "computed", f"{say('density')}. {axes}")
    return f"{drawn}<p class='axes'>{axes}</p>{heat_map.scale('computed', say.percent(0), say.percent(1))}"


def _density_says(heads: HeadFigures, s: AnswerStats, say: Texts) -> str:
    if heads.dense:
        return say("density_all")
    (low, layer, head), (high, at_layer, at_head) = (
        heat_map.extreme(heads.density),
        heat_map.extreme(heads.density, most=True),
    )
    return say(
        "density_says",
        policy=s.policy,
        mean=say.percent(heat_map.mean(heads.density)),
        low=say.percent(low),
        layer=layer,
        head=head,
        high=say.percent(high),
        at_layer=at_layer,
        at_head=at_head,
    )


def _kept(heads: HeadFigures, axes: str, say: Texts) -> str:
    lost = tuple(tuple(1 - share for share in row) for row in heads.kept)
    drawn = heat_map.heat_map(lost, heat_map.LOST, "lost", f"{say('kept')}. {axes}")
    return f"{drawn}<p class='axes'>{axes}</p>{heat_map.scale('lost', say('kept_all_of_it'), say('kept_least'))}"


def _kept_says(heads: HeadFigures, say: Texts) -> str:
    if heads.dense:
        return say("kept_dense")
    low, layer, head = heat_map.extreme(heads.kept)
    mean = say.percent(heat_map.mean(heads.kept), 1)
    return say("kept_says", mean=mean, low=say.percent(low, 1), layer=layer, head=head)


def _places(answer: Answer, number: int, say: Texts) -> str:
    if not answer.looked_at:
        return _section(say("looked"), "", say("looked_nowhere"))
    most = max(place.share for place in answer.looked_at)
    rows = "".join(
        f'<li><a href="#look-{number}-{i}">{escape(place.path)}, '
        f"{escape(say('page', page=place.page)) + ', ' if place.page else ''}{say('line', line=place.line_start)}</a>"
        f'<span class="measure"><span style="width:{100 * place.share / most:.0f}%"></span></span>'
        f"<span>{say.percent(place.share)}</span></li>"
        for i, place in enumerate(answer.looked_at)
    )
    return _section(say("looked"), f'<ol class="places">{rows}</ol>', say("looked_says"))


def _prompt(s: AnswerStats, store: StoreUse | None, say: Texts) -> str:
    parts = [(say("from_store"), s.cached_tokens), (say("read_just_now"), s.prompt_tokens - s.cached_tokens)]
    sentence = say("prompt_new") if not s.cached_tokens else say("prompt_kept", share=_kept_share(s, say))
    reason = store.miss_reason if store is not None and store.restored_tokens < store.prompt_tokens else None
    why = (
        f"<details><summary>{escape(say('prompt_why'))}</summary><p>{escape(say.reason(reason))}</p></details>"
        if reason
        else ""
    )
    drawn = _stack([(name, n, say("of_tokens", tokens=n)) for name, n in parts])
    return _section(say("prompt"), drawn, sentence, why)


def _kept_share(s: AnswerStats, say: Texts) -> str:
    return say.percent(s.cached_tokens / max(s.prompt_tokens, 1))


def _store(use: StoreUse, say: Texts) -> str:
    held, kv = size(use.store_bytes, say), size(use.kv_bytes, say)
    if not use.quota_bytes:
        return _section(say("store"), "", say("store_says", kv=kv, held=held))
    share, quota = use.store_bytes / use.quota_bytes, size(use.quota_bytes, say)
    bar = _bar(say("store_full"), min(1.0, share), say.percent(share, 1))
    return _section(say("store"), bar, say("store_says_quota", kv=kv, held=held, quota=quota))


def _section(title: str, body: str, sentence: str, more: str = "") -> str:
    return f"<section><h3>{escape(title)}</h3>{body}<p>{escape(sentence)}</p>{more}</section>"


def _stack(parts: list[tuple[str, float, str]]) -> str:
    """Shares of a whole side by side, with a legend that says each in words."""
    total = sum(amount for _, amount, _ in parts) or 1
    fills = "".join(
        f'<span class="part-{i}" style="width:{100 * amount / total:.1f}%"></span>'
        for i, (_, amount, _) in enumerate(parts)
    )
    words = "".join(f'<li class="part-{i}">{escape(name)}: {said}</li>' for i, (name, _, said) in enumerate(parts))
    return f'<div class="stack" aria-hidden="true">{fills}</div><ul class="legend">{words}</ul>'


def _bar(name: str, share: float, said: str) -> str:
    return (
        f'<div class="share"><span>{escape(name)}</span><span class="measure" aria-hidden="true">'
        f'<span style="width:{100 * share:.1f}%"></span></span><span>{said}</span></div>'
    )
