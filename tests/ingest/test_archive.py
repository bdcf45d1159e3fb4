"""Archives: every file inside gets a verdict, and no archive unpacks beyond its limits."""

from __future__ import annotations

import gzip
import io
import tarfile
import time
import zipfile

import pytest

from ingest import read_all_bytes
from ingest.archive import Budget
from tests.ingest.office import package


def tar(entries: list[tuple[str, bytes | None]], mode: str = "w:gz") -> bytes:
    """A tar; None makes a symbolic link to /etc/passwd."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as made:  # type: ignore[call-overload]
        for name, data in entries:
            info = tarfile.TarInfo(name)
            if data is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            info.size = len(data or b"")
            made.addfile(info, io.BytesIO(data or b""))
    return out.getvalue()


def verdicts(data: bytes, name: str, budget: Budget | None = None) -> dict[str, str]:
    documents = read_all_bytes(data, name, source=f"/s/{name}", budget=budget)
    assert all(d.source.startswith(f"/s/{name}") for d in documents)
    return {d.path: d.verdict.reason or d.text for d in documents}


def test_files_of_a_zip_are_documents_under_its_path() -> None:
    data = package({"b/one.md": "# One", "two.txt": "two", "photo.png": b"\x89PNG\0", "in.zip": package({"x.py": "x"})})
    assert verdicts(data, "a.zip") == {
        "a.zip/b/one.md": "# One",
        "a.zip/two.txt": "two",
        "a.zip/photo.png": "it is a binary file",
        "a.zip/in.zip/x.py": "x",
    }


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tars_of_any_packing(mode: str) -> None:
    ending = {"w": ".tar", "w:gz": ".tar.gz", "w:bz2": ".tar.bz2", "w:xz": ".tar.xz"}[mode]
    assert verdicts(tar([("d/a.txt", b"words")], mode), f"a{ending}") == {f"a{ending}/d/a.txt": "words"}


def test_a_single_packed_file() -> None:
    assert verdicts(gzip.compress(b"words"), "notes.txt.gz") == {"notes.txt.gz/notes.txt": "words"}


def test_paths_that_lead_out_and_links_are_refused() -> None:
    names = ["../up.txt", "/etc/passwd", "C:/x.txt", "a/../../b.txt", "..\\win.txt"]
    found = verdicts(package(dict.fromkeys(names, "no")), "a.zip")
    assert set(found.values()) == {"its path leads out of the archive"}
    assert len(found) == len(names)
    assert not any(".." in path for path in found)
    assert "link" in verdicts(tar([("l", None)]), "a.tar.gz")["a.tar.gz/l"]


def test_bombs_stop_at_their_limits() -> None:
    started = time.monotonic()
    flat = package({"zeros.txt": b"0" * (40 << 20), "fine.txt": "words"})
    found = verdicts(flat, "a.zip")
    assert "bombs" in found["a.zip/zeros.txt"]
    assert found["a.zip/fine.txt"] == "words"
    packed = gzip.compress(b"0" * (300 << 20), 1)
    assert "unpacks to more" in str(verdicts(packed, "a.tar.gz"))
    assert "unpacks to more" in str(verdicts(packed, "a.txt.gz")) or "larger" in str(verdicts(packed, "a.txt.gz"))
    nested = b"words"
    for level in range(6):
        nested = package({f"{level}.zip": nested})
    assert "too deep" in str(verdicts(nested, "a.zip"))
    assert time.monotonic() - started < 30


def test_counts_and_totals_are_limited_across_nested_archives() -> None:
    many = package({f"{n}.txt": f"{n}" for n in range(50)})
    found = verdicts(many, "a.zip", Budget(files_left=10))
    assert len(found) == 11
    assert "more files than are allowed" in str(found)
    inner = package({"a.txt": "a" * 600, "b.txt": "b" * 600})
    found = verdicts(package({"1.zip": inner, "2.zip": inner}), "a.zip", Budget(bytes_left=1500))
    assert "more than is allowed" in str(found)


def test_a_size_that_lies_is_found_out() -> None:
    data = bytearray(package({"a.txt": b"word " * 100}))
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = (5).to_bytes(4, "little")
    (reason,) = verdicts(bytes(data), "a.zip").values()
    assert "damaged" in reason or reason == "word "


def test_damaged_and_encrypted_archives_say_so() -> None:
    whole = package({f"{n}.txt": "words " * 50 for n in range(5)})
    assert "damaged" in str(verdicts(whole[:-40], "a.zip"))
    cut = tar([(f"{n}.txt", b"words " * 500) for n in range(5)], "w")[:5000]
    found = verdicts(cut, "a.tar")
    assert found["a.tar/0.txt"].startswith("words")
    assert "damaged" in str(found)
    locked = bytearray(package({"a.txt": "secret"}))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.find(mark) + at] |= 1
    assert "encrypted" in str(verdicts(bytes(locked), "a.zip"))


def test_an_empty_archive_and_two_files_of_one_name() -> None:
    assert verdicts(package({}), "a.zip") == {"a.zip": "it is an empty archive"}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("a.txt", "one")
        with pytest.warns(UserWarning, match="Duplicate"):
            made.writestr("a.txt", "two")
    assert verdicts(out.getvalue(), "a.zip") == {"a.zip/a.txt": "one", "a.zip/a.txt~": "two"}
