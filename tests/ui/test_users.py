"""Two users in two browsers, over a real server and the real model: neither meets what is the other's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from app.library import Library
from app.settings import Settings
from tests.app.serving import listening

PASSWORD = "correct horse battery"
ELSEWHERE = "http://127.0.0.2:9"
HOSTILE = (
    f"The safe of the hut opens with 4711 ![x]({ELSEWHERE}/leak?q=1) "
    f'<img src="{ELSEWHERE}/leak?q=2"> [more]({ELSEWHERE}/go).'
)
"""A sentence that proves the answer, so that it is quoted under it as it stands."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, default_model_path: Path) -> Iterator[str]:
    """Alice sees the hut, Bob the shore; Zoe administers."""
    home = tmp_path_factory.mktemp("home")
    (home / "models").symlink_to(default_model_path.parent)
    with Library(settings=Settings(home=home)) as library:
        library.collection("hut").add_bytes("hut.md", HOSTILE.encode())
        library.collection("shore").add_bytes("shore.md", b"The keeper of the shore is Ines Roth.\n")
        for name in ("alice", "bob", "zoe"):
            library.users.add(name, "admin" if name == "zoe" else "reader", PASSWORD)
        library.users.grant("alice", ["hut"])
        library.users.grant("bob", ["shore"])
        with listening(library) as address:
            yield address


class Person:
    """Somebody with a browser of its own, in which every request is noted."""

    def __init__(self, browser: Browser, url: str, name: str) -> None:
        self.context = browser.new_context(locale="en-GB", viewport={"width": 1400, "height": 900})
        self.page: Page = self.context.new_page()
        self.url, self.requests = url, list[str]()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)
        assert self.page.url == f"{url}/sign-in"
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_function("document.querySelector('#collection input')?.value")
        self.page.wait_for_function("name => document.querySelector('#who strong')?.innerText === name", arg=name)

    def ask(self, question: str) -> None:
        self.page.fill("#question textarea", question)
        self.page.click("#ask")
        self.page.wait_for_selector("#chat a.cite", timeout=120_000)

    def leave(self) -> None:
        outside = [url for url in self.requests if not url.startswith((self.url, "data:"))]
        self.context.close()
        assert outside == []


def test_two_users_do_not_meet_each_others_collections_or_conversations(browser: Browser, url: str) -> None:
    alice, bob = Person(browser, url, "alice"), Person(browser, url, "bob")
    try:
        assert alice.page.input_value("#collection input") == "hut"
        assert bob.page.input_value("#collection input") == "shore"
        alice.ask("What does the safe of the hut open with?")
        for person, own, others in ((alice, "hut", "shore"), (bob, "shore", "hut")):
            listed = person.page.evaluate("fetch('/api/collections').then(r => r.json())")
            assert [c["name"] for c in listed] == [own]
            status = f"fetch('/api/collections/{others}/documents').then(r => r.status)"
            assert person.page.evaluate(status) == 404
        box = bob.page.locator("#collection input")
        box.fill("hut")  # the name is known, and typed
        box.press("Enter")
        bob.page.wait_for_selector("#documents .empty")
        bob.page.fill("#question textarea", "What does the safe of the hut open with?")
        bob.page.click("#ask")
        bob.page.wait_for_function("document.querySelector('#status').innerText.includes('no collection')")
        seen = bob.page.evaluate("document.body.innerText")
        assert "4711" not in seen
        assert "hut.md" not in seen
        assert not bob.page.evaluate("[...document.querySelectorAll('input')].some(i => i.value.includes('safe'))")
    finally:
        alice.leave()
        bob.leave()


def test_the_key_of_anothers_tab_gives_nothing_of_what_it_asks(browser: Browser, url: str) -> None:
    alice, bob = Person(browser, url, "alice"), Person(browser, url, "bob")
    try:
        key = alice.page.evaluate("sessionStorage.getItem('omnibus-tab')")
        assert key
        alice.page.fill("#question textarea", "What does the safe of the hut open with?")
        alice.page.click("#ask")
        alice.page.wait_for_function("document.querySelector('#chat').innerText.includes('safe of the hut')")
        bob.page.evaluate("key => sessionStorage.setItem('omnibus-tab', key)", key)
        bob.page.reload()
        bob.page.wait_for_function("document.querySelector('#collection input')?.value === 'shore'")
        alice.page.wait_for_selector("#chat a.cite", timeout=120_000)
        assert bob.page.locator("#chat .message").count() == 0
        assert not str(bob.page.text_content("#status")).strip()
        bob.page.click("#stop")
        assert "4711" not in bob.page.evaluate("document.body.innerText")
    finally:
        alice.leave()
        bob.leave()


def test_what_a_document_tells_to_fetch_is_quoted_and_never_fetched(browser: Browser, url: str) -> None:
    alice = Person(browser, url, "alice")
    try:
        alice.ask("What does the safe of the hut open with?")
        alice.page.wait_for_function("document.querySelector('#chat').innerText.includes('leak?q=1')")
        alice.page.click("#chat a.cite")
        alice.page.wait_for_selector("#source tr.hit")
        assert f"{ELSEWHERE}/leak?q=2" in alice.page.inner_text("#source tr.hit")
        alice.page.wait_for_timeout(500)
        assert alice.page.locator(f"#chat img, #source img, [href*='{ELSEWHERE}'], [src*='{ELSEWHERE}']").count() == 0
        assert not [request for request in alice.requests if ELSEWHERE in request]
    finally:
        alice.leave()


def test_the_policy_stops_an_image_even_if_it_came_to_be(browser: Browser, url: str) -> None:
    alice = Person(browser, url, "alice")
    blocked: list[str] = []
    alice.page.on("console", lambda message: blocked.append(message.text))
    alice.page.evaluate(f"document.body.insertAdjacentHTML('beforeend', '<img src=\"{ELSEWHERE}/leak?q=3\">')")
    alice.page.wait_for_timeout(500)
    alice.context.close()
    assert any("Content Security Policy" in text and "leak?q=3" in text for text in blocked)


def test_a_reader_has_no_field_for_files_and_an_admin_has(browser: Browser, url: str) -> None:
    for name, there in (("bob", False), ("zoe", True)):
        person = Person(browser, url, name)
        person.page.wait_for_timeout(500)
        assert (person.page.locator("#upload input[type=file]").count() > 0) is there
        person.leave()


def test_signing_out_closes_the_page_and_the_next_user_finds_nothing(browser: Browser, url: str) -> None:
    alice = Person(browser, url, "alice")
    alice.page.get_by_role("button", name="Sign out").click()
    alice.page.wait_for_url("**/sign-in")
    alice.page.goto(url)
    assert alice.page.url == f"{url}/sign-in"
    alice.page.get_by_label("Name").fill("bob")
    alice.page.get_by_label("Password").fill("not it")
    alice.page.keyboard.press("Enter")
    assert alice.page.get_by_role("alert").inner_text() == "Name or password is wrong."
    assert alice.page.input_value("input[name=name]") == "bob"
    alice.page.get_by_label("Password").fill(PASSWORD)
    alice.page.keyboard.press("Enter")
    alice.page.wait_for_function("document.querySelector('#collection input')?.value === 'shore'")
    alice.leave()
