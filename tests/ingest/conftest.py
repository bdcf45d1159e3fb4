"""What the ingest tests share: PDFs made on the spot, real git repositories, the default model's own tokenizer."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from pypdf import PdfWriter
from pypdf.constants import PageLabelStyle
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject
from tokenizers import Tokenizer

from ingest import Encode

MakePdf = Callable[..., bytes]
Git = Callable[..., str]


@pytest.fixture
def make_pdf() -> MakePdf:
    """A PDF with one string per page, the first `roman` pages labelled i, ii, …, the rest from 1."""

    def make(pages: Sequence[str], *, roman: int = 0, password: str | None = None, title: str | None = None) -> bytes:
        writer = PdfWriter()
        for text in pages:
            page = writer.add_blank_page(612, 792)
            font = DictionaryObject(
                {
                    NameObject("/Type"): NameObject("/Font"),
                    NameObject("/Subtype"): NameObject("/Type1"),
                    NameObject("/BaseFont"): NameObject("/Helvetica"),
                }
            )
            page[NameObject("/Resources")] = DictionaryObject(
                {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
            )
            lines = " T* ".join(f"({line}) Tj" for line in text.split("\n"))
            stream = DecodedStreamObject()
            stream.set_data(f"BT /F1 12 Tf 14 TL 72 720 Td {lines} ET".encode("latin-1"))
            page[NameObject("/Contents")] = writer._add_object(stream)
        if roman:
            writer.set_page_label(0, roman - 1, PageLabelStyle.LOWERCASE_ROMAN)
            writer.set_page_label(roman, len(pages) - 1, PageLabelStyle.DECIMAL)
        if title:
            writer.add_metadata({"/Title": title})
        if password:
            writer.encrypt(password, algorithm="RC4-128")
        out = io.BytesIO()
        writer.write(out)
        return out.getvalue()

    return make


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """git in a folder, with nobody's settings."""
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CEILING_DIRECTORIES": str(tmp_path),
    }

    def run(folder: Path, *arguments: str) -> str:
        made = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, check=True)
        return os.fsdecode(made.stdout)

    return run


@pytest.fixture(scope="session")
def tokenizer(default_model_path: Path) -> Tokenizer:
    """The default model's tokenizer, as its file says."""
    return Tokenizer.from_file(str(default_model_path / "tokenizer.json"))


@pytest.fixture(scope="session")
def encode(tokenizer: Tokenizer) -> Encode:
    """Ids and character offsets of a text."""

    def run(text: str) -> tuple[list[int], list[tuple[int, int]]]:
        made = tokenizer.encode(text, add_special_tokens=False)
        return made.ids, made.offsets

    return run


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    """git in a folder, with nobody's settings."""
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CEILING_DIRECTORIES": str(tmp_path),
    }

    def run(folder: Path, *arguments: str) -> str:
        made = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, check=True)
        return os.fsdecode(made.stdout)

    return run
