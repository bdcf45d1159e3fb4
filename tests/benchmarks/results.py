"""Results: rows of data/results found by what they say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Results:
    """The JSON files of a folder."""

    folder: Path

    def rows(self, file: str, **said: Any) -> list[Row]:
        """Every row of a file that says all of this; raises KeyError where none does."""
        every: list[Row] = json.loads((self.folder / f"{file}.json").read_text(encoding="utf-8"))["rows"]
        found = [row for row in every if all(row.get(key) == value for key, value in said.items())]
        if not found:
            raise KeyError(f"{file}.json has no row with {said}")
        return found

    def part(self, file: str, name: str) -> list[Row]:
        """The rows of a file's part: another device's, measured apart."""
        found: list[Row] = json.loads((self.folder / f"{file}.json").read_text(encoding="utf-8"))[name]["rows"]
        return found

    def row(self, file: str, **said: Any) -> Row:
        """The only row that says this; raises KeyError where there is none, or more than one."""
        found = self.rows(file, **said)
        if len(found) > 1:
            raise KeyError(f"{file}.json has {len(found)} rows with {said}")
        return found[0]

    def middle(self, file: str, key: str, **said: Any) -> Row:
        """Of repeated runs, the one whose `key` is the median."""
        found = sorted(self.rows(file, **said), key=lambda row: float(row[key]))
        return found[len(found) // 2]
