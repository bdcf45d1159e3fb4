"""Tables of a batch: rows read from, and written as, JSON lines, CSV or Parquet."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from app.errors import OmnibusError

FORMATS = (".jsonl", ".csv", ".parquet")
NEED_PARQUET = "Parquet files need pyarrow. Install it with: pip install 'omnibus-rag[parquet]'"
TEXTS = ("id", "collection", "question", "answer", "mode", "finish_reason", "error")
COUNTS = ("index", "prompt_tokens", "answer_tokens")
SCORES = ("exact_match", "token_f1", "citation_precision")
PLACES = ("line_start", "line_end", "char_start", "char_end")


class BatchFileProblem(OmnibusError):
    """A file of questions or answers cannot be used."""


def check_format(path: Path) -> str:
    """The file's suffix; raises BatchFileProblem where it is none of FORMATS, or Parquet without pyarrow."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise BatchFileProblem(f"'{path}' must end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}.")
    if suffix == ".parquet":
        _parquet()
    return suffix


def read_rows(path: Path) -> list[Any]:
    """The rows as they stand, None where a line is no JSON; raises BatchFileProblem."""
    suffix = check_format(path)
    try:
        if suffix == ".parquet":
            return _parquet_rows(path)
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BatchFileProblem(f"'{path}' cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise BatchFileProblem(f"'{path}' is not UTF-8. Save it as UTF-8 and try again.") from None
    return list(_json_rows(text) if suffix == ".jsonl" else csv.DictReader(io.StringIO(text, newline="")))


def write_rows(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    """All rows of answers at once: the file is there whole or not at all."""
    draft = out.with_name(f"{out.name}.draft")
    suffix = check_format(out)
    if suffix == ".parquet":
        _write_parquet(draft, rows)
    else:
        with draft.open("w", encoding="utf-8", newline="") as file:
            if suffix == ".jsonl":
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            else:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows({**row, "citations": json.dumps(row["citations"], ensure_ascii=False)} for row in rows)
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
    draft.replace(out)


def _json_rows(text: str) -> Iterator[Any]:
    for line in text.split("\n"):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError:
                yield None


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise BatchFileProblem(NEED_PARQUET) from None
    return pyarrow.parquet


def _parquet_rows(path: Path) -> list[Any]:
    parquet = _parquet()
    from pyarrow import ArrowException

    try:
        rows: list[Any] = parquet.read_table(path).to_pylist()
    except ArrowException as error:
        raise BatchFileProblem(f"'{path}' is no Parquet file that can be read: {error}") from None
    return rows


def _write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Columns have the same types whatever the rows hold; citations are lists of structs."""
    parquet = _parquet()
    import pyarrow as pa

    text = ("quote", "document", "path", "page", "state")
    cited = pa.struct([*((name, pa.string()) for name in text), *((name, pa.int64()) for name in PLACES)])
    types = {
        **dict.fromkeys(TEXTS, pa.string()),
        **dict.fromkeys(COUNTS, pa.int64()),
        **dict.fromkeys(SCORES, pa.float64()),
        "citations": pa.list_(cited),
    }
    schema = pa.schema([(name, types[name]) for name in rows[0]])
    parquet.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)
