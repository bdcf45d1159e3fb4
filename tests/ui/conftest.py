"""A server over a fresh home, Chromium, and a person at the page."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from app.library import Library
from app.server import create_app
from app.settings import Settings

QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
).split()
ROWS = "#documents tbody tr"
LONG = "The keeper walks along the shore and looks at the sea again. " * 420
"""About 6,000 tokens: a prefill of many seconds, to be stopped."""


@contextmanager
def serving(home: Path, models: Path, **settings: Any) -> Iterator[tuple[str, Library]]:
    """The address of a server over a home of its own, and its library."""
    home.mkdir(exist_ok=True)
    (home / "models").symlink_to(models)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Library(settings=Settings(home=home, **settings)) as library:
        server = uvicorn.Server(uvicorn.Config(create_app(library), host="127.0.0.1", port=port, log_level="error"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", library
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory, default_model_path: Path) -> Iterator[tuple[str, Library]]:
    """A server for all tests of the page, each with collections of its own."""
    with serving(tmp_path_factory.mktemp("page") / "home", default_model_path.parent) as made:
        yield made


@pytest.fixture
def served(house: tuple[str, Library]) -> str:
    """Its address."""
    return house[0]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("The page's tests drive Chromium. Install it with: apt-get install chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield launched
        launched.close()


def number(said: str) -> int:
    """A whole number as the English page writes it."""
    return int(said.replace(",", ""))


class Visit:
    """A person at the page; every request of the browser is noted."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.page: Page = browser.new_page(**{"viewport": {"width": 1400, "height": 900}, **options})
        self.requests: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)
        self.page.wait_for_function("document.querySelector('#collection input')?.value")  # the first look is loaded

    def collection(self, name: str) -> None:
        """Name a new collection, whatever the page is still about to show."""
        self.page.fill("#collection input", name)
        self.page.press("#collection input", "Enter")
        self.page.wait_for_timeout(300)
        self.page.wait_for_selector("#documents .empty")

    def upload(self, *paths: Path) -> None:
        before = self.page.locator(ROWS).count()
        self.page.set_input_files("#upload input[type=file]", [str(p) for p in paths])
        self.page.wait_for_function(
            f"n => document.querySelectorAll('{ROWS}').length === n", arg=before + len(paths), timeout=30_000
        )

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()

    def ready(self) -> None:
        """Wait until the last question and the plan behind it are done with."""
        self.page.wait_for_selector("#plan .state.ready", timeout=90_000)

    def status(self, words: str, timeout: int = 60_000) -> None:
        """Wait until the line under the chat has these words."""
        self.page.wait_for_function(
            "w => document.querySelector('#status').textContent.includes(w)", arg=words, timeout=timeout
        )

    def ask(self, question: str) -> None:
        self.page.fill("#question textarea", question)
        self.page.click("#ask")

    def look(self, name: str) -> None:
        """Keep a screenshot where OMNIBUS_SCREENSHOTS names a folder."""
        if folder := os.environ.get("OMNIBUS_SCREENSHOTS"):
            self.page.wait_for_timeout(400)  # colours fade
            self.page.screenshot(path=str(Path(folder) / f"{name}.png"))


@pytest.fixture
def visit(browser: Browser, served: str) -> Iterator[Visit]:
    made = Visit(browser, served)
    yield made
    outside = [url for url in made.requests if not url.startswith((served, "data:", "blob:"))]
    made.page.close()
    assert outside == []
