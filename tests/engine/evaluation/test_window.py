"""The effective window is where answers are right, not where they are as wrong as on short prompts."""

from __future__ import annotations

import pytest

from engine.evaluation.window import Window, window_of


@pytest.mark.parametrize(
    ("scores", "window"),
    [
        ([], Window(None, None)),
        ([(512, 0.0)], Window(None, None)),
        ([(512, 1.0), (1024, 0.95), (2048, 0.5)], Window(1024, 1024)),
        ([(512, 0.5), (1024, 0.5), (2048, 0.2)], Window(None, 1024)),  # half right, at any length, is no window
        ([(512, 1.0), (1024, 0.8), (2048, 1.0)], Window(512, 512)),  # luck beyond a failure does not count
        ([(512, 0.95), (1024, 0.88)], Window(512, 1024)),
    ],
)
def test_windows_of_hand_made_scores(scores: list[tuple[int, float]], window: Window) -> None:
    assert window_of(scores) == window
