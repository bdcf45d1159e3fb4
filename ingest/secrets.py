"""Secrets: credentials found by their form and masked in place, so that neither prompt, index nor KV holds them.

A mask is as long as what it hides and keeps line ends, so lines, pages and offsets stay those of the file. Which
scanner looks is one choice for the process (`use`); what each finds, and takes for a secret, is measured by
`python -m tests.benchmarks.secrets`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from ingest.document import Verdict
from ingest.errors import ScannerMissing

LISTED = 5
"""So many are named with their line; the rest are counted."""

ScannerName = Literal["patterns", "detect-secrets"]


@dataclass(frozen=True, slots=True)
class Secret:
    """Characters start..end of a text and what they seem to be."""

    kind: str
    start: int
    end: int


class SecretScanner(Protocol):
    """Finds credentials in the text of a file; must not ask anybody else about them."""

    def find(self, text: str, path: str) -> Sequence[Secret]:
        """Credentials in order, none over another; the path tells what kind of file it is."""


def use(name: ScannerName) -> None:
    """Have this process look for secrets by our own patterns or by bc-detect-secrets (extra `secrets`).

    Raises ScannerMissing.
    """
    global _scanner
    _scanner = _make(name)


def redact(text: str, verdict: Verdict, path: str = "", scanner: SecretScanner | None = None) -> tuple[str, Verdict]:
    """The text with every secret masked, and a verdict that lists kinds and lines."""
    secrets = (scanner or _chosen()).find(text, path)
    if not secrets:
        return text, verdict
    parts, at = [], 0
    for secret in secrets:
        parts += [text[at : secret.start], re.sub(r"[^\n]", "*", text[secret.start : secret.end])]
        at = secret.end
    named = [f"{s.kind} in line {text.count(chr(10), 0, s.start) + 1}" for s in secrets[:LISTED]]
    more = f", and {len(secrets) - LISTED} more" if len(secrets) > LISTED else ""
    told = f"secrets redacted: {', '.join(named)}{more}"
    reason = f"{verdict.reason}; {told}" if verdict.reason else told
    return "".join([*parts, text[at:]]), replace(verdict, reason=reason)


def apart(found: Iterable[Secret]) -> list[Secret]:
    """In order, and of those that overlap only the first."""
    out: list[Secret] = []
    for secret in sorted(found, key=lambda s: (s.start, -s.end)):
        if not out or secret.start >= out[-1].end:
            out.append(secret)
    return out


_scanner: SecretScanner | None = None


def _chosen() -> SecretScanner:
    global _scanner
    if _scanner is None:
        _scanner = _make("patterns")
    return _scanner


def _make(name: ScannerName) -> SecretScanner:
    if name == "patterns":
        from ingest.secret_patterns import SecretPatterns

        return SecretPatterns()
    try:
        from ingest.detect_secrets_scanner import DetectSecrets
    except ImportError as error:
        raise ScannerMissing from error
    return DetectSecrets()
