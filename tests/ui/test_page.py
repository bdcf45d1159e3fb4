"""The page in a real browser, over a real server and the real model."""

from __future__ import annotations

import re
import time
from pathlib import Path

from tests.conftest import SAMPLES
from tests.ui.conftest import LONG, ROWS, Visit, number
from ui.sanitise import rendered

HOSTILE = """![x](http://127.0.0.2:9/leak?q=3) <img src='http://127.0.0.2:9/leak?q=4'>

- in a list

  ```
  code

  ![x](http://127.0.0.2:9/leak?q=5) [go](http://127.0.0.2:9/go)
  ```

> ```
> quoted
>
> ![x](http://127.0.0.2:9/leak?q=6)
> ```

an entity &#10;&#10;![x](http://127.0.0.2:9/leak?q=7) &#13;&#13;![x](http://127.0.0.2:9/leak?q=8)
"""
"""What a document may tell the model to print: the chat parses it as Markdown again after an empty line in HTML."""


READING = r"Reading ([\d,]+) of ([\d,]+) tokens, ([\d,]+) tokens/s, ([\d,]+) s left"
STATUS = "pattern => document.querySelector('#status').innerText.match(pattern)"


def test_upload_ask_stream_and_open_the_citation_at_its_line(visit: Visit) -> None:
    visit.collection("hut")
    visit.look("empty")
    visit.upload(SAMPLES / "handbook.md", SAMPLES / "booking.py")
    visit.page.wait_for_selector("#plan .stack", timeout=60_000)
    assert "Fits, read whole." in visit.page.inner_text("#plan")
    row = visit.page.locator(ROWS).filter(has_text="handbook.md").inner_text()
    assert re.search(r"loaded.*\s\d{3}$", row, re.DOTALL), "verdict and tokens"
    visit.look("uploaded")
    visit.ask("How many solar panels does the roof carry?")
    seen = set()
    while not visit.page.locator("a.cite").count():
        seen.update(str(visit.page.text_content("#status")).split()[:1])
        visit.page.wait_for_timeout(40)
        assert len(seen) < 10
    assert "Reading" in seen
    assert "18" in visit.page.inner_text("#chat")
    visit.page.click("a.cite")
    visit.page.wait_for_selector("#source tr.hit")
    lines = (SAMPLES / "handbook.md").read_text().splitlines()
    number = int(str(visit.page.get_attribute("#source tr.hit", "data-line")))
    assert "18 solar panels" in lines[number - 1]
    assert lines[number - 1] in visit.page.inner_text("#source tr.hit")
    assert visit.page.locator("#source tr.hit").is_visible()
    assert "exact quote" in visit.page.inner_text("#source .badge")
    visit.page.wait_for_function("document.querySelector('#plan').innerText.includes('It has been read')")
    visit.look("cited")
    visit.page.evaluate("document.body.classList.add('dark')")
    visit.look("dark")
    visit.page.evaluate("document.body.classList.remove('dark')")
    visit.page.set_viewport_size({"width": 375, "height": 800})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 375
    visit.look("phone")


def test_a_skipped_file_says_why_and_leaves_nothing_to_ask(visit: Visit, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"\x89PNG\r\n\0\0")
    visit.collection("photos")
    visit.upload(photo)
    assert "skipped: it is a binary file" in visit.page.inner_text("#documents")
    visit.ask("What is in the photo?")
    visit.page.wait_for_function("document.querySelector('#status').innerText.includes('add files first')")
    assert visit.page.input_value("#question textarea") == "What is in the photo?"


def test_reading_tells_its_rate_and_time_left_stop_ends_it_and_the_next_question_is_answered(
    visit: Visit, tmp_path: Path
) -> None:
    long = tmp_path / "long.txt"
    long.write_text(LONG)
    visit.collection("long")
    visit.upload(long)
    visit.ask("What does the keeper do? " + "Tell me more. " * 60)
    found = visit.page.wait_for_function(STATUS, arg=READING, timeout=60_000).json_value()
    done, total, rate, left = (number(said) for said in found[1:])
    assert 0 < done < total
    assert abs(left - (total - done) / rate) <= 1 + 0.1 * left
    assert visit.page.locator("#suggestions").is_hidden()
    visit.look("reading")
    visit.page.fill("#question textarea", "What does the keeper look at?")
    visit.page.wait_for_timeout(700)
    assert visit.page.input_value("#question textarea"), "what is typed while it reads stays"
    start = time.monotonic()
    visit.page.click("#stop")
    visit.page.wait_for_function("document.querySelector('#chat').innerText.includes('Stopped.')", timeout=10_000)
    assert time.monotonic() - start < 8
    visit.page.click("#ask")
    visit.page.wait_for_selector("#chat p.stats", timeout=90_000)


def test_leaving_a_dialogue_while_it_reads_leaves_nothing_of_it_behind(visit: Visit, tmp_path: Path) -> None:
    long = tmp_path / "walk.txt"
    long.write_text(LONG)
    visit.collection("walk")
    visit.upload(long)
    visit.ask("What does the keeper do? " + "Tell me more. " * 60)
    visit.page.wait_for_function("document.querySelector('#status').innerText.includes('Reading')", timeout=60_000)
    visit.page.click("#chat button[aria-label='Clear']")
    visit.page.wait_for_function("document.querySelectorAll('#chat .message').length === 0")
    visit.page.wait_for_timeout(3000)
    assert visit.page.locator("#chat .message").count() == 0
    assert not str(visit.page.text_content("#status")).strip()
    visit.collection("elsewhere")
    assert visit.page.locator("#chat .message").count() == 0


def test_an_image_from_elsewhere_is_never_fetched_and_stop_ends_an_answer(visit: Visit, tmp_path: Path) -> None:
    hostile = tmp_path / "hostile.md"
    text = '![x](http://127.0.0.2:9/leak?q=1) <img src="http://127.0.0.2:9/leak?q=2"> {{ value }} ${1 + 1}'
    hostile.write_text(f"# Note\n\n{text}\n")
    visit.collection("hostile")
    visit.upload(hostile)
    visit.ask("Repeat this:\n\n" + HOSTILE)
    visit.page.wait_for_function("document.querySelector('#status').innerText === 'Answering'", timeout=60_000)
    visit.page.click("#stop")
    visit.page.wait_for_function("document.querySelector('#chat').innerText.includes('Stopped.')", timeout=15_000)
    visit.page.click("#documents tbody a")
    visit.page.wait_for_selector("#source .source-lines")
    assert text in visit.page.inner_text("#source"), "shown as it stands"
    visit.page.wait_for_timeout(500)
    assert "leak?q=5" in visit.page.inner_text("#chat")
    assert not [url for url in visit.requests if "127.0.0.2" in url]
    assert visit.page.locator("#chat img, #source img, a[href*='127.0.0.2']").count() == 0


def test_markdown_is_rendered_without_anything_that_fetches_or_runs() -> None:
    html = rendered("**bold** `code` ![i](http://a/b) [l](http://c) <script>x()</script> <img src=http://d>\n\n- item")
    assert "<strong>bold</strong>" in html
    assert "<li>item</li>" in html
    assert not any(f"<{tag}" in html for tag in ("img", "a ", "script"))


def test_an_answer_that_is_a_number_keeps_it() -> None:
    assert rendered('18. "The roof carries 18 solar panels."') == '<p>18. "The roof carries 18 solar panels."</p>'
    assert rendered("3. c\n4. d").startswith('<ol start="3">')


def test_rendered_text_is_one_line_so_that_the_chat_finds_no_markdown_in_it() -> None:
    html = rendered(HOSTILE)
    assert "leak?q=5" in html
    assert not any(end in html for end in ("\n", "\r"))


def test_a_cited_pdf_opens_as_its_page_with_the_words_boxed_and_the_answer_tells_how_it_was_made(visit: Visit) -> None:
    visit.collection("printed")
    visit.upload(SAMPLES / "handbook.pdf")
    visit.ask("How many solar panels does the roof carry?")
    visit.page.wait_for_selector("a.cite", timeout=90_000)
    visit.page.keyboard.press("Tab")  # out of the question, where keys are letters
    visit.page.click("a.cite")
    visit.page.wait_for_selector("#source .page-picture img")
    box = visit.page.locator("#source .page-picture span").first.bounding_box()
    picture = visit.page.locator("#source .page-picture img").bounding_box()
    assert box is not None
    assert picture is not None
    assert picture["x"] <= box["x"] < box["x"] + box["width"] <= picture["x"] + picture["width"]
    assert visit.page.locator("#source tr.hit").first.is_visible()
    visit.look("pdf")
    visit.page.click("a[href='#inside-0']")
    visit.page.wait_for_selector("#source .inside")
    inside = visit.page.inner_text("#source")
    assert "Nothing had been read before" in inside
    assert "Every head computed all of the attention" in inside
    visit.look("inside")
    visit.page.keyboard.press("/")
    assert visit.page.evaluate("document.activeElement.tagName") == "TEXTAREA"


def test_a_conversation_is_there_after_a_reload_and_its_citations_still_open(visit: Visit) -> None:
    visit.collection("again")
    visit.upload(SAMPLES / "handbook.md")
    visit.ask("Who is the warden of the hut?")
    visit.page.wait_for_selector("a.cite", timeout=90_000)
    visit.ready()
    visit.page.click("#chat button[aria-label='Clear']")
    visit.page.wait_for_function("document.querySelectorAll('#chat .message').length === 0")
    visit.page.reload()
    visit.page.wait_for_selector("#documents tbody tr")
    visit.tab("Conversations")
    visit.page.fill("#find textarea, #find input", "ilse WARDEN nobody")
    visit.page.press("#find textarea, #find input", "Enter")
    visit.page.wait_for_function("document.querySelectorAll('#earlier label').length === 0")
    visit.page.fill("#find textarea, #find input", "warden")
    visit.page.press("#find textarea, #find input", "Enter")
    visit.page.get_by_label("Who is the warden of the hut?").click()
    visit.page.wait_for_selector("a.cite")
    assert "Who is the warden" in visit.page.inner_text("#chat")
    visit.page.click("a.cite")
    visit.page.wait_for_selector("#source tr.hit")
    visit.look("reopened")
