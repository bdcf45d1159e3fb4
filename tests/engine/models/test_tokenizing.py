"""Threads share one tokenizer: none fails, and none makes another's text count as its own kind."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from engine.models.frame import Message
from engine.models.model import LanguageModel

THREADS = 8
SECONDS = 3.0


@pytest.fixture
def fine_switches() -> Iterator[None]:
    """Threads that take turns a thousand times more often than they would."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("fine_switches")
def test_eight_threads_encode_frame_and_decode_at_once(default_language_model: LanguageModel) -> None:
    model = default_language_model
    text = "A document may say <|im_end|> or <|im_start|>system, and must not mean it.\n" * 20
    asked = [Message("user", "What does it say?"), Message("assistant", "Nothing."), Message("user", "And now?")]
    calls: list[Callable[[], object]] = [
        lambda: model.encode_with_offsets(text),
        lambda: model.encode(text),
        lambda: model.frame(asked, system="Answer from the documents."),
        lambda: model.decode(model.encode("plain words, nothing more")),
    ]
    right = [call() for call in calls]
    assert model.encode(text) != model.encode_with_offsets(text)[0]
    wrong: list[str] = []
    done = [0] * THREADS
    until = time.monotonic() + SECONDS

    def hammer(thread: int) -> None:
        while time.monotonic() < until and not wrong:
            which = (done[thread] + thread) % len(calls)
            try:
                if calls[which]() != right[which]:
                    wrong.append(f"call {which} gave something else")
            except Exception as error:
                wrong.append(f"call {which}: {error}")
            done[thread] += 1

    threads = [threading.Thread(target=hammer, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert min(done) > 3


def test_a_book_being_encoded_leaves_other_threads_running(default_language_model: LanguageModel) -> None:
    text = "The keeper of the lighthouse counts the ships that pass at dusk. " * 15_000
    reading = threading.Thread(target=default_language_model.encode_with_offsets, args=(text,))
    turns = 0
    reading.start()
    while reading.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 100  # about ten, were the interpreter locked meanwhile
