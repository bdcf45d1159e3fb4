"""Secrets are masked where they stand, listed, and nothing else is touched."""

from __future__ import annotations

import base64
import json
import random
import string
from pathlib import Path

import pytest

from ingest import read, read_bytes, walk
from ingest.secrets import find


def made_up(length: int, letters: str = string.ascii_letters + string.digits) -> str:
    """A value at random that no service ever issued."""
    draw = random.Random(length)
    return "a1" + "".join(draw.choice(letters) for _ in range(length - 2))


UPPER = string.ascii_uppercase + "234567"
KEYS = {
    "AWS access key": "AKIA" + made_up(16, UPPER).upper().replace("1", "2"),
    "GitHub token": "ghp_" + made_up(36),
    "GitLab token": "glpat-" + made_up(20),
    "Slack token": "xoxb-" + made_up(24),
    "Google API key": "AIza" + made_up(35),
    "Stripe key": "sk_live_" + made_up(24),
    "OpenAI or Anthropic key": "sk-ant-" + made_up(40),
    "Hugging Face token": "hf_"
    + made_up(34).replace("1", "b").translate(str.maketrans("", "", string.digits)).ljust(34, "x"),
    "npm token": "npm_" + made_up(36),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_issuers_are_found_and_masked(kind: str) -> None:
    text = f"first\nvalue {KEYS[kind]} end\nlast\n"
    document = read_bytes(text.encode(), "x.txt")
    assert KEYS[kind] not in document.text
    assert len(document.text) == len(text)
    assert document.text == text.replace(KEYS[kind], "*" * len(KEYS[kind]))
    assert document.verdict.reason == f"secrets redacted: {kind} in line 2"


def test_a_private_key_keeps_its_lines() -> None:
    body = "\n".join(base64.b64encode(random.Random(1).randbytes(48)).decode() for _ in range(8))
    text = f"# config\n-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\nafter\n"
    document = read_bytes(text.encode(), "key.pem")
    assert body[:20] not in document.text
    assert document.line_of(document.text.index("after")) == 12


def test_assigned_values_and_urls() -> None:
    value = made_up(32)
    text = f'API_KEY = "{value}"\nurl = "postgres://app:{value}@db/x"\n'
    document = read_bytes(text.encode(), "settings.py")
    assert value not in document.text
    assert document.verdict.reason == "secrets redacted: assigned secret in line 1, password in a URL in line 2"


def test_words_that_only_look_like_secrets_stay() -> None:
    for text in (
        'password = "correct horse battery"',
        "token = get_token_from_environment()",
        'api_key = "your-api-key-goes-here"',
        "http://user:password@host/",
        "AKIA is a prefix; sk-learn is a library",
        "sha256 = " + "0" * 64,
    ):
        assert find(text) == []


def test_the_standard_librarys_code_loses_nothing() -> None:
    documents = [read(f.path, f.relative) for f in walk([Path(json.__file__).parents[1] / "asyncio"])]
    assert documents
    assert not [d.path for d in documents if "secrets" in str(d.verdict.reason)]
