"""The Inside view of an answer whose prefill was sparse: heads told apart, times measured, places that open."""

from __future__ import annotations

import re

from app.library import Library
from tests.conftest import SAMPLES
from tests.ui.conftest import Visit


def test_inside_tells_heads_apart_and_a_part_of_the_map_opens_its_place(
    visit: Visit, house: tuple[str, Library]
) -> None:
    library = house[1]
    policy = library.settings.policy
    visit.collection("inside")
    assert visit.page.input_value("#collection input") == "inside", "a name, not the text of that key"
    visit.upload(SAMPLES / "handbook.md", SAMPLES / "booking.py", SAMPLES / "handbook.pdf")
    visit.page.wait_for_selector("#plan .stack", timeout=60_000)
    library.use(policy="auto:minimum=512")
    try:
        visit.ask("How many solar panels does the roof carry?")
        visit.page.wait_for_selector("#chat a.cite", timeout=120_000)
    finally:
        library.use(policy=policy)
    visit.page.click("a[href='#inside-0']")
    visit.page.wait_for_selector("#source svg.heat.computed")
    steps = visit.page.locator("#source svg.heat.computed path").count()
    assert steps > 3, "heads differ"
    assert visit.page.locator("#source svg.heat.lost path").count() > 1
    words = visit.page.inner_text("#source")
    for part in ("choosing keys", "attention", "audit", "linear layers", "copies", "writing"):
        assert float(re.search(rf"{part}[^\n]*\n+([\d.]+) s", words).group(1)) >= 0, part  # type: ignore[union-attr]
    assert re.search(r"computed \d+% of the attention", words)
    assert re.search(r"holds \d+\.\d% of what complete attention", words)
    assert "The store" in words or "the store holds" in words
    visit.look("heads-light-1400")
    visit.page.evaluate("document.body.classList.add('dark')")
    visit.page.locator("#source ul.map").scroll_into_view_if_needed()
    visit.look("map-dark-1400")
    visit.page.set_viewport_size({"width": 375, "height": 800})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 375
    visit.page.locator("#source svg.heat.computed").scroll_into_view_if_needed()
    visit.look("heads-dark-375")
    shares = [
        _share(str(title))
        for title in visit.page.evaluate("[...document.querySelectorAll('#source .cells a')].map(a => a.title)")
    ]
    strongest = max(range(len(shares)), key=shares.__getitem__)
    assert 0.9 < sum(shares) / 100 < 1.1, "all documents together had nearly all of it"
    visit.page.locator("#source .cells a").nth(strongest).click()
    visit.page.wait_for_selector("#source tr.hit")
    assert "handbook" in visit.page.inner_text("#source .source-head")


def _share(title: str) -> float:
    return float(title.rsplit(": ", 1)[1].removesuffix("%"))
