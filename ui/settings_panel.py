"""The settings: model and attention of the server, how this person's questions are answered, appearance."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import gradio as gr

from app.errors import OmnibusError
from app.planning.models import ModelChoice, model_choices
from app.settings import Settings
from ui import chat_view
from ui.choices import LANGUAGES
from ui.script import THEME
from ui.texts import Texts, label
from ui.viewer import DEFAULT, Viewed

POLICIES = ("auto", "dense")
LEVELS = ("fast", "balanced", "high")


class SettingsPanel:
    """Its components, laid out where it is made; `asking` are those that every question takes (Choices.of)."""

    def __init__(self, viewed: Viewed, settings: Settings) -> None:
        self._viewed = viewed
        self.mode = gr.Radio(
            [(label(f"mode_{mode}"), mode) for mode in ("auto", "whole", "packed")],
            value="auto",
            label=label("reading_mode"),
            elem_id="mode",
        )
        self.language = gr.Dropdown(
            [(label("as_asked"), ""), *LANGUAGES], value="", label=label("answer_language"), elem_id="answer-language"
        )
        with gr.Row():
            self.temperature = gr.Slider(
                0, 2, 0, step=0.1, label=label("temperature"), info=label("temperature_info"), elem_id="temperature"
            )
            self.max_tokens = gr.Number(
                settings.max_new_tokens, label=label("max_tokens"), precision=0, minimum=1, elem_id="max-tokens"
            )
            self.seed = gr.Textbox(label=label("seed"), info=label("seed_info"), max_lines=1, elem_id="seed")
        self.theme = gr.Radio(
            [(label(f"theme_{theme}"), theme) for theme in ("system", "light", "dark")],
            value="system",
            label=label("theme"),
            elem_id="theme",
        )
        self.model = gr.Radio([], label=label("model"), info=label("model_info"), elem_id="model")
        name, _, rest = settings.policy.partition(":")
        others = [settings.policy] if name not in POLICIES else []
        self.policy = gr.Radio(
            [*((label(f"policy_{policy}"), policy) for policy in POLICIES), *others],
            value=settings.policy if others else name,
            label=label("policy"),
            info=label("policy_info"),
            elem_id="policy",
        )
        self.level = gr.Radio(
            [(label(f"level_{level}"), level) for level in LEVELS],
            value=next((level for level in LEVELS if rest == f"level={level}"), None if rest else "balanced"),
            label=label("level"),
            visible=name == "auto",
            elem_id="level",
        )
        self.asking = [self.mode, self.language, self.temperature, self.max_tokens, self.seed]

    def wire(self, collection: gr.Dropdown, status: gr.HTML, planned: dict[str, Any]) -> None:
        """What changes do: a new plan where it depends on them."""
        latest: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last"}
        for component in (self.mode, self.max_tokens):
            component.input(**planned)
        self.theme.input(None, self.theme, None, js=THEME)
        shared = [self.policy, self.level]
        for component in shared:
            component.input(self.attend, shared, [status, self.level], **latest).then(**planned)
        self.model.input(self.choose, self.model, status, **latest).then(**planned).then(
            self.models, collection, self.model, **latest
        )

    def models(self, name: str | None, request: gr.Request) -> Any:
        """The models that there are, each with what it means for the collection."""
        say, library, tokens = Texts.of(request), self._viewed.seen(request), 0
        if library.loaded:
            with suppress(OmnibusError):  # nothing to read yet
                tokens = library.collection(name or DEFAULT).plan().corpus_tokens
        found = model_choices(library, tokens)
        return gr.Radio(choices=[(_label(m, say), m.source) for m in found], value=library.settings.model)

    def choose(self, model: str, request: gr.Request) -> str:
        """Answer with another model from now on."""
        say = Texts.of(request)
        try:
            self._viewed.seen(request).use(model=model)
        except OmnibusError as error:
            return chat_view.failure(error, say)
        return chat_view.status(say("changed"))

    def attend(self, policy: str, level: str | None, request: gr.Request) -> tuple[str, Any]:
        """Read under another policy from now on."""
        say = Texts.of(request)
        try:
            self._viewed.seen(request).use(policy=f"auto:level={level or LEVELS[1]}" if policy == "auto" else policy)
        except Exception as error:
            sentence = say.error(error)
            if sentence is None:
                raise
            return chat_view.status(sentence), gr.skip()
        return chat_view.status(say("changed")), gr.Radio(visible=policy == "auto")


def _label(choice: ModelChoice, say: Texts) -> str:
    size, free = say.decimal(choice.needs_bytes / 1e9), say.decimal(choice.free_bytes / 1e9)
    verdict = {
        "fits": say("model_fits"),
        "needs_gb": say("model_needs_gb", size=size, free=free),
        "needs_retrieval": say("model_needs_retrieval", effective=choice.effective_window),
        "unknown": say("model_unknown"),
    }[choice.verdict]
    return f"{choice.name} · {verdict}"
