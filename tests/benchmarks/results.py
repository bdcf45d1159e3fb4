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
        found = [row for row in self.all_of(file)["rows"] if all(row.get(key) == value for key, value in said.items())]
        if not found:
            raise KeyError(f"{file}.json has no row with {said}")
        return found

    def all_of(self, file: str) -> Row:
        """A whole file."""
        made: Row = json.loads((self.folder / f"{file}.json").read_text(encoding="utf-8"))
        return made

    def about(self, file: str, part: str | None = None) -> Row:
        """What a file, or a part of it, says of the machine, the versions and the command that made it."""
        made: Row = self.all_of(file)[part] if part else self.all_of(file)
        environment = made.get("environment", {})
        return {key: value for key, value in {**made, **environment}.items() if not isinstance(value, dict)}

    def part(self, file: str, name: str) -> list[Row]:
        """The rows of a file's part: another device's, measured apart."""
        found: list[Row] = self.all_of(file)[name]["rows"]
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
