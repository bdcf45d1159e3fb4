"""Models to choose from say whether a corpus fits them, and another can be taken while the library is open."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.library import Library
from app.planning.models import model_choices
from engine.errors import UnknownPolicy


def test_the_default_model_fits_a_small_corpus_and_needs_retrieval_for_a_large_one(library: Library) -> None:
    (small,) = [m for m in model_choices(library, 1000) if m.source == "default"]
    assert (small.name, small.verdict, small.effective_window) == ("smollm2-135m-reader", "fits", 16384)
    weights, kv_of_a_token = 269_060_552, 2 * 30 * 3 * 64 * 2
    assert small.needs_bytes == int((weights + 1000 * kv_of_a_token) * 1.1)
    (large,) = [m for m in model_choices(library, 20_000) if m.source == "default"]
    assert large.verdict == "needs_retrieval"


def test_what_is_not_here_is_unknown_and_what_is_too_large_says_so(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.kv.memory_plan import Memory

    library.settings.model = "nobody/nothing-here"
    monkeypatch.setattr("app.planning.models.free_memory", lambda device: Memory(100 << 20, 0))
    found = {m.source: m.verdict for m in model_choices(library, 1000)}
    assert found["nobody/nothing-here"] == "unknown"
    assert found["default"] == "needs_gb"


def test_another_model_answers_from_the_next_question_on(library: Library, random_models: dict[str, Path]) -> None:
    notes = library.collection("notes")
    notes.add_bytes("a.md", b"# A\n\nThe roof carries 18 panels.\n")
    assert notes.ask("How many panels?", max_new_tokens=2).stats.policy == "auto"
    library.use(policy="streaming")
    assert notes.ask("How many panels?", max_new_tokens=2).stats.policy == "streaming"
    with pytest.raises(UnknownPolicy):
        library.use(policy="guess")
    assert library.settings.policy == "streaming"
    library.use(model=str(random_models["llama"]))
    assert not library.loaded
    notes.ask("How many panels?", max_new_tokens=2)
    assert library.engine.model.name == random_models["llama"].name
