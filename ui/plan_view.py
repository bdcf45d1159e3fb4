"""The plan: what of a collection a question will read, how full the context gets, and when an answer can begin."""

from __future__ import annotations

from html import escape

from app.answering.stream import Progress
from app.planning.planner import ModeChoice, Plan
from ui.texts import Texts


def note(sentence: str) -> str:
    """A sentence in the plan's place."""
    return f'<div class="plan"><p>{escape(sentence)}</p></div>'


def render(plan: Plan, mode: ModeChoice, say: Texts) -> str:
    """The plan as sentences and a stacked meter; `mode` is the one that was asked for."""
    return (
        f'<div class="plan"><p><strong>{escape(_head(plan, mode, say))}</strong></p>{_readiness(plan, say)}'
        f"{_meter(plan, say)}<p>{escape(_figures(plan, say))}</p></div>"
    )


def reading(event: Progress, say: Texts) -> str:
    """A corpus that is being read before anything is asked."""
    if event.phase == "wait":
        return note(say("waiting_behind", count=event.total))
    share = event.done / event.total if event.total else 0.0
    if event.phase == "prefill" and event.eta_seconds is not None:
        words = say("reading_now", seconds=say.decimal(event.eta_seconds, 0))
    else:
        words = say("load") if event.phase == "load" else say("reading_share", share=say.percent(share))
    return (
        f'<div class="plan" role="status"><p><span class="state reading">{escape(words)}</span></p>'
        f'<div class="meter" aria-hidden="true"><div style="width:{100 * share:.0f}%"></div></div></div>'
    )


def _head(plan: Plan, mode: ModeChoice, say: Texts) -> str:
    if plan.mode == "packed":
        return say("packed_as_set") if mode == "packed" else say("too_long")
    return say("forced", effective=plan.effective_window) if _used(plan) > plan.effective_window else say("fits")


def _readiness(plan: Plan, say: Texts) -> str:
    seconds = None if plan.prefill_seconds is None else say.decimal(max(plan.prefill_seconds, 0.1))
    if plan.mode == "packed":
        key = "each_question_unmeasured" if seconds is None else "each_question"
        return f"<p>{escape(say(key, seconds=seconds))}</p>"
    if plan.ready:
        return f'<p><span class="state ready">{escape(say("ready"))}</span> {escape(say("ready_says"))}</p>'
    words = say("not_read") if seconds is None else say("ready_in", seconds=seconds)
    button = f'<a href="#warm-now" role="button">{escape(say("read_now"))}</a>'
    return f'<p><span class="state">{escape(words)}</span> {button}</p>'


def _used(plan: Plan) -> int:
    return plan.system_tokens + plan.read_tokens + plan.history_tokens + plan.reserve_tokens


def _meter(plan: Plan, say: Texts) -> str:
    """Who has which share of the tokens that the model answers well from (of its window, where that is passed)."""
    whole = (
        plan.read_tokens if plan.mode == "whole" else sum(d.prompt_tokens for d in plan.documents)
    )  # the pinned ones
    parts = [
        ("system", plan.system_tokens),
        ("corpus", whole),
        ("passages", plan.read_tokens - whole),
        ("history", plan.history_tokens),
        ("reserve", plan.reserve_tokens),
    ]
    used = _used(plan)
    room = plan.effective_window if used <= plan.effective_window else plan.window
    shown = [*parts, ("free", max(0, room - used))]
    most = max(room, used)
    fills = "".join(f'<span class="ctx-{k}" style="width:{100 * n / most:.2f}%"></span>' for k, n in parts)
    legend = "".join(
        f'<li class="ctx-{k}">{escape(say(f"part_{k}"))} <b>{say.number(n)}</b></li>'
        for k, n in shown
        if n or k not in ("history", "corpus", "passages")
    )
    label = "; ".join(f"{say(f'part_{k}')}: {say.number(n)}" for k, n in shown)
    return (
        f'<div class="stack meter-stack" role="img" aria-label="{escape(label)}">{fills}</div>'
        f'<ul class="legend">{legend}</ul>'
    )


def _figures(plan: Plan, say: Texts) -> str:
    windows = say("windows", effective=plan.effective_window, window=plan.window)
    held = say("documents_hold", tokens=plan.corpus_tokens) + " " if plan.mode == "packed" else ""
    return f"{held}{windows} {say('kv', size=size(plan.kv_bytes, say))}"


def size(count: int, say: Texts) -> str:
    """Bytes for people."""
    return f"{say.decimal(count / 1e9)} GB" if count >= 1e9 else f"{say.number(max(1, round(count / 1e6)))} MB"
