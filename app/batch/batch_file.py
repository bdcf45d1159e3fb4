"""Batch files: questions in, answers out, and the journal in between that a killed run goes on from."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from app.batch.batch import answer_batch
from app.batch.batch_answer import Question
from app.batch.batch_progress import OnBatchProgress
from app.batch.batch_table import BatchFileProblem, check_format, read_rows, write_rows
from app.planning.planner import ModeChoice
from engine.decode.sampling import Sampling
from engine.events import CancelToken

if TYPE_CHECKING:
    from app.library import Library


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """What a run came to. Seconds of this run; means over the rows that have the figure, null where none has."""

    questions: int
    answered: int
    failed: int
    resumed: int
    seconds: float
    exact_match: float | None
    token_f1: float | None
    citation_precision: float | None


def run_batch(
    library: Library,
    questions: Path,
    out: Path,
    *,
    collection: str = "default",
    mode: ModeChoice = "auto",
    sampling: Sampling | None = None,
    on_progress: OnBatchProgress | None = None,
    cancel: CancelToken | None = None,
) -> BatchSummary:
    """Answer a file of questions into a file of answers, in the questions' order.

    Every answer is on disk (in OUT.partial, one JSON object a line) before the next is waited for, so a run that was
    killed goes on where it stopped when it is started again. Raises BatchFileProblem, Cancelled, …
    """
    started = time.perf_counter()
    asked = read_questions(questions, collection)
    drawn = library.settings.drawn(sampling)
    check_format(out)
    partial = out.with_name(f"{out.name}.partial")
    if out.exists() and not partial.exists():
        raise BatchFileProblem(f"'{out}' exists already. Move it away or choose another --out.")
    try:
        with FileLock(f"{partial}.lock", timeout=0):
            journal = Journal(partial, _identity(library, asked, mode, drawn))
            resumed = len(journal.rows)
            skip = frozenset(journal.rows)
            for answer in answer_batch(
                library, asked, mode=mode, sampling=drawn, skip=skip, on_progress=on_progress, cancel=cancel
            ):
                journal.add(answer.to_dict())
            journal.close()
            rows = [journal.rows[q.index] for q in asked]
            write_rows(out, rows)
            partial.unlink()
            Path(f"{partial}.lock").unlink(missing_ok=True)
    except Timeout:
        raise BatchFileProblem(f"Another run is writing '{out}'.") from None
    failed = sum(row["error"] is not None for row in rows)
    means = {key: _mean(rows, key) for key in ("exact_match", "token_f1", "citation_precision")}
    seconds = round(time.perf_counter() - started, 3)
    return BatchSummary(len(rows), len(rows) - failed, failed, resumed, seconds, **means)


def read_questions(path: Path, collection: str) -> list[Question]:
    """The questions of a file: `question`, and where given `id`, `collection`, `reference`, `source`.

    A line that is no question becomes one with a fault, so that rows keep their places. Raises BatchFileProblem.
    """
    rows = read_rows(path)
    if not rows:
        raise BatchFileProblem(f"'{path}' holds no question.")
    return [_question(index, row, collection) for index, row in enumerate(rows)]


class Journal:
    """Answers so far, by index; a line that a kill cut short is dropped when the file is opened again."""

    def __init__(self, path: Path, identity: str) -> None:
        self.rows: dict[int, dict[str, Any]] = {}
        sound = 0
        if path.exists():
            sound = self._load(path, identity)
        self._file = path.open("r+b" if sound else "wb")
        self._file.truncate(sound)
        self._file.seek(sound)
        if not sound:
            self._append({"run": identity})

    def _load(self, path: Path, identity: str) -> int:
        """Read the whole lines; returns how many bytes they take."""
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        if not whole:
            return 0
        header, *rows = whole.split(b"\n")
        if json.loads(header).get("run") != identity:
            raise BatchFileProblem(
                f"'{path}' holds answers of another run (other questions or settings). Move it away to start anew."
            )
        for line in rows:
            row = json.loads(line)
            self.rows[row["index"]] = row
        return len(whole) + 1

    def add(self, row: dict[str, Any]) -> None:
        """Put a row on disk."""
        self._append(row)
        self.rows[row["index"]] = row

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _append(self, value: dict[str, Any]) -> None:
        self._file.write(json.dumps(value, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def _question(index: int, row: Any, collection: str) -> Question:
    if isinstance(row, str):
        row = {"question": row}
    if not isinstance(row, dict) or not isinstance(row.get("question"), str):
        return Question(index, "", collection, fault="The row has no text under 'question'.")
    given = {key: str(row[key]) for key in ("id", "reference", "source") if row.get(key) not in (None, "")}
    return Question(index, row["question"], str(row.get("collection") or collection), **given)


def _identity(library: Library, questions: Sequence[Question], mode: ModeChoice, sampling: Sampling) -> str:
    """Digest of all that the answers depend on and that another start could change."""
    s = library.settings
    said = [[asdict(q) for q in questions], mode, asdict(sampling), s.model, s.policy]
    said += [s.generator_url, s.generator_model] if s.generator_url else []
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()


def _mean(rows: Sequence[dict[str, Any]], key: str) -> float | None:
    values = [row[key] for row in rows if row[key] is not None]
    return round(sum(values) / len(values), 4) if values else None
