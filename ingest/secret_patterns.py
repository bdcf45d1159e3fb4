"""SecretPatterns: the issuers' published key formats, and assignments whose value looks random."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from ingest.secrets import Secret, apart

BITS = 3.3
"""Random keys have more bits a character; words and paths have fewer."""
NAMES = "secret|password|passwd|api_?key|auth_?token|access_?token"
KINDS = {
    "private key": (
        "PRIVATE KEY",
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\n|\\n)"
        r"(?P<secret>[\s\S]{40,20000}?)(?:\n|\\n)?-----END ",
    ),
    "AWS access key": ("AKIA|ASIA", r"\b(?P<secret>(?:AKIA|ASIA)[A-Z2-7]{16})\b"),
    "AWS secret key": (
        "aws|AWS",
        r"(?i:aws)[\w.-]{0,20}(?i:key)[\w-]{0,20}[\"']?\s{0,4}[:=]\s{0,4}[\"']?"
        r"(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
    ),
    "Azure storage key": ("AccountKey=", r"\bAccountKey=(?P<secret>[A-Za-z0-9/+]{86}==)"),
    "Databricks token": ("dapi", r"\b(?P<secret>dapi[0-9a-f]{32})\b"),
    "DigitalOcean token": ("_v1_", r"\b(?P<secret>do[opr]_v1_[0-9a-f]{64})\b"),
    "Discord bot token": (".", r"\b(?P<secret>[MNO][A-Za-z0-9_-]{23,27}\.[\w-]{6}\.[\w-]{27,38})(?![\w-])"),
    "GitHub token": (
        "ghp_|gho_|ghu_|ghs_|ghr_|github_pat_",
        r"\b(?P<secret>gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})\b",
    ),
    "GitLab token": ("glpat-", r"\b(?P<secret>glpat-[\w-]{20,})"),
    "Google API key": ("AIza", r"\b(?P<secret>AIza[\w-]{35})(?![\w-])"),
    "Hugging Face token": ("hf_", r"\b(?P<secret>hf_[A-Za-z]{34})\b"),
    "JSON web token": (".eyJ", r"\b(?P<secret>eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,})"),
    "Mailchimp key": ("-us", r"\b(?P<secret>[0-9a-f]{32}-us\d{1,2})\b"),
    "npm token": ("npm_", r"\b(?P<secret>npm_[A-Za-z0-9]{36})\b"),
    "OpenAI or Anthropic key": ("sk-", r"\b(?P<secret>sk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_-]{32,})"),
    "PyPI token": ("pypi-Ag", r"\b(?P<secret>pypi-AgEIcHlwaS5vcmc[\w-]{50,})"),
    "SendGrid key": ("SG.", r"\b(?P<secret>SG\.[\w-]{22}\.[\w-]{43})(?![\w-])"),
    "Slack token": ("xox", r"\b(?P<secret>xox[abprs]-[A-Za-z0-9-]{20,})"),
    "Slack webhook": (
        "hooks.slack.com",
        r"(?P<secret>https://hooks\.slack\.com/services/T\w{8,}/B\w{8,}/\w{20,})",
    ),
    "Square token": ("sq0", r"\b(?P<secret>sq0[a-z]{3}-[\w-]{22,43})(?![\w-])"),
    "Stripe key": ("k_live_", r"\b(?P<secret>[sr]k_live_[A-Za-z0-9]{20,})"),
    "Telegram bot token": (":AA", r"\b(?P<secret>\d{8,10}:AA[\w-]{33})(?![\w-])"),
    "Twilio key": ("SK", r"\b(?P<secret>SK[0-9a-f]{32})\b"),
}
"""Kind: a text that has none of the first, which is looked for much faster, has no match of the second."""
RANDOM = {
    "password in a URL": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"]{1,64}:(?P<secret>[^\s/:@'\"]{8,128})@",
    "authorization header": (
        r"(?i:authorization)[\"']?\s{0,4}[:=,]\s{0,4}[\"']?(?i:bearer|basic|token)\s(?P<secret>[\w.~+/=-]{16,500})"
    ),
    "assigned secret": (
        rf"(?i:{NAMES})[\w-]{{0,20}}[\"']?\s{{0,4}}[:=]\s{{0,4}}[\"'](?P<secret>[A-Za-z0-9+/=_\-.~!@#$%^&*]{{16,200}})[\"']"
    ),
}
BARE = {
    "assigned secret": (
        rf"(?m:^)[ \t]*(?:export[ \t]+)?[\w.-]{{0,40}}(?i:{NAMES})[\w.-]{{0,20}}[ \t]*[:=][ \t]*"
        r"(?P<secret>[A-Za-z0-9+/=_\-.~!@#%^&*]{16,200})[ \t]*(?m:$)"
    ),
}
"""Values without quotes, which in code are names and calls: looked for in CONFIGURATION only."""
CONFIGURATION = (".env", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties", ".tfvars", ".envrc")
SURE = {kind: (needles.split("|"), re.compile(pattern)) for kind, (needles, pattern) in KINDS.items()}
LIKELY = {kind: re.compile(pattern) for kind, pattern in RANDOM.items()}
LIKELY_BARE = {kind: re.compile(pattern) for kind, pattern in BARE.items()}


class SecretPatterns:
    """Regular expressions, the value of the doubtful ones weighed."""

    def find(self, text: str, path: str) -> Sequence[Secret]:
        """Credentials in a text, in order, none over another."""
        found: list[Secret] = []
        for kind, (needles, pattern) in SURE.items():
            if any(needle in text for needle in needles):
                found += [Secret(kind, *m.span("secret")) for m in pattern.finditer(text)]
        for patterns in (LIKELY, LIKELY_BARE if _configures(path) else {}):
            for kind, pattern in patterns.items():
                found += [Secret(kind, *m.span("secret")) for m in pattern.finditer(text) if _random(m["secret"])]
        return apart(found)


def _configures(path: str) -> bool:
    name = PurePosixPath(path).name.lower()
    return name.startswith(".env") or name.endswith(CONFIGURATION)


def _random(value: str) -> bool:
    """Letters and digits mixed, with the entropy of a made-up value."""
    if not (any(c.isdigit() for c in value) and any(c.isalpha() for c in value)):
        return False
    shares = [n / len(value) for n in Counter(value).values()]
    return -sum(p * math.log2(p) for p in shares) >= min(BITS, math.log2(len(value)) * 0.8)
