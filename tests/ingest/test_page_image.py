"""A page's picture shows the page, and its boxes stand where the words are."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from ingest import page_image
from ingest.errors import Unreadable
from tests.conftest import SAMPLES

HANDBOOK = SAMPLES / "handbook.pdf"


def test_boxes_are_around_the_passage_and_hold_ink() -> None:
    passage = "2.3 The roof carries 18 solar panels. They charge a\nbattery of 40 kilowatt hours."
    page = page_image(HANDBOOK.read_bytes(), 0, passage)
    picture = Image.open(io.BytesIO(page.png)).convert("L")
    assert picture.size == (page.width, page.height)
    assert len(page.boxes) == 2
    (left, top, right, bottom), below = page.boxes
    assert bottom < below[1] + 0.01
    assert 0 < left < right < 1
    wide, high = picture.size
    inside = picture.crop((round(left * wide), round(top * high), round(right * wide), round(bottom * high)))
    assert inside.getextrema()[0] < 100


def test_words_that_are_not_there_get_no_box() -> None:
    assert page_image(HANDBOOK.read_bytes(), 1, "The roof is made of cheese.").boxes == ()


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7 broken", Path(__file__).read_bytes()])
def test_what_cannot_be_drawn_says_so(data: bytes) -> None:
    with pytest.raises(Unreadable, match="page 1 cannot be drawn"):
        page_image(data, 0)
