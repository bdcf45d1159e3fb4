"""Secrets are masked where they stand, listed, and nothing else is touched."""

from __future__ import annotations

import base64
import json
import random
import socket
import string
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest import read, read_bytes, secrets, walk
from ingest.errors import ScannerMissing
from ingest.secret_patterns import SecretPatterns


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


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (".env", "export DB_PASSWORD={}\n"),
        ("deploy/.env.local", "AUTH_TOKEN={}\n"),
        ("compose.yaml", "db:\n  password: {}\n"),
        ("app.ini", "[db]\npassword = {}\n"),
        ("run.sh", 'curl -H "Authorization: Bearer {}" $URL\n'),
        ("account.json", '{{"private_key": "-----BEGIN PRIVATE KEY-----\\n{0}{0}\\n-----END PRIVATE KEY-----\\n"}}\n'),
    ],
)
def test_values_without_quotes_are_masked_where_configuration_stands(path: str, text: str) -> None:
    value = made_up(32)
    document = read_bytes(text.format(value).encode(), path)
    assert value not in document.text
    assert "redacted" in str(document.verdict.reason)
    name = read_bytes(b"password = settings.database1.password2_of_it\n", "code.py")
    assert name.verdict.reason is None  # in code that is a name


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
        "api_key: ${API_KEY_OF_SERVICE_1}",
        "password: see-the-vault-of-the-team",
        "http://user:password@host/",
        "AKIA is a prefix; sk-learn is a library",
        "sha256 = " + "0" * 64,
    ):
        assert SecretPatterns().find(text, "settings.yaml") == []


def test_the_standard_librarys_code_loses_nothing() -> None:
    documents = [read(f.path, f.relative) for f in walk([Path(json.__file__).parents[1] / "asyncio"])]
    assert documents
    assert not [d.path for d in documents if "secrets" in str(d.verdict.reason)]


@pytest.fixture
def by_library() -> Iterator[None]:
    """bc-detect-secrets looks."""
    pytest.importorskip("detect_secrets")
    secrets.use("detect-secrets")
    yield
    secrets.use("patterns")


@pytest.mark.usefixtures("by_library")
def test_the_library_masks_what_it_finds_in_place_and_reads_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    body = base64.b64encode(random.Random(1).randbytes(96)).decode()
    (tmp_path / "settings.py").write_text(f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\n")
    aws, slack = KEYS["AWS access key"], "xoxb-" + "1" * 12 + "-" + "2" * 12 + "-" + made_up(24)
    block = f"-----BEGIN PRIVATE KEY-----\n{body[::-1]}\n-----END PRIVATE KEY-----\n"
    text = f'first\nkey = "{aws}"\nother = "{slack}"\n{block}'
    document = read_bytes(text.encode(), "settings.py")
    assert not [value for value in (aws, slack, body[40:0:-1]) if value in document.text]
    assert len(document.text) == len(text)
    assert document.text.startswith('first\nkey = "')
    assert document.verdict.reason is not None
    assert "AWS Access Key in line 2" in document.verdict.reason
    assert document.verdict.reason.count("in line") == 3


@pytest.mark.usefixtures("by_library")
def test_no_key_is_ever_shown_to_the_service_that_issued_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import requests
    from detect_secrets.plugins.aws import AWSKeyDetector
    from detect_secrets.settings import get_settings

    from ingest.detect_secrets_scanner import VERIFY, DetectSecrets

    asked: list[str] = []

    def verify(self: object, *_: object, **__: object) -> None:
        asked.append(type(self).__name__)

    def request(self: object, *_: object, **__: object) -> None:
        asked.append("requests")

    scanner = DetectSecrets()
    for plugin in scanner.plugins:
        monkeypatch.setattr(type(plugin), "verify", verify)
    monkeypatch.setattr(requests.Session, "request", request)
    monkeypatch.setattr(socket.socket, "connect", request)
    get_settings().filters[VERIFY] = {"min_level": 2}
    line = f'key = "{KEYS["AWS access key"]}"'
    AWSKeyDetector().analyze_line("a.py", line)
    assert asked == ["AWSKeyDetector"]  # so the library would, had it its way
    text = "\n".join(f'secret_token = "{value}"' for value in [*KEYS.values(), made_up(40)])
    assert len(scanner.find(f"{line}\n{text}\n", "a.py")) > 3
    assert asked == ["AWSKeyDetector"]


def test_without_the_library_the_choice_of_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ingest.detect_secrets_scanner", None)
    with pytest.raises(ScannerMissing, match=r"omnibus-rag\[secrets\]"):
        secrets.use("detect-secrets")
