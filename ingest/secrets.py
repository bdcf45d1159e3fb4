"""Secrets: credentials found by their form and masked in place, so that neither prompt, index nor KV holds them.

A mask is as long as what it hides and keeps line ends, so lines, pages and offsets stay those of the file. The patterns
are the issuers' published key formats, and assignments whose value looks random; any function str -> [Secret] can stand
in for `find`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ingest.document import Verdict

LISTED = 5
"""So many are named with their line; the rest are counted."""
BITS = 3.3
"""Random keys have more bits a character; words and paths have fewer."""
KINDS = {
    "private key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----\n(?P<secret>[\s\S]{40,20000}?)\n-----END ",
    "AWS access key": r"\b(?P<secret>(?:AKIA|ASIA)[A-Z2-7]{16})\b",
    "GitHub token": r"\b(?P<secret>gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})\b",
    "GitLab token": r"\b(?P<secret>glpat-[\w-]{20,})",
    "Slack token": r"\b(?P<secret>xox[abprs]-[A-Za-z0-9-]{20,})",
    "Google API key": r"\b(?P<secret>AIza[\w-]{35})(?![\w-])",
    "Stripe key": r"\b(?P<secret>[sr]k_live_[A-Za-z0-9]{20,})",
    "OpenAI or Anthropic key": r"\b(?P<secret>sk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_-]{32,})",
    "Hugging Face token": r"\b(?P<secret>hf_[A-Za-z]{34})\b",
    "npm token": r"\b(?P<secret>npm_[A-Za-z0-9]{36})\b",
    "PyPI token": r"\b(?P<secret>pypi-AgEIcHlwaS5vcmc[\w-]{50,})",
    "JSON web token": r"\b(?P<secret>eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,})",
}
RANDOM = {
    "password in a URL": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"]{1,64}:(?P<secret>[^\s/:@'\"]{8,128})@",
    "assigned secret": (
        r"(?i:secret|password|passwd|api_?key|auth_?token|access_?token)[\w-]{0,20}[\"']?\s{0,4}[:=]\s{0,4}"
        r"[\"'](?P<secret>[A-Za-z0-9+/=_\-.~!@#$%^&*]{16,200})[\"']"
    ),
}
SURE = {kind: re.compile(pattern) for kind, pattern in KINDS.items()}
LIKELY = {kind: re.compile(pattern) for kind, pattern in RANDOM.items()}


@dataclass(frozen=True, slots=True)
class Secret:
    """Characters start..end of a text and what they seem to be."""

    kind: str
    start: int
    end: int


Detector = Callable[[str], Sequence[Secret]]


def find(text: str) -> list[Secret]:
    """Credentials in a text, in order, none over another."""
    found = [Secret(kind, *m.span("secret")) for kind, pattern in SURE.items() for m in pattern.finditer(text)]
    for kind, pattern in LIKELY.items():
        found += [Secret(kind, *m.span("secret")) for m in pattern.finditer(text) if _random(m["secret"])]
    out: list[Secret] = []
    for secret in sorted(found, key=lambda s: (s.start, -s.end)):
        if not out or secret.start >= out[-1].end:
            out.append(secret)
    return out


def _random(value: str) -> bool:
    """Letters and digits mixed, with the entropy of a made-up value."""
    if not (any(c.isdigit() for c in value) and any(c.isalpha() for c in value)):
        return False
    shares = [n / len(value) for n in Counter(value).values()]
    return -sum(p * math.log2(p) for p in shares) >= min(BITS, math.log2(len(value)) * 0.8)


def redact(text: str, verdict: Verdict, detect: Detector = find) -> tuple[str, Verdict]:
    """The text with every secret masked, and a verdict that lists kinds and lines."""
    secrets = detect(text)
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
