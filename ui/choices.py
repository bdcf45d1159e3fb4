"""Choices: how a person wants questions to be answered, from the settings' components."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.answering.answer import Guidance, Turn
from app.answering.stream import Sampling
from app.planning.planner import ModeChoice

LANGUAGES = {"Deutsch": "German", "English": "English", "Español": "Spanish", "Français": "French", "中文": "Chinese"}
"""Languages for answers: as they call themselves, and as the model is told."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Reading mode, the language to answer in ("" is the question's), and how tokens are drawn."""

    mode: ModeChoice
    language: str
    sampling: Sampling

    @classmethod
    def of(
        cls, mode: ModeChoice, language: str | None, temperature: float, max_tokens: float, seed: str | None
    ) -> Choices:
        """From the components' values, in the order of SettingsPanel.asking."""
        sampling = Sampling(
            temperature=float(temperature),
            max_new_tokens=max(1, int(max_tokens)),
            seed=int(seed) if seed and seed.strip().isdecimal() else None,
        )
        return cls(mode, language or "", sampling)

    def again(self, least: float) -> Choices:
        """The same, but drawn anew: at least at that temperature, with no seed."""
        drawn = replace(self.sampling, temperature=max(self.sampling.temperature, least), seed=None)
        return replace(self, sampling=drawn)

    def history(self, turns: list[Turn]) -> list[Turn]:
        """Earlier turns, and the language as the model is told it."""
        if not self.language:
            return list(turns)
        return [*turns, Guidance(f"Answer in {LANGUAGES[self.language]}.")]
