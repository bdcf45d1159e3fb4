"""Streaming detokenisation: text grows by whole characters only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

UNFINISHED = "\ufffd"


class Detokenizer:
    """Feeds tokens in, gives out the text that is certain: no half character, nothing a stop string may swallow."""

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: tuple[str, ...] = ()) -> None:
        self._decode, self._stop = decode, tuple(s for s in stop if s)
        self._ids: list[int] = []
        self._window, self._read = 0, 0  # tokens from _window on are decoded together; up to _read are out
        self._pending = ""
        self.stopped = False

    def push(self, token: int) -> str:
        """Add a token; returns the text that became certain (often one piece, sometimes empty)."""
        self._ids.append(token)
        before = self._decode(self._ids[self._window : self._read])
        text = self._decode(self._ids[self._window :])
        if text.endswith(UNFINISHED):
            return ""
        self._window, self._read = self._read, len(self._ids)
        return self._release(text[len(before) :])

    def flush(self) -> str:
        """The rest, at the end of the generation."""
        before = self._decode(self._ids[self._window : self._read])
        tail = self._decode(self._ids[self._window :])[len(before) :].rstrip(UNFINISHED)
        text = self._release(tail)
        if self.stopped:
            return text
        rest, self._pending = self._pending, ""
        return text + rest

    def _release(self, piece: str) -> str:
        """Hold back what could still become a stop string; cut at one that is complete."""
        text = self._pending + piece
        cuts = [text.find(s) for s in self._stop if s in text]
        if cuts:
            self.stopped, self._pending = True, ""
            return text[: min(cuts)]
        held = max((_overlap(text, s) for s in self._stop), default=0)
        self._pending = text[len(text) - held :]
        return text[: len(text) - held]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if stop.startswith(text[-n:])), 0)
