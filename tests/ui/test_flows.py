"""What people do at the page beside asking: rules, reading ahead, reloads, edits, branches, other languages, phones."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from app.library import Library
from tests.conftest import SAMPLES
from tests.ui.conftest import LONG, Visit

BOOK_BYTES = 5_000_000
OPENS_S = 0.3


def test_a_document_left_out_leaves_the_meter_and_reading_ahead_makes_it_ready(visit: Visit) -> None:
    visit.collection("rules")
    visit.upload(SAMPLES / "handbook.md", SAMPLES / "booking.py")
    visit.page.wait_for_selector("#plan .stack", timeout=60_000)
    before = str(visit.page.get_attribute("#plan .meter-stack", "aria-label"))
    visit.page.locator("#documents tr", has_text="booking.py").get_by_text("leave out").click()
    visit.page.wait_for_selector("#documents tr.excluded")
    visit.page.wait_for_function(
        "b => document.querySelector('#plan .meter-stack').getAttribute('aria-label') !== b", arg=before
    )
    visit.page.locator("#documents tr.excluded").get_by_text("take back").click()
    visit.page.wait_for_function(
        "b => document.querySelector('#plan .meter-stack').getAttribute('aria-label') === b", arg=before
    )
    visit.page.click("#plan a[href='#warm-now']")
    visit.ready()


def test_a_name_is_taken_as_typed_and_leaving_the_field_keeps_the_dialogue(
    visit: Visit, house: tuple[str, Library]
) -> None:
    house[1].collection("ledger of ships").add_bytes("ships.txt", b"The ship is old.\n")
    visit.page.reload()
    visit.page.wait_for_function("document.querySelector('#collection input')?.value")
    visit.collection("ledger")
    assert visit.page.input_value("#collection input") == "ledger"
    visit.upload(SAMPLES / "handbook.md")
    visit.ask("Who is the warden?")
    visit.page.wait_for_selector("#chat p.stats", timeout=90_000)
    visit.page.click("#collection input")
    visit.page.click("#question textarea")
    visit.page.wait_for_timeout(1000)
    assert visit.page.locator("#chat p.stats").count() == 1


def test_stop_while_it_reads_frees_the_engine_within_a_chunk(
    visit: Visit, house: tuple[str, Library], tmp_path: Path
) -> None:
    long = tmp_path / "shore.txt"
    long.write_text(LONG)
    visit.collection("shore")
    visit.upload(long)
    visit.page.wait_for_selector("#plan .stack", timeout=60_000)
    visit.tab("Settings")
    visit.page.get_by_label("Always whole").click()
    visit.ask("What does the keeper do?")
    visit.status("Reading")
    turn = house[1]._turn
    assert turn.locked()
    rate = house[1].rates.of("smollm2-135m-reader") or 300.0
    start = time.monotonic()
    visit.page.click("#stop")
    while turn.locked():
        assert time.monotonic() - start < max(1.0, 1024 / rate), "a chunk of 1,024 tokens takes no longer"
        time.sleep(0.01)
    visit.page.wait_for_function("document.querySelector('#chat').innerText.includes('Stopped.')")


def test_a_reload_while_it_reads_keeps_question_progress_and_answer(visit: Visit, tmp_path: Path) -> None:
    long = tmp_path / "bay.txt"
    long.write_text(LONG.replace("shore", "bay"))
    visit.collection("bay")
    visit.upload(long)
    visit.page.wait_for_selector("#plan .stack", timeout=60_000)
    visit.tab("Settings")
    visit.page.get_by_label("Always whole").click()
    visit.page.fill("#max-tokens input", "4")
    visit.ask("Where does the keeper walk?")
    visit.status("Reading")
    visit.page.reload()
    visit.page.wait_for_function("document.querySelector('#collection input')?.value === 'bay'")
    visit.status("Reading")
    assert "Where does the keeper walk?" in visit.page.inner_text("#chat")
    visit.page.wait_for_selector("#chat p.stats", timeout=120_000)


def test_a_question_is_edited_asked_again_and_branched(visit: Visit) -> None:
    visit.collection("edits")
    visit.upload(SAMPLES / "handbook.md")
    visit.ask("Who is the warden?")
    visit.page.wait_for_selector("#chat p.stats", timeout=90_000)
    visit.page.get_by_role("button", name="Edit").click()
    visit.page.wait_for_function("document.querySelector('#question textarea').value === 'Who is the warden?'")
    visit.page.fill("#question textarea", "How many solar panels does the roof carry?")
    visit.page.click("#ask")
    visit.page.wait_for_function("document.querySelector('#chat').innerText.includes('solar panels does')")
    visit.page.wait_for_selector("#chat p.stats", timeout=90_000)
    assert "Who is the warden?" not in visit.page.inner_text("#chat")
    visit.page.get_by_role("button", name="Branch").click()
    visit.status("This is a branch")
    visit.tab("Conversations")
    visit.page.wait_for_function("document.querySelectorAll('#earlier label').length === 2")
    with visit.page.expect_download() as saved:
        visit.page.get_by_role("button", name="JSONL").click()
    assert "solar panels" in saved.value.path().read_text()


def test_a_question_clicked_twice_is_asked_once_and_another_takes_its_place_at_once(visit: Visit) -> None:
    visit.collection("twice")
    visit.upload(SAMPLES / "handbook.md")
    first, second = "Tell me all that the handbook says.", "How many solar panels does the roof carry?"
    visit.page.fill("#question textarea", first)
    visit.page.dblclick("#ask")
    visit.page.wait_for_function("document.querySelector('#question textarea').value === ''")  # it was taken
    visit.page.wait_for_timeout(200)
    visit.ask(second)  # while the first is answered
    visit.page.wait_for_function(
        "w => document.querySelector('#chat').innerText.includes(w) && document.querySelector('#chat p.stats')",
        arg=second,
        timeout=90_000,
    )
    visit.ready()
    said = visit.page.inner_text("#chat")
    assert (said.count(first), said.count(second)) == (1, 1)
    assert "18" in said.split(second)[1]


def test_a_suggestion_asks_keys_go_from_citation_to_citation_and_again_answers_anew(visit: Visit) -> None:
    visit.collection("steps")
    visit.upload(SAMPLES / "handbook.md")
    first = visit.page.locator("#suggestions a[role=button]").first
    words = first.inner_text()
    first.click()
    visit.page.wait_for_selector("#chat p.stats", timeout=90_000)
    assert words in visit.page.inner_text("#chat")
    for done, question in enumerate(("Who is the warden of the hut?", "How many solar panels does the roof carry?"), 2):
        visit.ask(question)
        visit.page.wait_for_function(
            "n => document.querySelectorAll('#chat p.stats').length === n", arg=done, timeout=90_000
        )
    assert visit.page.locator("#chat a.cite").count() > 1
    visit.page.locator("#chat a.cite").first.click()
    visit.page.wait_for_selector("#source tr.hit")
    assert visit.page.get_by_role("button", name="Previous citation").count() == 0
    visit.page.keyboard.press("Tab")  # out of the question, where keys are letters
    visit.page.keyboard.press("]")
    visit.page.get_by_role("button", name="Previous citation").wait_for()
    visit.page.keyboard.press("[")
    visit.page.get_by_role("button", name="Previous citation").wait_for(state="detached")
    visit.page.get_by_role("button", name="Next citation").click()
    visit.page.get_by_role("button", name="Previous citation").wait_for()
    visit.page.get_by_role("button", name="Ask again").last.click()
    visit.page.wait_for_function("document.querySelectorAll('#chat p.stats').length === 2")
    visit.page.wait_for_function("document.querySelectorAll('#chat p.stats').length === 3", timeout=90_000)
    assert visit.page.inner_text("#chat").count("How many solar panels") == 1


def opened(visit: Visit, library: Library, name: str, *sizes: int) -> list[float]:
    """Seconds in which sources of so many bytes open in the browser, each for the first time."""
    line = "The keeper walks along the shore and looks at the sea again.\n"
    names = [f"{number}-{size}.txt" for number, size in enumerate(sizes)]
    for file, size in zip(names, sizes, strict=True):
        library.collection(name).add_bytes(file, (file + line * (size // len(line))).encode())
    visit.page.fill("#collection input", name)
    visit.page.press("#collection input", "Enter")
    visit.page.wait_for_selector("#documents tbody a")
    visit.page.wait_for_selector("#plan .stack", timeout=90_000)
    took = []
    for file in names:
        start = time.monotonic()
        visit.page.get_by_role("link", name=file).click()
        visit.page.wait_for_function("n => document.querySelector('#source strong')?.innerText === n", arg=file)
        took.append(time.monotonic() - start)
    assert visit.page.locator("#source tr").count() < 200, "a window of it"
    return took


def test_a_source_of_5_mb_opens_as_soon_as_a_page_the_first_time_too(visit: Visit, house: tuple[str, Library]) -> None:
    took = opened(visit, house[1], "long-book", *[100, BOOK_BYTES] * 3)
    assert statistics.median(took[1::2]) < 2 * statistics.median(took[::2]), took


@pytest.mark.slow
def test_a_source_of_5_mb_opens_in_300_ms(visit: Visit, house: tuple[str, Library]) -> None:
    """By the clock, so on a machine that does nothing else; `make test` compares with a page instead."""
    took = opened(visit, house[1], "long-books", *[BOOK_BYTES] * 5)
    print(took)
    assert statistics.median(took) < OPENS_S, took


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 375])
def test_no_serious_violation_of_accessibility_and_no_sideways_scroll(
    browser: Browser, served: str, house: tuple[str, Library], scheme: str, width: int
) -> None:
    house[1].collection("axe").add_bytes("handbook.md", (SAMPLES / "handbook.md").read_bytes())
    visit = Visit(browser, served, color_scheme=scheme, viewport={"width": width, "height": 812}, bypass_csp=True)
    visit.page.fill("#collection input", "axe")
    visit.page.press("#collection input", "Enter")
    visit.page.wait_for_selector("#plan .stack", timeout=60_000)
    visit.ask("How many solar panels does the roof carry?")
    visit.page.wait_for_selector("a.cite", timeout=90_000)
    visit.page.wait_for_timeout(600)
    found = []
    for tab in ("Settings", "Conversations", "Library"):
        visit.tab(tab)
        visit.page.wait_for_timeout(500)
        found += _violations(visit)
        visit.look(f"{tab.lower()}-{scheme}-{width}")
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    visit.page.click("a.cite")
    visit.page.wait_for_selector("#source tr.hit")
    visit.page.wait_for_timeout(500)
    found += _violations(visit)
    visit.look(f"source-{scheme}-{width}")
    visit.page.click("a[href='#inside-0']")
    visit.page.wait_for_selector("#source .inside")
    found += _violations(visit)
    visit.look(f"inside-{scheme}-{width}")
    visit.page.close()
    assert sorted(set(found)) == []


def _violations(visit: Visit) -> list[str]:
    result = Axe().run(visit.page).response
    return [
        f"{violation['id']}: {node['target']} {node.get('failureSummary', '')[:160]}"
        for violation in result["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
