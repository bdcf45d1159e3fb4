"""Running: the answer in the making of each browser session, so that Stop finds it."""

from __future__ import annotations

import threading

from app.stream import AnswerStream


class Running:
    """Streams by session; a session has at most one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[str, AnswerStream] = {}

    def start(self, session: str, stream: AnswerStream) -> None:
        """Remember a session's stream, stopping one that still runs."""
        with self._lock:
            before = self._streams.get(session)
            self._streams[session] = stream
        if before is not None:
            before.cancel()

    def stop(self, session: str) -> None:
        """Stop what the session is waiting for, if anything."""
        with self._lock:
            stream = self._streams.get(session)
        if stream is not None:
            stream.cancel()

    def end(self, session: str, stream: AnswerStream) -> None:
        """Forget a stream that is done."""
        with self._lock:
            if self._streams.get(session) is stream:
                del self._streams[session]
