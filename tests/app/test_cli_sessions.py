"""omnibus sessions: what a person keeps, looks at, takes elsewhere and forgets; with the real default model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.cli import app
from app.library import Library
from app.settings import Settings
from tests.conftest import SAMPLES


class Shell:
    """Runs `omnibus` over a home."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *arguments: object, **environment: str) -> Result:
        settings = {"OMNIBUS_HOME": str(self.home), "OMNIBUS_CHUNK_TOKENS": "128", "NO_COLOR": "1", **environment}
        return CliRunner().invoke(app, [str(a) for a in arguments], env=settings)

    def says(self, *arguments: object, **environment: str) -> str:
        """What a command that must succeed prints."""
        run = self(*arguments, **environment)
        assert run.exit_code == 0, run.output
        return run.stdout

    def fails(self, *arguments: object, **environment: str) -> str:
        """The one sentence of a command that must not succeed."""
        run = self(*arguments, **environment)
        assert (run.exit_code, run.stdout) == (1, "")
        return " ".join(run.stderr.split())


@pytest.fixture
def omnibus(home: Path) -> Shell:
    shell = Shell(home)
    shell.says("add", SAMPLES / "handbook.md", "-c", "hut")
    return shell


def test_a_session_is_pinned_shown_explained_exported_imported_and_forgotten(
    omnibus: Shell, tmp_path: Path, default_model_path: Path
) -> None:
    assert omnibus.says("sessions", "ls").startswith("There is no session yet. Keep a collection with:")
    assert "reading took" in omnibus.says("sessions", "pin", "book", "-c", "hut")
    assert "all of it was kept already" in omnibus.says("sessions", "pin", "book", "-c", "hut")
    (listed,) = json.loads(omnibus.says("sessions", "ls", "--json"))
    assert (listed["name"], listed["model"], listed["codec"]) == ("book", "smollm2-135m-reader", "bfloat16")
    assert omnibus.says("sessions", "ls").split("\t")[:2] == ["book", f"{listed['tokens']:,}"]
    shown = dict(line.split("\t") for line in omnibus.says("sessions", "show", "book").splitlines())
    assert (shown["chunk tokens"], shown["policy"]) == ("128", "auto")
    whole = f"all of {listed['tokens']:,} tokens would be restored."
    assert omnibus.says("sessions", "explain", "book") == f"Session 'book': {whole}\n"
    assert omnibus.says("sessions", "explain", "-c", "hut") == f"Collection 'hut': {whole}\n"
    other = omnibus.says("sessions", "explain", "book", OMNIBUS_KV_CODEC="fp8")
    assert other.splitlines()[1] == "Why no more: codec is 'fp8', stored with 'bfloat16'."

    file = tmp_path / "book.omnibus"
    assert "Take it in elsewhere with: omnibus sessions import FILE" in omnibus.says("sessions", "export", "book", file)
    elsewhere = Shell(tmp_path / "elsewhere")
    elsewhere.home.mkdir()
    (elsewhere.home / "models").symlink_to(default_model_path.parent)
    refused = elsewhere.fails("sessions", "import", file, OMNIBUS_KV_CODEC="fp8")
    assert "made under other settings (codec is 'fp8', stored with 'bfloat16')" in refused
    assert "'novel' is kept" in elsewhere.says("sessions", "import", file, "--as", "novel")
    elsewhere.says("add", SAMPLES / "handbook.md", "-c", "hut")
    answer = json.loads(elsewhere.says("ask", "Who is the warden of the hut?", "-c", "hut", "--json"))
    assert answer["stats"]["cached_tokens"] == listed["tokens"]

    assert "is forgotten" in omnibus.says("sessions", "rm", "book")
    assert omnibus.fails("sessions", "rm", "book") == "There is no session 'book'."


def test_damage_is_found_said_and_read_again(omnibus: Shell) -> None:
    omnibus.says("sessions", "pin", "book", "-c", "hut")
    assert omnibus.says("sessions", "verify").startswith("All is sound: ")
    chunk = max(omnibus.home.glob("sessions/chunks/*/*.kv"), key=lambda path: path.stat().st_size)
    data = bytearray(chunk.read_bytes())
    data[-5000] ^= 1
    chunk.write_bytes(data)
    run = omnibus("sessions", "verify")
    assert run.exit_code == 1
    assert "does not match its checksum" in run.stdout
    assert "The session 'book' lacks 1 of its" in run.stdout
    assert "tokens would be restored.\nWhy no more: " in omnibus.says("sessions", "explain", "book")
    refused = omnibus.fails("sessions", "export", "book", omnibus.home / "x")
    assert "cannot be exported" in refused
    assert "reading took" in omnibus.says("sessions", "pin", "book", "-c", "hut")
    chunks = len(list(omnibus.home.glob("sessions/chunks/*/*.kv")))
    assert omnibus.says("sessions", "rebuild") == f"The catalogue was made again. Sessions: 1, chunks: {chunks}.\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "nope"), "There is no session 'nope'."),
        (("explain", "nope"), "There is no session 'nope'."),
        (("pin", "book", "-c", "nope"), "There is no collection 'nope'."),
        (("export", "nope", "/tmp/nope.omnibus"), "There is no session 'nope'."),
        (("import", "/no/such/file"), "There is no file '/no/such/file'."),
    ],
)
def test_a_problem_is_one_sentence(omnibus: Shell, arguments: tuple[str, ...], says: str) -> None:
    assert says in omnibus.fails("sessions", *arguments)


def test_a_key_encrypts_the_sessions_and_the_wrong_one_is_one_sentence(omnibus: Shell, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("ab" * 32 + "\n")
    key = {"OMNIBUS_STORE_KEY_FILE": str(tmp_path / "key")}
    omnibus.home = tmp_path / "home"
    assert "no session yet" in omnibus.says("sessions", "ls", **key)
    assert "is encrypted: set OMNIBUS_STORE_KEY" in omnibus.fails("sessions", "ls")
    assert "is encrypted with another key" in omnibus.fails("sessions", "ls", OMNIBUS_STORE_KEY="cd" * 32)
    assert "64 hexadecimal digits" in omnibus.fails("sessions", "ls", OMNIBUS_STORE_KEY="secret")
    assert "cannot be read" in omnibus.fails("sessions", "ls", OMNIBUS_STORE_KEY_FILE=str(tmp_path / "nowhere"))


def test_each_address_has_a_catalogue_of_its_own_here(tmp_path: Path) -> None:
    places = [Settings(home=tmp_path, store=store).store_catalogue_here for store in ("s3://a/x", "s3://a/y", "/disk")]
    assert places[2] is None
    assert places[0] is not None
    assert places[0] != places[1]
    assert places[0].parent == tmp_path / "catalogues"


def test_the_sdk_does_the_same(home: Path) -> None:
    with Library(settings=Settings(home=home, kv_codec="int8")) as library:
        hut = library.collection("hut")
        hut.add(SAMPLES / "handbook.md")
        assert hut.kept().reason == "nothing was kept yet"
        manifest, report = hut.pin("book")
        assert (report.cached_tokens, manifest.namespace["codec"]) == (0, "int8")
        assert library.store.sessions() == [manifest]
        assert hut.kept().kept == hut.kept().tokens == len(manifest.tokens)
        assert hut.ask("Who is the warden of the hut?").stats.cached_tokens == len(manifest.tokens)
