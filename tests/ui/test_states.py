"""What the page says of a state it is in: how sure a quote is, what a model needs, what fits."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from playwright.sync_api import Browser

from tests.conftest import SAMPLES
from tests.ui.conftest import Visit, number, serving
from tests.ui.set_answers import answering

EXACT, SLIP, INVENTED = (
    "The roof carries 18 solar panels.",
    "The roof carries 18 solar panles.",
    "The hut burned down in 1999 and was never built again.",
)
WEIGHTS = 900 * 10**9


def test_a_badge_says_whether_a_quote_is_exact_fuzzy_or_nowhere(
    browser: Browser, default_model_path: Path, tmp_path: Path
) -> None:
    words = " ".join(f'It says "{quote}"' for quote in (EXACT, SLIP, INVENTED))
    with (
        answering(words) as url,
        serving(tmp_path / "home", default_model_path.parent, generator_url=url) as (address, library),
    ):
        library.collection("default").add_bytes("handbook.md", (SAMPLES / "handbook.md").read_bytes())
        visit = Visit(browser, address)
        visit.page.wait_for_function(
            "w => document.querySelector('#plan').innerText.includes(w)", arg=url.split("/")[2]
        )
        assert not library.loaded, "no model is loaded to count for an engine that counts itself"
        visit.ask("How many solar panels does the roof carry?")
        visit.page.wait_for_selector("#chat p.stats", timeout=60_000)
        cites = visit.page.locator("#chat a.cite")
        assert [(str(c.get_attribute("class")).split()[-1], c.inner_text()) for c in cites.all()] == [
            ("exact", "[1] handbook.md, line 15"),
            ("fuzzy", "[2] handbook.md, line 15"),
            ("unverified", "[3] not found in the documents"),
        ]
        doubtful = visit.page.locator("#chat .citations li:has(.badge)")
        assert [row.locator("a.cite").inner_text()[:3] for row in doubtful.all()] == ["[2]"]
        for at, badge in enumerate(("exact quote", "nearly this wording")):
            cites.nth(at).click()
            visit.page.wait_for_function("w => document.querySelector('#source .badge')?.innerText === w", arg=badge)
            assert EXACT in visit.page.inner_text("#source tr.hit")
        cites.nth(2).click()
        visit.page.wait_for_selector("#source .badge.unverified")
        source = visit.page.inner_text("#source")
        assert INVENTED in source
        assert "Do not rely on it" in source
        assert visit.page.locator("#source tr").count() == 0, "no document is shown for it"
        visit.look("unverified")
        visit.page.close()


def test_a_model_too_large_for_this_machine_says_how_much_it_needs(
    browser: Browser, default_model_path: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    (models / "giant").mkdir(parents=True)
    (models / default_model_path.name).symlink_to(default_model_path)
    shutil.copy(default_model_path / "config.json", models / "giant")
    with (models / "giant" / "model.safetensors").open("wb") as weights:
        weights.truncate(WEIGHTS)  # a hole: it takes no room
    with serving(tmp_path / "home", models) as (address, _):
        visit = Visit(browser, address)
        visit.tab("Settings")
        visit.page.wait_for_selector("#model input")
        said = visit.page.locator("#model label", has_text="giant").inner_text()
        needs = re.search(r"giant · needs ([\d,.]+) GB, ([\d,.]+) are free", said)
        assert needs is not None, said
        assert float(needs[1].replace(",", "")) >= WEIGHTS / 1e9 > float(needs[2].replace(",", ""))
        assert " · fits" in visit.page.locator("#model label:has(input:checked)").inner_text()
        visit.look("models")
        visit.page.close()


def test_a_pinned_document_moves_in_the_meter_from_passages_to_documents(visit: Visit) -> None:
    visit.collection("pins")
    visit.tab("Settings")
    visit.page.get_by_label("Passages only").click()
    visit.tab("Library")
    visit.upload(SAMPLES / "handbook.md", SAMPLES / "booking.py")
    visit.page.wait_for_selector("#plan .stack", timeout=60_000)
    before = meter(visit)
    assert before["documents"] == 0 < before["passages"]
    row = visit.page.locator("#documents tr", has_text="booking.py")
    size = number(row.locator("td").last.inner_text())
    row.get_by_role("button", name="pin: booking.py").click()
    visit.page.wait_for_selector("#documents tr.pinned")
    visit.page.wait_for_function("document.querySelector('#plan .legend .ctx-corpus') !== null")
    assert meter(visit) == {**before, "documents": size, "passages": before["passages"] - size}
    visit.look("pinned")
    row.get_by_role("button", name="unpin: booking.py").click()
    visit.page.wait_for_function("document.querySelector('#plan .legend .ctx-corpus') === null")
    assert meter(visit) == before


def meter(visit: Visit) -> dict[str, int]:
    """Tokens by part, as a screen reader is told them."""
    label = str(visit.page.get_attribute("#plan .meter-stack", "aria-label"))
    return {part: number(said) for part, said in (each.split(": ") for each in label.split("; "))}
