"""Record: what one variant made of one task; a run's records stand in a file that a later run goes on with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.evaluation.errors import OtherRun

RUN, RECORDS = "run.json", "records.jsonl"


@dataclass(frozen=True, slots=True)
class Record:
    """Scores and answers per question; times in seconds; `nll` in nats over `scored` tokens of real text.

    `choices` are the likeliest tokens, and `surprise` the negative log-likelihoods, at each place of what was read with
    dense attention's own answers (or with the continuation); `density` and `kept` are null where nothing was left out.
    """

    suite: str
    length: int
    round: int
    variant: str
    tokens: int
    factor: float
    ttft: float
    prefill: float
    density: float | None
    kept: float | None
    cached: int
    scores: list[float]
    depths: list[float | None]
    answers: list[str]
    choices: list[int]
    surprise: list[float]
    nll: float | None

    @property
    def key(self) -> tuple[str, int, int, str]:
        """Which record of a run this is."""
        return self.suite, self.length, self.round, self.variant


class Ledger:
    """The records of a folder; one that was cut off while written is left out and made again."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        """`about` tells what must be the same for records to belong together; raises OtherRun."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        head = folder / RUN
        if head.is_file():
            there = json.loads(head.read_text(encoding="utf-8"))
            for what, value in about.items():
                if there.get(what) != value:
                    raise OtherRun(folder, what, there.get(what), value)
        else:
            head.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        self._records = {record.key: record for record in self._read()}
        with self._path.open("w", encoding="utf-8") as stream:
            stream.writelines(_line(record) for record in self._records.values())

    @property
    def _path(self) -> Path:
        return self._folder / RECORDS

    def _read(self) -> Iterator[Record]:
        if not self._path.is_file():
            return
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                yield Record(**json.loads(line))
            except (ValueError, TypeError):
                continue

    def add(self, record: Record) -> None:
        """Keep a record, on disk before this returns."""
        self._records[record.key] = record
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(_line(record))

    def get(self, key: tuple[str, int, int, str]) -> Record | None:
        """The record of that key, if it was made."""
        return self._records.get(key)

    @property
    def records(self) -> list[Record]:
        """All so far."""
        return list(self._records.values())


def _line(record: Record) -> str:
    return json.dumps(asdict(record), ensure_ascii=False) + "\n"
