"""Texts of the page, one file a language; Gradio shows labels by the browser's language, we the rest by its request."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Any

import gradio as gr

from app.errors import explain
from app.planning.reasons import Reason
from ui.texts import de, de_reasons, de_verdicts, en
from ui.texts.verdicts import Verdicts

LANGUAGES: dict[str, dict[str, str]] = {"en": en.TEXTS, "de": de.TEXTS}
REASONS: dict[str, dict[str, str]] = {"de": de_reasons.REASONS}
"""By language and code; English ones come with their sentence."""
ERRORS: dict[str, dict[str, str]] = {"de": de_reasons.ERRORS}
"""By language and class."""
VERDICTS = {"de": Verdicts(de_verdicts.VERDICTS)}
_MARK = "omnibus_"
"""Before each key: Gradio shows the text of a key wherever its name stands, also where that is a collection's name."""
I18N = gr.I18n(**{name: {_MARK + key: text for key, text in LANGUAGES[name].items()} for name in LANGUAGES})


def label(key: str) -> Any:
    """A component's text by its key, in the browser's language."""
    return I18N(_MARK + key)


class Texts(Formatter):
    """Sentences in one language: `say("key", name=value)`."""

    def __init__(self, language: str = "en") -> None:
        self.language = language if language in LANGUAGES else "en"
        self._texts = LANGUAGES[self.language]

    @classmethod
    def of(cls, request: gr.Request | None) -> Texts:
        """In the first of the browser's languages that there is."""
        headers: Mapping[str, str] = {} if request is None else request.headers
        for wanted in headers.get("accept-language", "").split(","):
            code = wanted.split(";")[0].strip()[:2].lower()
            if code in LANGUAGES:
                return cls(code)
        return cls()

    def __call__(self, key: str, **values: object) -> str:
        """A text with its places filled; whole numbers get their thousands marked."""
        return self.vformat(self._texts[key], (), values)

    def reason(self, reason: str) -> str:
        """A reason's sentence; as it is where it is known in English only, as those kept by an older version."""
        texts = REASONS.get(self.language, {})
        if isinstance(reason, Reason) and reason.code in texts:
            return self.vformat(texts[reason.code], (), reason.facts)
        return str(reason)

    def verdict(self, reason: str) -> str:
        """Why a file was skipped, or what of it is doubtful."""
        return VERDICTS[self.language](reason) if self.language in VERDICTS else reason

    def error(self, error: BaseException) -> str | None:
        """One sentence for any error of ours, None for a bug."""
        sentence, texts = explain(error), ERRORS.get(self.language)
        if sentence is None or texts is None:
            return sentence
        code = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in texts)
        return self.kept_error(sentence, code, vars(error))

    def kept_error(self, sentence: str, code: str | None, facts: Mapping[str, Any]) -> str:
        """An error that was written down: its English sentence where the class is not known here."""
        text = ERRORS.get(self.language, {}).get(code or "")
        return sentence if text is None else self.vformat(text, (), {"message": sentence, **facts})

    def format_field(self, value: Any, format_spec: str) -> str:
        """A place in a text: whole numbers with their thousands marked, others with a point; `gib`: bytes as GiB."""
        if format_spec == "gib":
            return f"{self.decimal(value / 2**30)} GiB"
        if type(value) is int:
            return self.number(value)
        return self.decimal(value) if type(value) is float else str(value)

    def number(self, value: object) -> str:
        """A whole number as the language writes it."""
        said = f"{value:,}"
        return said.replace(",", ".") if self.language == "de" else said

    def decimal(self, value: float, digits: int = 1) -> str:
        """A number with a point as the language writes it."""
        said = f"{value:,.{digits}f}"
        return said.translate(str.maketrans(",.", ".,")) if self.language == "de" else said

    def percent(self, share: float, digits: int = 0) -> str:
        """A share of one in percent."""
        return f"{self.decimal(100 * share, digits)}{' ' if self.language == 'de' else ''}%"
