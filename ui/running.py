"""Runs: answers in the making, each on a thread of its own, so that a reload of the page loses none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from app.answering.answer import Answer
from app.answering.stream import AnswerStream, Cancelled, Progress
from ui.chat_view import Dialogue
from ui.texts import Texts

GRACE_S = 20.0
"""How long an answer goes on being made that no page shows: a reload takes less."""


@dataclass(eq=False)
class Run:
    """One answer in the making for a dialogue; `version` grows with each change that a page should show."""

    dialogue: Dialogue
    question: str
    stream: AnswerStream
    say: Texts
    keep: Callable[[Answer], None]
    """Called with the answer when it is complete."""
    event: Progress | str | None = None
    version: int = 0
    done: bool = False
    _followers: set[str] = field(default_factory=set)
    _at: int = field(init=False)

    def __post_init__(self) -> None:
        self._at = self.dialogue.asked(self.question)

    def work(self) -> None:
        """Make the answer; what goes wrong becomes a sentence in its place. Raises what is a bug."""
        at, text = self._at, ""
        try:
            for event in self.stream.events():
                if isinstance(event, Answer):
                    self.dialogue.finish(at, self.question, event, self.say)
                    self.keep(event)
                else:
                    if isinstance(event, str):
                        text += event
                        self.dialogue.show(at, text)
                    self.event = event
                self.version += 1
        except Cancelled:
            self.dialogue.note(at, self.say("was_stopped"), text)
        except Exception as error:
            sentence = self.say.error(error)
            self.dialogue.note(at, sentence or self.say("bug"), text)
            if sentence is None:
                raise
        finally:
            self.done = True

    def follow(self, session: str) -> None:
        """A page shows it."""
        self._followers.add(session)

    def lose(self, session: str) -> None:
        """A page does not any more; where none does and none comes back in time, it is stopped."""
        self._followers.discard(session)
        if not self._followers and not self.done:
            timer = threading.Timer(GRACE_S, self._abandon)
            timer.daemon = True
            timer.start()

    def _abandon(self) -> None:
        if not self._followers:
            self.stream.cancel()


class Running:
    """Runs by the tab that asked; a tab has at most one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {}
        self._taken: dict[str, str] = {}

    def start(self, run: Run) -> None:
        """Begin a run, stopping the tab's one before."""
        self.stop(run.dialogue.tab)
        with self._lock:
            self._runs.pop(run.dialogue.tab, None)
            self._runs[run.dialogue.tab] = run
        threading.Thread(target=self._work, args=(run,), name="omnibus-run", daemon=True).start()

    def _work(self, run: Run) -> None:
        try:
            run.work()
        finally:
            with self._lock:
                if self._runs.get(run.dialogue.tab) is run:
                    del self._runs[run.dialogue.tab]

    def of(self, tab: str) -> Run | None:
        """What a tab waits for, if anything."""
        with self._lock:
            return self._runs.get(tab)

    def take(self, tab: str, question: str) -> bool:
        """Take a question, until it is given back; false for a second click: it is taken, being answered, or empty by
        then."""
        run = self.of(tab)
        with self._lock:
            before = self._taken.get(tab) or (run.question if run else None)
            if before is not None and question.strip() in ("", before.strip()):
                return False
            self._taken[tab] = question
            return True

    def give_back(self, tab: str) -> None:
        """Its answer is in the making, or will not be."""
        with self._lock:
            self._taken.pop(tab, None)

    def stop(self, tab: str) -> None:
        """Stop what a tab waits for, if anything."""
        if (run := self.of(tab)) is not None:
            run.stream.cancel()

    def lose(self, session: str) -> None:
        """A page is gone."""
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            run.lose(session)
