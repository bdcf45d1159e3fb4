"""Errors that a person can act on: one sentence that says what is wrong and what to do."""

from __future__ import annotations


class OmnibusError(Exception):
    """Base of the app's errors; `message` is the sentence for the person."""

    exit_code = 1

    @property
    def message(self) -> str:
        """What to show."""
        return str(self)


class NoSuchCollection(OmnibusError):
    """A collection of that name was never made."""

    def __init__(self, name: str, known: list[str]) -> None:
        self.name = name
        have = f"There are: {', '.join(known)}." if known else "There is none yet."
        super().__init__(f"There is no collection '{name}'. {have} Add documents with: omnibus add PATH")


class EmptyCollection(OmnibusError):
    """Nothing in the collection has text."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"The collection '{name}' holds no readable document. Add some with: omnibus add PATH")


class NothingToAsk(OmnibusError):
    """No document states a number or a name that occurs only once, so no question can be made of them."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"The documents of '{name}' state no number or name that occurs only once: nothing can be asked of them. "
            "Add more documents with: omnibus add PATH"
        )


class NoSuchConversation(OmnibusError):
    """No conversation of this collection has that number."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"There is no conversation {number} here (any more).")


class NotAllowed(OmnibusError):
    """A user's role does not cover what was asked for."""

    def __init__(self, user: str) -> None:
        self.user = user
        super().__init__(f"'{user}' may read here, not add, change or delete. Ask an administrator.")


class UserProblem(OmnibusError):
    """A user of that name cannot be made, found or changed."""


class NoSuchDocument(OmnibusError):
    """A document is not (or no longer) in the collection."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"There is no document '{name}' in this collection. See: omnibus ls")


class NotAnswerable(OmnibusError):
    """The question itself cannot be taken."""


class EmptyQuestion(NotAnswerable):
    """Nothing was asked."""

    def __init__(self) -> None:
        super().__init__("The question is empty. Ask something about the documents.")


class UploadTooLarge(OmnibusError):
    """An uploaded file exceeds the limit."""

    def __init__(self, name: str, limit_mb: int) -> None:
        self.name, self.limit_mb = name, limit_mb
        super().__init__(f"'{name}' is larger than {limit_mb} MB. Raise OMNIBUS_MAX_UPLOAD_MB to take it.")


class AlreadyWatched(OmnibusError):
    """Another process watches for this collection."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Collection '{name}' is being watched already. See: omnibus watch --status -c {name}")


class SparseMissing(OmnibusError):
    """Sparse vectors are asked for, and their library is not installed."""

    def __init__(self) -> None:
        super().__init__("OMNIBUS_SPARSE needs pyseismic-lsr. Run: pip install 'omnibus-rag[sparse]', or unset it.")


class NotARule(OmnibusError):
    """A pattern that cannot be a rule, or is none of the collection's."""


class NoSuchSnapshot(OmnibusError):
    """No answer was made from a snapshot of that hash, or it was forgotten."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no snapshot '{name}' of this collection. See: omnibus snapshots ls -c COLLECTION")


class SnapshotIncomplete(OmnibusError):
    """Documents of a snapshot were deleted, and deleting is for good."""

    def __init__(self, name: str, paths: list[str]) -> None:
        self.paths = paths
        shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
        super().__init__(f"Snapshot '{name}' cannot be had again: {shown} was deleted since. Ask the question anew.")


class NoSuchJob(OmnibusError):
    """A job of that number was never started, or was forgotten."""

    def __init__(self, number: int) -> None:
        super().__init__(f"There is no job {number}. See: omnibus jobs ls")


class JobRunning(OmnibusError):
    """A job is being worked on by a process already."""

    def __init__(self, number: int) -> None:
        super().__init__(f"Job {number} is running already. Stop it with: omnibus jobs cancel {number}")


def explain(error: BaseException) -> str | None:
    """One sentence for any error of ours, None for a bug (which deserves its traceback)."""
    from engine.errors import EngineError
    from ingest.errors import IngestError

    if isinstance(error, OmnibusError | EngineError | IngestError):
        return str(error)
    return None
