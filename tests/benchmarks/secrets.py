"""Secrets: what each scanner finds of credentials made up by their issuers' formats, and what it takes code for.

    python -m tests.benchmarks.secrets FOLDER [--out FILE]     FOLDER holds code without secrets, for false alarms

Every kind is made ten times at random in each form of writing it down; a secret is found where nine tenths of its
characters are masked. An alarm is a run of characters masked in FOLDER's code.
"""

from __future__ import annotations

import argparse
import base64
import json
import string
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from ingest import walk
from ingest.detect_secrets_scanner import DetectSecrets
from ingest.secret_patterns import SecretPatterns
from ingest.secrets import Secret
from tests.benchmarks.ingest import keep
from tests.benchmarks.report import show

LETTERS = string.ascii_letters + string.digits
TIMES = 10
Scan = Callable[[str, str], Sequence[Secret]]


def word(draw: Random, length: int, letters: str = LETTERS) -> str:
    """A value at random."""
    return "".join(draw.choice(letters) for _ in range(length))


UPPER, HEX = string.ascii_uppercase + string.digits, "0123456789abcdef"
KEYS: dict[str, Callable[[Random], str]] = {
    "AWS access key": lambda d: "AKIA" + word(d, 16, string.ascii_uppercase + "234567"),
    "AWS secret key": lambda d: word(d, 40, LETTERS + "/+"),
    "Azure storage key": lambda d: base64.b64encode(d.randbytes(64)).decode(),
    "Databricks token": lambda d: "dapi" + word(d, 32, HEX),
    "DigitalOcean token": lambda d: "dop_v1_" + word(d, 64, HEX),
    "Discord bot token": lambda d: f"M{word(d, 23)}.{word(d, 6)}.{word(d, 27)}",
    "GitHub token": lambda d: "ghp_" + word(d, 36),
    "GitHub fine-grained token": lambda d: f"github_pat_{word(d, 22)}_{word(d, 59)}",
    "GitLab token": lambda d: "glpat-" + word(d, 20),
    "Google API key": lambda d: "AIza" + word(d, 35),
    "Hugging Face token": lambda d: "hf_" + word(d, 34, string.ascii_letters),
    "JSON web token": lambda d: ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=")
        for part in (b'{"alg":"HS256","typ":"JWT"}', f'{{"sub":"{word(d, 12)}"}}'.encode(), d.randbytes(32))
    ),
    "Mailchimp key": lambda d: word(d, 32, HEX) + "-us12",
    "npm token": lambda d: "npm_" + word(d, 36),
    "OpenAI key": lambda d: "sk-proj-" + word(d, 48),
    "Anthropic key": lambda d: "sk-ant-api03-" + word(d, 80),
    "PyPI token": lambda d: "pypi-AgEIcHlwaS5vcmc" + word(d, 70),
    "SendGrid key": lambda d: f"SG.{word(d, 22)}.{word(d, 43)}",
    "Slack token": lambda d: f"xoxb-{word(d, 12, string.digits)}-{word(d, 12, string.digits)}-{word(d, 24)}",
    "Slack webhook": lambda d: (
        f"https://hooks.slack.com/services/T{word(d, 8, UPPER)}/B{word(d, 8, UPPER)}/{word(d, 24)}"
    ),
    "Square token": lambda d: "sq0csp-" + word(d, 43),
    "Stripe key": lambda d: "sk_live_" + word(d, 24),
    "Telegram bot token": lambda d: f"{word(d, 10, string.digits)}:AA{word(d, 33)}",
    "Twilio key": lambda d: "SK" + word(d, 32, HEX),
    "random password": lambda d: word(d, 18, LETTERS + "!#%^&*-_"),
    "password of words": lambda d: "-".join(d.choice(WORDS) for _ in range(3)) + str(d.randrange(10, 99)),
}
WORDS = "harbour lantern meadow copper signal winter garden thunder velvet marble falcon ginger orchid pepper".split()
FORMS: dict[str, str] = {
    "settings.py": '{name} = "{value}"\n',
    "config.json": '{{\n  "{name}": "{value}"\n}}\n',
    ".env": "{upper}={value}\n",
    "config.yaml": "service:\n  {name}: {value}\n",
    "notes.md": "To sign in take `{value}`, it is valid until May.\n",
}
NAMES = {
    "random password": "db_password",
    "password of words": "db_password",
    "AWS secret key": "aws_secret_access_key",
}
BLOCKS = ("RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY")


def made(draw: Random) -> list[tuple[str, str, str, str]]:
    """(kind, path, text, secret) of each."""
    rows = []
    for kind, make in KEYS.items():
        for path, form in FORMS.items():
            if kind.split()[0] in ("random", "password") and path == "notes.md":
                continue  # nothing tells it from a word
            name = NAMES.get(kind, "api_key" if "key" in kind else "auth_token")
            for _ in range(TIMES):
                value = make(draw)
                rows.append((kind, path, form.format(name=name, upper=name.upper(), value=value), value))
    for _ in range(TIMES):
        for block in BLOCKS:
            body = base64.encodebytes(draw.randbytes(600)).decode()
            text = f"-----BEGIN {block}-----\n{body}-----END {block}-----\n"
            rows.append(("private key", "id.pem", text, body.strip()))
        body = base64.encodebytes(draw.randbytes(600)).decode()
        key = f"-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n"
        rows.append(("private key in JSON", "account.json", json.dumps({"private_key": key}), json.dumps(body)[1:-3]))
        password = word(draw, 16)
        rows.append(("password in a URL", "app.py", f'URL = "postgres://app:{password}@db.local/x"\n', password))
        rows.append(("bearer header", "run.sh", f'curl -H "Authorization: Bearer {password * 2}" $URL\n', password * 2))
    return rows


def is_masked(text: str, secret: str, found: Sequence[Secret]) -> bool:
    """Whether nine tenths of the secret's characters are."""
    at = text.index(secret)
    hidden = {i for s in found for i in range(max(s.start, at), min(s.end, at + len(secret)))}
    return len(hidden) >= 0.9 * len(secret)


def row(name: str, scan: Scan, cases: Sequence[tuple[str, str, str, str]], code: dict[str, str]) -> dict[str, Any]:
    """What one scanner finds, of which kinds it misses some, and its alarms and seconds over code."""
    right = Counter(kind for kind, path, text, secret in cases if is_masked(text, secret, scan(text, path)))
    every = Counter(kind for kind, *_ in cases)
    began = time.process_time()
    alarms = {path: scan(text, path) for path, text in code.items()}
    took = time.process_time() - began
    kinds = Counter(secret.kind for found in alarms.values() for secret in found)
    return {
        "scanner": name,
        "found": right.total(),
        "of": every.total(),
        "found %": 100 * right.total() / every.total(),
        "missed": {kind: n - right[kind] for kind, n in every.items() if right[kind] < n},
        "alarms": sum(map(len, alarms.values())),
        "files with alarms": sum(bool(found) for found in alarms.values()),
        "alarms by kind": dict(kinds.most_common()),
        "files": len(code),
        "MB": sum(map(len, code.values())) / 1e6,
        "processor s": took,
    }


def main() -> None:
    """Both scanners over the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=float, default=5.0, help="of the folder's code, its first")
    parser.add_argument("--out", type=Path, help="put the rows into this file of results")
    options = parser.parse_args()
    code: dict[str, str] = {}
    for found in walk([options.folder]):
        if sum(map(len, code.values())) < options.megabytes * 1e6 and found.path.suffix == ".py":
            code[found.relative] = found.path.read_text(errors="replace")
    cases = made(Random(7))
    scanners: dict[str, Scan] = {"patterns": SecretPatterns().find, "bc-detect-secrets": DetectSecrets().find}
    rows = [row(name, scan, cases, code) for name, scan in scanners.items()]
    show(rows, ["scanner", "found", "of", "found %", "alarms", "files with alarms", "files", "MB", "processor s"])
    for each in rows:
        print(each["scanner"], "misses", each["missed"], "alarms", each["alarms by kind"])
    if options.out:
        keep(options.out, "secrets", rows)


if __name__ == "__main__":
    main()
