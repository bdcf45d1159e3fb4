"""The page's texts: every language says everything, with the same places to fill."""

from __future__ import annotations

from string import Formatter

import pytest

from ui.texts import LANGUAGES, Texts


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_a_language_has_every_text_with_the_same_places(language: str) -> None:
    assert LANGUAGES[language].keys() == LANGUAGES["en"].keys()
    differing = [key for key, text in LANGUAGES["en"].items() if places(text) != places(LANGUAGES[language][key])]
    assert differing == []


def test_numbers_are_written_as_the_language_does() -> None:
    assert Texts("en")("of_tokens", tokens=12345) == "12,345 tokens"
    assert Texts("de")("of_tokens", tokens=12345) == "12.345 Token"
    assert Texts("de").decimal(1234.5) == "1.234,5"
    assert Texts("de").percent(0.125, 1) == "12,5 %"
