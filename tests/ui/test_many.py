"""Many people at once on one small machine: first come, first served, and nobody loses or meets a message."""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from app.library import Library
from tests.ui.conftest import serving

OPENS_S = 1.0
"""Median time to open a document while everybody's answers are in the making."""
OBSERVE = """
window.places = [];
window.seen = 0;
setInterval(() => {
  const found = /(\\d+) before you/.exec(document.querySelector('#status')?.textContent || '');
  if (found && window.places.at(-1) !== Number(found[1])) window.places.push(Number(found[1]));
  if (!window.seen && document.querySelector('#chat p.stats')) window.seen = Date.now();
}, 40);
"""


def together(browser: Browser, home: Path, models: Path, people: int) -> dict[str, Any]:
    """Everybody asks a question of their own collection at about the same time; what each saw."""
    with serving(home, models, max_new_tokens=24) as (address, library):
        for i in range(people):
            library.collection(f"door-{i:02}").add_bytes(f"door{i:02}.md", _fact(i).encode())
        pages = [_page(browser, address, i) for i in range(people)]
        try:
            with library.turn():  # somebody else's, until all have asked
                for i, page in enumerate(pages):
                    page.fill("#question textarea", f"What is the code of door {i:02}?")
                    page.click("#ask")
                    page.wait_for_function("window.places.length", timeout=60_000)
            opened = [_open(page, i) for i, page in enumerate(pages)]
            for page in pages:
                page.wait_for_function("window.seen", timeout=400_000)
            return {
                "opened_s": opened,
                "places": [page.evaluate("window.places") for page in pages],
                "done": [_kept(library, i) for i in range(people)],
                "chats": [page.inner_text("#chat") for page in pages],
            }
        finally:
            for page in pages:
                page.context.close()


def _kept(library: Library, i: int) -> float:
    """When the only answer of a door's collection was complete and kept, seconds."""
    (conversation,) = library.collection(f"door-{i:02}").conversations.all()
    assert conversation.turns == 1
    return conversation.updated.timestamp()


def _fact(i: int) -> str:
    return f"# Door {i:02}\n\nThe code of door {i:02} is {1000 + 37 * i}.\n"


def _page(browser: Browser, address: str, i: int) -> Page:
    context = browser.new_context(locale="en-GB", viewport={"width": 1400, "height": 900})
    context.add_init_script(OBSERVE)
    page = context.new_page()
    page.goto(address)
    page.wait_for_function("document.querySelector('#collection input')?.value", timeout=60_000)
    page.fill("#collection input", f"door-{i:02}")
    page.press("#collection input", "Enter")
    page.get_by_role("link", name=f"door{i:02}.md", exact=True).wait_for(timeout=60_000)
    return page


def _open(page: Page, i: int) -> float:
    start = time.monotonic()
    page.get_by_role("link", name=f"door{i:02}.md", exact=True).click()
    page.wait_for_function(
        "n => document.querySelector('#source strong')?.innerText === n", arg=f"door{i:02}.md", timeout=60_000
    )
    return time.monotonic() - start


def check(seen: dict[str, Any]) -> None:
    """Everybody's own answer, in the order of asking, the place in the queue shown, and documents opened meanwhile."""
    people = len(seen["chats"])
    for i, chat in enumerate(seen["chats"]):
        assert f"door {i:02}" in chat
        assert f"door{i:02}.md" in chat, "cited"
        assert str(1000 + 37 * i) in chat
        others = [j for j in range(people) if j != i and (f"door{j:02}" in chat or str(1000 + 37 * j) in chat)]
        assert others == [], f"{i} met messages of others"
    assert seen["done"] == sorted(seen["done"]), "first come, first served"
    assert all(places == sorted(places, reverse=True) for places in seen["places"]), "nobody is pushed back"
    assert [places[0] for places in seen["places"]] == list(range(1, people + 1)), "each was told its place"
    assert statistics.median(seen["opened_s"]) < OPENS_S, seen["opened_s"]


def test_three_people_at_once_each_get_their_own_answer_in_turn(
    browser: Browser, tmp_path: Path, default_model_path: Path
) -> None:
    check(together(browser, tmp_path / "home", default_model_path.parent, 3))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_people_at_once_each_get_their_own_answer_in_turn(
    browser: Browser, tmp_path: Path, default_model_path: Path
) -> None:
    seen = together(browser, tmp_path / "home", default_model_path.parent, 20)
    if file := os.environ.get("OMNIBUS_FIGURES"):
        Path(file).write_text(json.dumps({key: seen[key] for key in ("opened_s", "places", "done")}))
    check(seen)
