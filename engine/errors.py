"""What can go wrong in the engine; each error is one sentence for the person, with the facts as attributes."""

from __future__ import annotations

from pathlib import Path


class EngineError(Exception):
    """Base of every error of this package."""


class ModelNotFound(EngineError):
    """No model of that name can be had."""

    def __init__(self, source: str, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(
            f"No model '{source}': {reason} Give a hub id, a folder with config.json, a .gguf file, or 'default'."
        )


class ModelLoadError(EngineError):
    """The model's files are there but cannot be used."""

    def __init__(self, source: str, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(f"The model '{source}' cannot be loaded: {reason}")


class DownloadFailed(EngineError):
    """A pinned download did not arrive, or arrived as something else."""

    def __init__(self, what: str, reason: str) -> None:
        self.what, self.reason = what, reason
        super().__init__(f"{what} could not be fetched: {reason}")


class PromptTooLong(EngineError):
    """The prompt and the room for its answer exceed the model's window."""

    def __init__(self, tokens: int, window: int) -> None:
        self.tokens, self.window = tokens, window
        super().__init__(
            f"The prompt needs {tokens:,} tokens and the model's window is {window:,}. "
            "Use mode 'packed', remove documents, or choose a model with a larger window."
        )


class Cancelled(EngineError):
    """The caller's CancelToken was set."""

    def __init__(self) -> None:
        super().__init__("Stopped.")


class DoesNotFit(EngineError):
    """Neither the device nor the host has room for a prompt's KV."""

    def __init__(self, tokens: int, device: int, device_free: int, host: int, host_free: int) -> None:
        self.tokens, self.device, self.device_free, self.host, self.host_free = (
            tokens, device, device_free, host, host_free,
        )  # fmt: skip
        gib = 2**30
        beside = f", and {host / gib:.1f} GiB of host memory ({host_free / gib:.1f} GiB are free)" if host else ""
        super().__init__(
            f"{tokens:,} tokens need at least {device / gib:.1f} GiB of device memory ({device_free / gib:.1f} GiB are "
            f"free){beside}. Use mode 'packed', remove documents, or take a smaller model or a larger device."
        )


class HostMemoryRefused(EngineError):
    """The system gave no pinned host memory."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(
            f"The system refused {size / 2**30:.1f} GiB of pinned host memory. Free memory, raise the limit of locked "
            "memory (ulimit -l), or load a smaller corpus."
        )


class StoreError(EngineError):
    """The session store cannot do what was asked."""


class CorruptChunk(StoreError):
    """A chunk file does not hold what was saved."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"The KV chunk {path.name} is damaged ({reason}); it was set aside.")


class PatternFileError(EngineError):
    """A pattern file does not say, for this model, what each head attends to."""

    def __init__(self, source: str, entry: str, reason: str) -> None:
        self.source, self.entry, self.reason = source, entry, reason
        super().__init__(f"The pattern file {source} cannot be used: {entry} {reason}.")


class UnknownPolicy(EngineError):
    """No sparse policy has that name, or it takes no such parameter."""

    def __init__(self, spec: str, reason: str) -> None:
        self.spec, self.reason = spec, reason
        super().__init__(f"No policy '{spec}': {reason}")
