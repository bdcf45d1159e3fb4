"""Batch files: questions in, answers out, and the journal in between that a killed run goes on from."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from app.batch import OnBatchProgress, Question, answer_batch
from app.errors import OmnibusError
from app.planner import ModeChoice
from engine.events import CancelToken
from engine.sampling import Sampling

if TYPE_CHECKING:
    from app.library import Library

FORMATS = (".jsonl", ".csv")


class BatchFileProblem(OmnibusError):
    """A file of questions or answers cannot be used."""


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
    drawn = sampling or Sampling(max_new_tokens=library.settings.max_new_tokens)
    _format(out)
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
            _write(out, rows)
            partial.unlink()
            Path(f"{partial}.lock").unlink(missing_ok=True)
    except Timeout:
        raise BatchFileProblem(f"Another run is writing '{out}'.") from None
    failed = sum(row["error"] is not None for row in rows)
    means = {key: _mean(rows, key) for key in ("exact_match", "token_f1", "citation_precision")}
    seconds = round(time.perf_counter() - started, 3)
    return BatchSummary(len(rows), len(rows) - failed, failed, resumed, seconds, **means)


def read_questions(path: Path, collection: str) -> list[Question]:
    """The questions of a .jsonl or .csv file: `question`, and where given `id`, `collection`, `reference`, `source`.

    A line that is no question becomes one with a fault, so that rows keep their places. Raises BatchFileProblem.
    """
    suffix = _format(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BatchFileProblem(f"'{path}' cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BatchFileProblem(f"'{path}' is not UTF-8. Save it as UTF-8 and try again.") from None
    rows = list(_json_rows(text) if suffix == ".jsonl" else csv.DictReader(io.StringIO(text, newline="")))
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


def _format(path: Path) -> str:
    if path.suffix.lower() not in FORMATS:
        raise BatchFileProblem(f"'{path}' must end in {' or '.join(FORMATS)}.")
    return path.suffix.lower()


def _json_rows(text: str) -> Iterator[Any]:
    for line in text.split("\n"):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError:
                yield None


def _question(index: int, row: Any, collection: str) -> Question:
    if isinstance(row, str):
        row = {"question": row}
    if not isinstance(row, dict) or not isinstance(row.get("question"), str):
        return Question(index, "", collection, fault="The row has no text under 'question'.")
    given = {key: str(row[key]) for key in ("id", "reference", "source") if row.get(key) not in (None, "")}
    return Question(index, row["question"], str(row.get("collection") or collection), **given)


def _identity(library: Library, questions: Sequence[Question], mode: ModeChoice, sampling: Sampling) -> str:
    """Digest of all that the answers depend on and that another start could change."""
    said = [[asdict(q) for q in questions], mode, asdict(sampling), library.settings.model, library.settings.policy]
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()


def _write(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    """All rows at once: the file is there whole or not at all."""
    draft = out.with_name(f"{out.name}.draft")
    with draft.open("w", encoding="utf-8", newline="") as file:
        if _format(out) == ".jsonl":
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        else:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows({**row, "citations": json.dumps(row["citations"], ensure_ascii=False)} for row in rows)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(out)


def _mean(rows: Sequence[dict[str, Any]], key: str) -> float | None:
    values = [row[key] for row in rows if row[key] is not None]
    return round(sum(values) / len(values), 4) if values else None
