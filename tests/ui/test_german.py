"""The page for a German browser: what it says about documents, answers and mistakes is German."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Browser

from tests.conftest import SAMPLES
from tests.ui.conftest import Visit

OURS = (
    "#title, #plan, #status, #documents .note, #documents .acts, #watches, #keys, "
    "#chat p.stats, #chat p.notice, #chat .citations a, #chat .answer-acts"
)
"""Where the page speaks itself; the answer is the model's, the quotes and suggested headings are the documents'."""
ENGLISH = re.compile(r"\b(the|of|is|it|are|not|with|and|tokens|read|lines?|pages?|from|were|your|here|attention \()\b")


def said(visit: Visit, places: str) -> str:
    """What stands in these places now."""
    return "\n".join(visit.page.locator(places).all_inner_texts())


def test_the_page_speaks_german_about_what_it_does_and_why(browser: Browser, served: str, tmp_path: Path) -> None:
    visit = Visit(browser, served, locale="de-DE")
    assert visit.page.get_by_role("tab", name="Bibliothek").is_visible()
    visit.collection("Hütte")
    visit.ask("")
    visit.status("Die Frage ist leer.")
    (tmp_path / "foto.png").write_bytes(b"\x89PNG\r\n\0\0")
    visit.upload(SAMPLES / "handbook.md", tmp_path / "foto.png")
    assert "übergangen: eine Binärdatei" in said(visit, "#documents")
    visit.status("foto.png wurde übergangen: eine Binärdatei.")
    visit.page.wait_for_selector("#plan .stack", timeout=60_000)
    visit.ask("How many solar panels does the roof carry?")
    visit.page.wait_for_selector("#chat p.stats", timeout=90_000)
    stats = said(visit, "#chat p.stats")
    assert re.search(r"Alle \d{3} Token der Dokumente passen und sind ganz gelesen\.", stats)
    assert re.search(r"erstes Token nach \d+,\d\d s", stats)
    assert re.search(r"handbook\.md, Zeile", said(visit, "#chat .citations a"))
    assert not ENGLISH.search(said(visit, OURS))
    visit.page.click("a[href='#inside-0']")
    visit.page.wait_for_selector("#source .inside")
    visit.page.get_by_text("Warum nicht mehr").click()
    why = said(visit, "#source .inside details")
    assert re.search(r"aufbewahrt|beginnt so", why), why
    assert not ENGLISH.search(said(visit, "#source .inside"))
    visit.look("german")
    visit.page.reload()  # and from what was kept
    visit.page.wait_for_selector("#chat p.stats")
    assert said(visit, "#chat p.stats") == stats
    visit.page.close()
