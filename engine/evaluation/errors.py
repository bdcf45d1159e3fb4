"""What can go wrong in an evaluation."""

from __future__ import annotations

from pathlib import Path

from engine.errors import EngineError


class EvaluationError(EngineError):
    """Base of this package's errors."""


class UnknownSuite(EvaluationError):
    """No suite or group of suites has that name."""

    def __init__(self, name: str, known: list[str]) -> None:
        self.name = name
        super().__init__(f"No suite '{name}': known are {', '.join(known)}.")


class OtherRun(EvaluationError):
    """The folder holds the results of another model or of other settings."""

    def __init__(self, folder: Path, what: str, there: object, here: object) -> None:
        self.folder, self.what = folder, what
        super().__init__(
            f"{folder} holds a run with another {what} ({there}, not {here}). Give another folder, or remove it."
        )


class NoStoreHere(EvaluationError):
    """A restored variant was asked for where the session store's packages are missing."""

    def __init__(self, variant: str, missing: str) -> None:
        self.variant = variant
        super().__init__(
            f"'{variant}' needs the session store, and this Python lacks {missing}: pip install {missing}."
        )


class BadSample(EvaluationError):
    """A line of a benchmark's file is not in its format."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        self.path, self.line = path, line
        super().__init__(f"{path.name}, line {line}: {reason}.")


class UnknownFormat(EvaluationError):
    """No loader has that name."""

    def __init__(self, name: str, known: list[str]) -> None:
        self.name = name
        super().__init__(f"No format '{name}': known are {', '.join(known)}.")


class EmptyFile(EvaluationError):
    """A benchmark's file holds no sample, or none that is short enough."""

    def __init__(self, path: Path, longest: int | None = None) -> None:
        self.path, self.longest = path, longest
        what = "no sample" if longest is None else f"no sample of {longest:,} tokens or less: give a larger --longest"
        super().__init__(f"{path.name} holds {what}.")
