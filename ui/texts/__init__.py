"""Texts of the page, one file a language; Gradio shows labels by the browser's language, we the rest by its request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from ui.texts import de, en

LANGUAGES: dict[str, dict[str, str]] = {"en": en.TEXTS, "de": de.TEXTS}
_MARK = "omnibus_"
"""Before each key: Gradio shows the text of a key wherever its name stands, also where that is a collection's name."""
I18N = gr.I18n(**{name: {_MARK + key: text for key, text in LANGUAGES[name].items()} for name in LANGUAGES})


def label(key: str) -> Any:
    """A component's text by its key, in the browser's language."""
    return I18N(_MARK + key)


class Texts:
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
        return self._texts[key].format(**{k: self.number(v) if type(v) is int else v for k, v in values.items()})

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
