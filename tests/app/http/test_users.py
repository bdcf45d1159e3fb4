"""Users at a real server: nobody gets in unknown, and hand-made requests reach nothing of another's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute

from app.answering.answer import Answer, AnswerStats
from app.http.identity import SESSION_COOKIE, is_loopback
from app.http.limits import SignInLimits
from app.http.tokens import Tokens
from app.library import Library
from app.server import create_app
from app.settings import Settings
from tests.app.serving import NOTES, listening

PASSWORD = "correct horse battery"
SECRET = "The safe opens with marigold."  # a word: digits also stand in the times of what Gradio sends
ANSWER = Answer("marigold.", (), AnswerStats(10, 0, 0.1, 0.2, 5.0, "auto", "whole", None, None, 7), "Read whole.")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, random_models: dict[str, Path]) -> Iterator[Library]:
    """Alice sees the hut, Bob the shore; Zoe administers."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings(
        home=home,
        model=str(random_models["llama"]),
        dtype="float32",
        max_upload_mb=1,
        proxy_address="127.0.0.1",
        proxy_user_header="X-Forwarded-User",
    )
    with Library(settings=settings) as made:
        made.collection("hut").add_bytes("hut.txt", SECRET.encode())
        made.collection("shore").add_bytes("notes.txt", NOTES.encode())
        for name in ("alice", "bob", "zoe"):
            made.users.add(name, "admin" if name == "zoe" else "reader", PASSWORD)
        made.users.grant("alice", ["hut"])
        made.users.grant("bob", ["shore"])
        yield made


@pytest.fixture(scope="module")
def url(library: Library) -> Iterator[str]:
    with listening(library) as address:
        yield address


@contextmanager
def signed_in(url: str, name: str) -> Iterator[httpx.Client]:
    """A browser in which that user is signed in."""
    with httpx.Client(base_url=url, headers={"origin": url}, timeout=60) as client:
        assert client.post("/sign-in", data={"name": name, "password": PASSWORD}).status_code == 303
        yield client


def routes(found: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of every route, those of what is mounted or included too."""
    for route in found:
        path = prefix + getattr(route, "path", "")
        inner: Any = getattr(route, "original_router", None) or getattr(route, "app", None)
        if methods := getattr(route, "methods", None):
            yield from ((method, path) for method in methods)
        elif hasattr(inner, "routes"):
            yield from routes(inner.routes, path)


def test_without_signing_in_every_route_of_ours_and_of_gradio_is_closed(url: str, library: Library) -> None:
    app = create_app(library)
    assert isinstance(app, FastAPI)
    found = sorted(set(routes(list(app.routes))))
    assert len(found) > 100
    assert {("POST", "/gradio_api/queue/join"), ("GET", "/gradio_api/file={path_or_url:path}")} < set(found)
    opened = {("GET", "/healthz"), ("GET", "/sign-in"), ("POST", "/sign-in"), ("POST", "/sign-out")}
    let_in = set()
    with httpx.Client(base_url=url, headers={"origin": url}) as client:
        for method, path in found:
            answer = client.request(method, path.replace("{", "").replace("}", "").replace(":path", ""))
            if answer.status_code != 401:
                let_in.add((method, path))
            page = client.request(method, path, headers={"accept": "text/html"}) if method == "GET" else answer
            assert page.status_code == 401 or page.headers.get("location") == "/sign-in" or (method, path) in opened
    assert let_in <= opened
    assert let_in == opened - {("POST", "/sign-in")}  # which says 401 for no name and no password


def test_signing_in_gives_a_cookie_that_no_script_reads_and_signing_out_ends_it(url: str) -> None:
    with signed_in(url, "alice") as client:
        again = client.post("/sign-in", data={"name": "alice", "password": PASSWORD})
        said = again.headers["set-cookie"]
        assert all(part in said for part in ("HttpOnly", "SameSite=strict", "Path=/"))
        assert again.headers["location"] == "/"
        assert client.get("/").status_code == 200
        kept = client.cookies[SESSION_COOKIE]
        assert client.post("/sign-out").headers["location"] == "/sign-in"
        assert client.get("/config", headers={"cookie": f"{SESSION_COOKIE}={kept}"}).status_code == 401


def test_failures_are_slowed_down_and_the_right_password_waits_too(url: str) -> None:
    with httpx.Client(base_url=url, headers={"origin": url}) as client:

        def attempt(password: str) -> httpx.Response:
            return client.post("/sign-in", data={"name": "mallory", "password": password})

        failed = [attempt("wrong") for _ in range(5)]
        assert [answer.status_code for answer in failed] == [401] * 5
        assert "Name or password is wrong." in failed[0].text
        stopped = attempt("wrong")
        assert stopped.status_code == 429
        assert 1 <= int(stopped.headers["retry-after"]) <= 60
        assert client.post("/sign-in", content=b"x" * 5000).status_code == 413


def test_attempts_are_counted_by_name_and_address_until_one_succeeds() -> None:
    now = [0.0]
    limits = SignInLimits(clock=lambda: now[0])
    assert [limits.wait_s("a", "ann") for _ in range(6)] == [None] * 5 + [60]
    assert limits.wait_s("b", "ann") is None  # who sits elsewhere is not locked out by it
    limits.succeeded("a", "ann")
    assert limits.wait_s("a", "ann") is None
    assert [limits.wait_s("a", f"n{i}") for i in range(15)] == [None] * 14 + [10]
    now[0] = 10
    assert limits.wait_s("a", "other") is None


def test_what_is_said_at_the_form_is_shown_as_text(url: str) -> None:
    said = httpx.post(f"{url}/sign-in", data={"name": '"><script>x()</script>', "password": "x"})
    assert "<script>" not in said.text
    assert "&lt;script&gt;" in said.text
    german = httpx.get(f"{url}/sign-in", headers={"accept-language": "de-AT,en;q=0.5"})
    assert '<html lang="de">' in german.text
    assert "Anmelden" in german.text


def test_a_page_elsewhere_cannot_send_anything(url: str) -> None:
    with signed_in(url, "zoe") as client:
        for origin in ("http://evil.example", "null", "http://127.0.0.1:9", "http://["):
            sent = client.post(
                "/api/collections/new/documents?filename=a.txt", content=b"x", headers={"origin": origin}
            )
            assert sent.status_code == 403, origin
            assert sent.json()["error"]["code"] == "wrong_origin"


def test_every_answer_confines_the_page(url: str) -> None:
    for path in ("/sign-in", "/", "/healthz", "/assets/none.js"):
        headers = httpx.get(url + path).headers
        assert "img-src 'self' data:;" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/collections/hut/documents", None),
        ("GET", "/api/collections/hut/source?document=hut.txt", None),
        ("GET", "/api/collections/hut/plan", None),
        ("GET", "/api/collections/hut/kept", None),
        ("POST", "/v1/chat/completions", {"model": "x@hut", "messages": [{"role": "user", "content": "Which code?"}]}),
        ("POST", "/v1/completions", {"model": "x@hut", "prompt": "Which code?"}),
    ],
)
def test_another_users_collection_is_not_there(url: str, method: str, path: str, body: Any) -> None:
    with signed_in(url, "bob") as bob, signed_in(url, "alice") as alice:
        answer = bob.request(method, path, json=body)
        assert answer.status_code == 404
        assert "marigold" not in answer.text
        assert answer.json()["error"]["message"].startswith("There is no collection 'hut'. There are: shore.")
        assert alice.request(method, path, json=body).status_code == 200, "whose it is can"


def test_lists_hold_what_the_user_sees(url: str) -> None:
    with signed_in(url, "bob") as bob, signed_in(url, "zoe") as zoe:
        assert [c["name"] for c in bob.get("/api/collections").json()] == ["shore"]
        assert [m["id"].partition("@")[2] for m in bob.get("/v1/models").json()["data"]] == ["shore"]
        assert [c["name"] for c in zoe.get("/api/collections").json()] == ["hut", "shore"]
        assert bob.get("/api/sessions").status_code == 403
        assert bob.get("/metrics").status_code == 403


def test_a_reader_cannot_add_or_delete(url: str, library: Library) -> None:
    with signed_in(url, "bob") as bob:
        tried = [
            bob.post("/api/collections/shore/documents?filename=a.txt", content=b"x"),
            bob.delete("/api/collections/shore/documents/notes.txt"),
            bob.delete("/api/collections/shore"),
            bob.post("/api/collections/shore/warm"),
            bob.post("/api/sessions?name=a&collection=shore"),
            bob.post("/gradio_api/upload", files={"files": ("a.txt", b"x")}),
        ]
    assert [answer.status_code for answer in tried] == [403] * 6
    assert [d.path for d in library.collection("shore").documents()] == ["notes.txt"]


def test_a_batch_is_not_there_for_others_and_may_be_stopped_by_its_user(url: str) -> None:
    with signed_in(url, "alice") as alice, signed_in(url, "bob") as bob:
        asked = {"collection": "hut", "questions": [{"question": "Which code?"}], "max_tokens": 4}
        number = alice.post("/api/batch", json=asked).json()["id"]
        for path in (f"/api/batch/{number}", f"/api/batch/{number}/results", f"/api/jobs/{number}"):
            assert bob.get(path).status_code == 404
            assert alice.get(path).status_code == 200
        assert bob.get("/api/jobs").json() == []
        assert bob.post(f"/api/jobs/{number}/cancel").status_code == 404
        assert alice.post(f"/api/jobs/{number}/cancel").status_code == 200


def test_a_token_of_a_user_sees_and_does_what_the_user_may(url: str, library: Library) -> None:
    tokens = Tokens(library.settings.home)
    secret = tokens.new("bobs", ("ask", "manage"), user="bob")
    try:
        with httpx.Client(base_url=url, headers={"authorization": f"Bearer {secret}"}) as program:
            assert [c["name"] for c in program.get("/api/collections").json()] == ["shore"]
            assert program.get("/api/collections/hut/documents").status_code == 404
            assert program.delete("/api/collections/shore").status_code == 403
    finally:
        tokens.path.unlink()


def test_the_proxys_word_counts_from_the_proxy_only(url: str, library: Library, random_models: dict[str, Path]) -> None:
    header = {"x-forwarded-user": "bob"}
    assert [c["name"] for c in httpx.get(f"{url}/api/collections", headers=header).json()] == ["shore"]
    unknown = httpx.get(f"{url}/api/collections", headers={"x-forwarded-user": "eve"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (403, "unknown_user")
    twice = httpx.get(f"{url}/api/collections", headers=[("x-forwarded-user", "bob"), ("x-forwarded-user", "zoe")])
    assert twice.status_code == 403
    elsewhere = library.settings.model_copy(update={"proxy_address": "10.0.0.0/8"})
    with Library(settings=elsewhere) as other, listening(other) as address:
        assert httpx.get(f"{address}/api/collections", headers=header).status_code == 401


def test_a_proxys_header_needs_to_say_whose_it_is() -> None:
    with pytest.raises(ValueError, match="OMNIBUS_PROXY_ADDRESS"):
        Settings(proxy_user_header="X-Forwarded-User")
    with pytest.raises(ValueError, match="does not appear to be"):
        Settings(proxy_address="the proxy")


def test_a_server_without_users_answers_its_own_machine_only(tmp_path: Path, random_models: dict[str, Path]) -> None:
    assert [is_loopback(a) for a in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "localhost", "")] == [True] * 5
    assert [is_loopback(a) for a in ("0.0.0.0", "192.168.1.2", "::", "example.org")] == [False] * 4
    with Library(settings=Settings(home=tmp_path, model=str(random_models["llama"]))) as open_library:
        app = create_app(open_library)

        def status(client: str) -> int:
            transport = httpx.ASGITransport(app, client=(client, 1))

            async def get() -> int:
                async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as asking:
                    return (await asking.get("/api/collections")).status_code

            import anyio

            return anyio.run(get)

        assert status("127.0.0.1") == 200
        assert status("192.168.1.2") == 403


# -- Gradio's own routes ---------------------------------------------------------------------------------------------


def event(client: httpx.Client, fn: str, data: list[Any], session: str, library: Library) -> httpx.Response:
    """Make an event of the page by hand, as its script would."""
    config = client.get("/config").json()
    (number,) = (d["id"] for d in config["dependencies"] if d["api_name"] == fn)
    return client.post("/gradio_api/queue/join", json={"data": data, "fn_index": number, "session_hash": session})


def outcome(client: httpx.Client, session: str) -> str:
    """All that the stream of a session says until its event is done."""
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        assert stream.status_code == 200
        return "\n".join(line for line in stream.iter_lines())


@pytest.mark.parametrize(
    ("fn", "data"),
    [
        ("plan", ["hut", None, "auto", 256]),
        ("choose", ["hut", None]),
        ("earlier", ["hut", None, ""]),
        ("suggest", ["hut", None]),
        ("watches", ["hut"]),
        ("warm", ["hut"]),
        ("reopen", [1, "hut", None]),
        ("respond", ["Which code?", "hut", None, "auto", "", 0, 16, ""]),
    ],
)
def test_a_hand_made_event_gives_nothing_of_another_users_collection(
    url: str, library: Library, fn: str, data: list[Any]
) -> None:
    alice = library.users.named("alice")
    assert alice is not None
    library.seen_by(alice).collection("hut").conversations.add("Which code opens the safe?", ANSWER)
    with signed_in(url, "bob") as bob, signed_in(url, "alice") as her:
        assert event(bob, fn, data, f"b-{fn}", library).status_code == 200
        said = outcome(bob, f"b-{fn}")
        assert "process_completed" in said
        assert not any(word in said for word in ("marigold", "hut.txt", "opens the safe"))
        if fn in ("choose", "earlier"):
            event(her, fn, data, f"a-{fn}", library)
            assert ("hut.txt" if fn == "choose" else "opens the safe") in outcome(her, f"a-{fn}")


def test_a_session_of_the_page_is_its_users_own(url: str, library: Library) -> None:
    with signed_in(url, "alice") as alice, signed_in(url, "bob") as bob:
        assert event(alice, "open", [""], "alices", library).status_code == 200
        assert event(bob, "open", [""], "alices", library).status_code == 403
        assert bob.get("/gradio_api/queue/data?session_hash=alices").status_code == 403
        assert bob.get("/gradio_api/heartbeat/alices").status_code == 403
        run = {"data": [], "fn_index": 0, "session_hash": "alices"}
        assert bob.post("/gradio_api/run/predict", json=run).status_code == 403
        cancel = {"session_hash": "alices", "fn_index": 0, "event_id": "x"}
        assert bob.post("/gradio_api/cancel", json=cancel).status_code == 403
        assert "hut" in outcome(alice, "alices")


def test_a_hand_made_event_of_a_reader_adds_nothing(url: str, library: Library) -> None:
    with signed_in(url, "bob") as bob:
        event(bob, "add", [None, "shore"], "b-add", library)
        assert "may read here, not add" in outcome(bob, "b-add")


def test_no_file_is_readable_through_gradio_nor_fetched_for_it(url: str, library: Library) -> None:
    with signed_in(url, "zoe") as zoe:
        (path,) = zoe.post("/gradio_api/upload", files={"files": ("a.txt", b"uploaded")}).json()
        for reached in (path, "/etc/hostname", str(library.settings.database), "http://127.0.0.1:9/x"):
            for route in ("/gradio_api/file=", "/file=", "/gradio_api/proxy=", "/gradio_api/file/"):
                assert zoe.get(route + reached).status_code == 404, route + reached
        for named in ("http://127.0.0.1:9/x", str(library.settings.database), f"{path}/../../../library.db", "x", 1):
            file = {"path": named, "meta": {"_type": "gradio.FileData"}}
            assert event(zoe, "add", [[file], "shore"], "z", library).status_code == 400, named
        assert [d.path for d in library.collection("shore").documents()] == ["notes.txt"]
        uploaded = {"path": path, "meta": {"_type": "gradio.FileData"}}
        assert event(zoe, "add", [[uploaded], "zoes"], "z", library).status_code == 200
        assert "1 added to" in outcome(zoe, "z")
        library.delete_collection("zoes")


def test_an_upload_has_a_limit_on_gradios_route_too(url: str) -> None:
    with signed_in(url, "zoe") as zoe:
        assert zoe.post("/gradio_api/upload", files={"files": ("a.txt", b"x" * (3 << 19))}).status_code == 413
        assert zoe.post("/gradio_api/upload", files={"files": ("a.txt", b"x" * (3 << 20))}).status_code == 413


def test_what_gradio_records_or_describes_is_off(url: str) -> None:
    with signed_in(url, "zoe") as zoe:
        for path in ("/monitoring", "/monitoring/summary", "/gradio_api/runs", "/gradio_api/info", "/login", "/logout"):
            assert zoe.get(path).status_code == 404, path
        for path in ("/gradio_api/call/open", "/gradio_api/component_server", "/gradio_api/vibe-edit"):
            assert zoe.post(path, json={}).status_code == 404, path
        config = zoe.get("/config").json()
    assert config["analytics_enabled"] is False
