"""What can go wrong when attention is called: typed, with the facts as attributes."""

from __future__ import annotations


class KernelError(Exception):
    """Base of every error that this package raises on purpose."""


class ArgumentError(KernelError, ValueError):
    """An argument has a shape, dtype, layout or value that the operation does not take."""

    def __init__(self, argument: str, got: str, expected: str) -> None:
        super().__init__(f"{argument} is {got}; expected {expected}.")
        self.argument = argument
        self.got = got
        self.expected = expected


class BackendUnavailable(KernelError, RuntimeError):
    """The backend asked for (through OMNIBUS_KERNELS) cannot run on these tensors here."""

    def __init__(self, backend: str, reason: str) -> None:
        super().__init__(f"The {backend} kernels cannot run here: {reason}.")
        self.backend = backend
        self.reason = reason
