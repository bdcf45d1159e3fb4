"""Models to choose from, and what each would mean for a corpus: it fits, needs more memory, or needs retrieval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engine.hardware import pick_device
from engine.kv.memory_plan import free_memory
from engine.models.outlook import Outlook, fetched, outlook

if TYPE_CHECKING:
    from app.library import Library

Verdict = Literal["fits", "needs_gb", "needs_retrieval", "unknown"]
SPARE = 1.1
"""Of weights and KV, about, with what prefill works with; the engine's own plan is exact, but asks a loaded model."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model as the settings name it; bytes for its weights and the corpus' KV, and bytes that are free for it."""

    source: str
    name: str
    verdict: Verdict
    needs_bytes: int = 0
    free_bytes: int = 0
    effective_window: int = 0


def model_choices(library: Library, tokens: int) -> list[ModelChoice]:
    """The models on this machine and the one that is set, for a prompt of so many tokens."""
    home, chosen = library.settings.home, library.settings.model
    sources = dict.fromkeys([*fetched(home), chosen])
    memory = free_memory(pick_device(library.settings.device))
    free = max(memory.device, memory.host)
    looks = {source: outlook(source, home) for source in sources}
    if library.loaded and (mine := looks[chosen]) is not None:
        free += mine.weight_bytes  # the loaded one goes before another comes
    return [_choice(source, look, tokens, free) for source, look in looks.items()]


def _choice(source: str, look: Outlook | None, tokens: int, free: int) -> ModelChoice:
    if look is None:
        return ModelChoice(source, source, "unknown")
    read = min(tokens, look.effective_window)
    needs = int((look.weight_bytes + read * look.kv_bytes_per_token) * SPARE)
    verdict: Verdict = "fits" if tokens <= look.effective_window else "needs_retrieval"
    return ModelChoice(source, look.name, "needs_gb" if needs > free else verdict, needs, free, look.effective_window)
