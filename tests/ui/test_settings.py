"""Settings at the page take effect; a zip becomes its files; a watched folder says how it is."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.library import Library
from tests.conftest import SAMPLES
from tests.ui.conftest import ROWS, Visit


@pytest.fixture
def as_before(house: tuple[str, Library]) -> Iterator[Library]:
    """The library, with the settings that it had put back afterwards."""
    library = house[1]
    model, policy = library.settings.model, library.settings.policy
    yield library
    library.use(model=model, policy=policy)


@pytest.mark.slow  # another model is loaded
def test_another_model_answers_and_its_choice_says_whether_it_fits(visit: Visit, as_before: Library) -> None:
    visit.collection("models")
    visit.upload(SAMPLES / "handbook.md")
    visit.ask("Who is the warden?")
    visit.page.wait_for_selector("#chat p.stats", timeout=90_000)
    used = as_before.engine.model.name
    visit.tab("Settings")
    visit.page.wait_for_selector("#model input")
    other = visit.page.locator("#model label:not(:has(input:checked))").first
    name, verdict = other.inner_text().split(" · ")
    assert verdict == "fits"
    other.click()
    visit.status("Set.")
    assert not as_before.loaded or as_before.engine.model.name != used
    visit.ask("How many solar panels does the roof carry?")
    visit.page.wait_for_function("document.querySelectorAll('#chat p.stats').length === 2", timeout=120_000)
    assert as_before.engine.model.name == name != used


def test_another_policy_is_read_under_and_its_levels_go_with_auto(visit: Visit, as_before: Library) -> None:
    visit.collection("policies")
    visit.tab("Settings")
    visit.page.wait_for_selector("#level input")
    visit.page.locator("#policy label").nth(1).click()
    visit.page.wait_for_selector("#level", state="hidden")
    assert as_before.settings.policy == "dense"
    visit.tab("Library")
    visit.upload(SAMPLES / "handbook.md")
    visit.ask("Who is the warden?")
    visit.page.wait_for_selector("#chat p.stats", timeout=90_000)
    assert "dense attention" in visit.page.inner_text("#chat p.stats")
    visit.tab("Settings")
    visit.page.locator("#policy label").nth(0).click()
    visit.page.wait_for_selector("#level input")
    visit.page.locator("#level label").nth(2).click()
    until = time.monotonic() + 10
    while as_before.settings.policy != "auto:level=high":
        assert time.monotonic() < until, as_before.settings.policy
        visit.page.wait_for_timeout(50)


def test_a_theme_is_kept_over_a_reload(visit: Visit) -> None:
    dark = "document.body.classList.contains('dark')"
    assert not visit.page.evaluate(dark)
    visit.tab("Settings")
    visit.page.locator("#theme label").nth(2).click()
    visit.page.wait_for_function(dark)
    visit.page.reload()
    visit.page.wait_for_function("document.querySelector('#collection input')?.value")
    visit.page.wait_for_function(dark)
    visit.tab("Settings")
    visit.page.locator("#theme label").nth(1).click()
    visit.page.wait_for_function(f"!{dark}")


def test_a_zip_becomes_the_files_of_its_folder(visit: Visit, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        for name in ("handbook.md", "booking.py"):
            made.writestr(f"hut/docs/{name}", (SAMPLES / name).read_bytes())
    (tmp_path / "hut.zip").write_bytes(packed.getvalue())
    visit.collection("zipped")
    visit.page.set_input_files("#upload input[type=file]", str(tmp_path / "hut.zip"))
    visit.page.wait_for_function(f"document.querySelectorAll('{ROWS}').length === 2", timeout=30_000)
    names = [name.split("/")[-1] for name in visit.page.locator(f"{ROWS} td.name > a").all_inner_texts()]
    assert sorted(names) == ["booking.py", "handbook.md"]
    assert "docs/" in visit.page.inner_text("#documents")
    visit.page.wait_for_selector("#documents details.tree", timeout=60_000)


def test_a_watched_folder_shows_its_state_and_what_comes_into_it(
    visit: Visit, house: tuple[str, Library], tmp_path: Path
) -> None:
    library, folder = house[1], tmp_path / "shore"
    folder.mkdir()
    (folder / "first.md").write_text("The lamp burns oil.\n")
    library.watching.remember("watched", [folder])
    library.watching.start(warm=False, settle_s=0.1, every_s=1.0)
    try:
        visit.page.reload()
        visit.page.wait_for_function("document.querySelector('#collection input')?.value")
        visit.page.fill("#collection input", "watched")
        visit.page.press("#collection input", "Enter")
        words = "document.querySelector('#watches').innerText.includes('watching: ')"
        visit.page.wait_for_function(words, timeout=60_000)
        assert str(folder) in visit.page.inner_text("#watches")
        (folder / "second.md").write_text("The key hangs by the door.\n")
        visit.page.wait_for_function("document.querySelector('#watches').innerText.includes('2 read')", timeout=60_000)
        visit.look("watched")
    finally:
        library.watching.forget("watched")
