"""The command line as a person uses it: real processes, real model."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.cli.console import sentence
from tests.conftest import ROOT, SAMPLES


def omnibus(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m omnibus` over a home."""
    settings = {**os.environ, "OMNIBUS_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "160", **environment}
    command = [sys.executable, "-m", "omnibus", *arguments]
    return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)


def test_a_folder_is_added_listed_planned_and_asked(home: Path) -> None:
    added = omnibus(home, "add", str(SAMPLES), "--collection", "hut")
    assert (added.returncode, added.stdout.splitlines()[0]) == (0, "3 documents in collection 'hut'.")
    assert "hut" in omnibus(home, "ls").stdout
    listed = json.loads(omnibus(home, "ls", "hut", "--json").stdout)
    assert [d["path"] for d in listed] == ["samples/booking.py", "samples/handbook.md", "samples/handbook.pdf"]
    plan = json.loads(omnibus(home, "plan", "-c", "hut", "--json").stdout)
    assert (plan["mode"], plan["cached_tokens"]) == ("whole", 0)
    warmed = omnibus(home, "warm", "-c", "hut")
    assert warmed.stdout.startswith("Ready:")
    asked = omnibus(home, "ask", "Who is the warden of the hut?", "-c", "hut")
    assert asked.returncode == 0
    assert "Varga" in asked.stdout.splitlines()[0]
    assert '[1] samples/handbook.md, line 8 (exact): "The warden of the hut is Ilse Varga."' in asked.stdout
    assert "from cache" in asked.stderr
    answer = json.loads(omnibus(home, "ask", "Who is the warden of the hut?", "-c", "hut", "--json").stdout)
    assert answer["citations"][0]["line_start"] == 8
    assert answer["stats"]["cached_tokens"] > plan["corpus_tokens"]
    removed = omnibus(home, "rm", "-c", "hut", "--json")
    assert removed.returncode == 0
    assert json.loads(removed.stdout) == {"collection": "hut", "removed": None}
    assert "no collection yet" in omnibus(home, "ls").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("add", "/no/such/file"), 1, "no file or folder '/no/such/file'"),
        (("ask", "anything?"), 1, "no collection 'default'"),
        (("ls", "nope"), 1, "no collection 'nope'"),
        (("rm", "-c", "nope"), 1, "no collection 'nope'"),
        (("rm",), 2, "Name a document, or with --collection the collection to forget."),
        (("ask", "x", "--mode", "half"), 2, "auto, whole, packed"),
        (("ask",), 2, "Missing argument"),
    ],
)
def test_a_problem_is_one_sentence_and_an_exit_code(
    home: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    run = omnibus(home, *arguments)
    assert run.returncode == code
    assert says in " ".join(run.stderr.split())
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def test_a_wrong_model_and_a_wrong_setting_are_said_plainly(home: Path) -> None:
    omnibus(home, "add", str(SAMPLES / "handbook.md"))
    wrong = omnibus(home, "ask", "x", "--model", "./nowhere")
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (1, False)
    assert "No model './nowhere'" in " ".join(wrong.stderr.split())
    setting = omnibus(home, "ls", OMNIBUS_PORT="many")
    assert setting.returncode == 2
    assert "OMNIBUS_PORT" in setting.stderr


def test_an_unusable_home_and_a_damaged_database_are_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "library.db").write_text("this is no database")
    for home, check, says in ((tmp_path / "file", "home", "exists"), (damaged, "database", "not a database")):
        run = omnibus(home, "ls")
        assert (run.returncode, run.stdout, "Traceback" in run.stderr) == (1, "", False)
        assert says in run.stderr
        assert "omnibus doctor" in run.stderr
        doctor = omnibus(home, "doctor", "--json")
        assert doctor.returncode == 1
        (found,) = [c for c in json.loads(doctor.stdout) if c["name"] == check]
        assert found["state"] == "fail"
        assert found["fix"]
        assert "Traceback" in omnibus(home, "ls", OMNIBUS_DEBUG="1").stderr


def test_a_fault_of_ours_has_an_exit_code_of_its_own() -> None:
    said, code = sentence(KeyError("x"))
    assert "OMNIBUS_DEBUG=1" in said
    assert code == 70


def test_a_pipe_gets_whole_names_between_tabs(home: Path, tmp_path: Path) -> None:
    name = "[id] " + "long " * 40 + ".txt"
    (tmp_path / name).write_text("twelve chars")
    omnibus(home, "add", str(tmp_path / name))
    assert omnibus(home, "ls", "default", COLUMNS="40").stdout == f"{name}\ttext\t12\t\tloaded\n"


def test_serve_serves_until_it_is_interrupted(home: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "omnibus", "serve", "--port", port]
    settings = {**os.environ, "OMNIBUS_HOME": str(home)}
    server = subprocess.Popen(command, cwd=ROOT, env=settings, stderr=subprocess.PIPE, text=True)
    try:
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                assert httpx.get(f"{url}/healthz").json() == {"status": "ok", "model_loaded": False}
                break
            except httpx.TransportError:
                time.sleep(0.2)
        taken = omnibus(home, "serve", "--port", port)
        assert (taken.returncode, "Traceback" in taken.stderr) == (1, False)
        assert "Choose another with --port." in taken.stderr
        with httpx.stream("GET", f"{url}/gradio_api/heartbeat/a-page-that-stays-open", timeout=60) as held:
            assert held.status_code == 200
            server.send_signal(signal.SIGINT)
            _, said = server.communicate(timeout=30)
        assert server.returncode in (0, 130)
        assert "Traceback" not in said
    finally:
        server.kill()


def test_a_server_told_to_end_loses_no_finished_row(tmp_path: Path, random_models: dict[str, Path]) -> None:
    settings = {
        **os.environ,
        "OMNIBUS_HOME": str(tmp_path),
        "OMNIBUS_MODEL": str(random_models["llama"]),
        "OMNIBUS_DTYPE": "float32",
    }
    assert omnibus(tmp_path, "add", str(SAMPLES / "handbook.md")).returncode == 0

    @contextmanager
    def served() -> Iterator[tuple[subprocess.Popen[str], str]]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        command = [sys.executable, "-m", "omnibus", "serve", "--port", port]
        server = subprocess.Popen(command, cwd=ROOT, env=settings, stderr=subprocess.PIPE, text=True)
        try:
            for _ in range(600):
                try:
                    httpx.get(f"http://127.0.0.1:{port}/healthz")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield server, f"http://127.0.0.1:{port}/api/batch"
        finally:
            server.kill()
            server.wait()

    with served() as (server, url):
        body = {"questions": [{"question": f"What of rule {n}?"} for n in range(120)], "max_tokens": 24}
        number = httpx.post(url, json=body).json()["id"]
        while not (before := httpx.get(f"{url}/{number}/results").text.splitlines()):
            time.sleep(0.02)
        server.send_signal(signal.SIGTERM)
        _, said = server.communicate(timeout=30)
        requests = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        assert ("POST", "/api/batch", 202) in [(r["method"], r["route"], r["status"]) for r in requests]
        assert "Traceback" not in said
    assert len(before) < 120
    with served() as (_, url):  # goes on by itself
        while httpx.get(f"{url}/{number}").json()["state"] != "done":
            time.sleep(0.1)
        rows = httpx.get(f"{url}/{number}/results").text.splitlines()
    assert [json.loads(row)["index"] for row in rows] == list(range(120))
    assert set(before) <= set(rows)


def test_skipped_files_are_named_with_the_reason(home: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\0\0")
    (tmp_path / "a.txt").write_text("text")
    run = omnibus(home, "add", str(tmp_path / "photo.png"), str(tmp_path / "a.txt"))
    assert "skipped photo.png: it is a binary file" in run.stdout


def test_help_names_every_command_and_loads_nothing_heavy(home: Path) -> None:
    run = omnibus(home, "--help")
    commands = "add ls plan warm ask models serve doctor".split()
    assert all(f" {command} " in run.stdout for command in commands)
    heavy = (
        "import sys, app.cli; print([m for m in ('torch', 'transformers', 'gradio', 'sqlalchemy') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", heavy], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_importing_omnibus_is_light(home: Path) -> None:
    program = "import sys, omnibus; print([m for m in ('torch', 'gradio', 'sqlalchemy') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_doctor_checks_this_installation(home: Path) -> None:
    run = omnibus(home, "doctor", "--json")
    checks = {check["name"]: check["state"] for check in json.loads(run.stdout)}
    assert run.returncode == 0
    names = {"Python", "torch", "GPU", "Triton", "packages", "home", "database", "model", "generator"}
    assert names <= set(checks)
    assert "fail" not in checks.values()
    away = omnibus(home, "doctor", "--json", OMNIBUS_GENERATOR_URL="http://127.0.0.1:9/v1")
    (found,) = [check for check in json.loads(away.stdout) if check["name"] == "generator"]
    assert (away.returncode, found["state"]) == (1, "fail")
    assert "OMNIBUS_GENERATOR_URL" in found["found"]


def test_the_shell_completes_commands_and_help_names_exit_codes(home: Path) -> None:
    completed = omnibus(home, _OMNIBUS_COMPLETE="complete_bash", COMP_WORDS="omnibus do", COMP_CWORD="1")
    assert completed.stdout.split() == ["doctor"]
    assert "Exit codes: 0 done, 1 a problem" in " ".join(omnibus(home, "--help").stdout.split())


def test_models_are_listed(home: Path) -> None:
    names = [model["name"] for model in json.loads(omnibus(home, "models", "ls", "--json").stdout)]
    assert names == ["smollm2-135m", "smollm2-135m-reader"]
    assert "smollm2-135m-reader" in omnibus(home, "models", "pull").stdout


def test_the_demo_answers_right_starts_five_times_sooner_and_keeps_what_it_printed(home: Path, tmp_path: Path) -> None:
    place = tmp_path / "demo.json"
    run = omnibus(home, "demo", "--out", str(place))
    assert run.returncode == 0, run.stderr
    assert "times sooner" in run.stdout
    assert run.stderr.count("whole mode") == 3
    kept = json.loads(place.read_text())
    printed = (run.stdout + run.stderr).splitlines()
    assert [line for lines in kept["rows"] for line in lines if line not in printed] == []
    assert kept["environment"]["model"] == "smollm2-135m-reader"
