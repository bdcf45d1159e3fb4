"""The tree names every document once, in a space of its own size, behind all documents."""

from __future__ import annotations

import re
import time
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import Document, Excerpt, Verdict, pack, tree_lines, whole
from ingest.tree import tree

NAMES = st.sampled_from(["a", "b", "a-", "é", "🦊", "c.py", "r s", "[tree-f7]", "[file-f7 x]", "x\ny"])
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=4).map("/".join), min_size=1, max_size=25, unique=True)


def letters(text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """A tokenizer of one token a character."""
    return [ord(c) for c in text], [(i, i + 1) for i in range(len(text))]


def document(path: str, text: str = "some words\n") -> Document:
    return Document(path, "", "0" * 64, "text", path, text, Verdict("loaded"))


def spoken(documents: list[Document], **more: object) -> str:
    return "".join(map(chr, pack(whole(documents), letters, fence="f7", tree=tree_lines, **more).token_ids))  # type: ignore[arg-type]


def test_files_stand_before_folders_and_both_in_the_order_of_their_bytes() -> None:
    paths = ["r/b/y.py", "r/b/x.py", "r/é.txt", "r/B.txt", "r/a-c/z", "r/a/z", "top.md"]
    shown = ["top.md", "r/", " B.txt", " é.txt", " a/", "  z", " a-c/", "  z", " b/", "  x.py", "  y.py"]
    assert tree(paths, 20) == tree(paths[::-1], 20) == "".join(f"{line}\n" for line in shown)
    assert tree([], 20) == ""


def test_the_deepest_levels_that_do_not_fit_are_closed_and_say_how_many_files_they_hold() -> None:
    paths = [f"r/{folder}/{sub}/{n}.py" for folder in "ab" for sub in "xy" for n in range(9)] + ["r/c/one.py"]
    assert (
        tree(paths, 12)
        == "r/\n a/\n  x/ (9 files)\n  y/ (9 files)\n b/\n  x/ (9 files)\n  y/ (9 files)\n c/\n  one.py\n"
    )
    assert tree(paths, 8) == "r/\n a/ (18 files)\n b/ (18 files)\n c/ (1 file)\n"
    assert tree(paths, 100).count("\n") == 8 + 4 * 9 + 1


@pytest.mark.parametrize(("before", "indent"), [("", ""), ("r/", " "), ("r/s/", "  ")])
def test_a_flat_folder_of_thousands_shows_its_first_files_and_counts_the_others(before: str, indent: str) -> None:
    shown = tree([f"{before}{n:04}.txt" for n in range(5000)], 100).splitlines()
    assert len(shown) == 100
    files = 99 - before.count("/")
    assert shown[before.count("/")] == f"{indent}0000.txt"
    assert shown[-1] == f"{indent}… and {5000 - files} more files"


@settings(deadline=None)
@given(PATHS, st.integers(1, 40))
def test_no_tree_takes_more_than_its_lines_and_none_loses_a_file(paths: list[str], lines: int) -> None:
    paths = [path.replace("\n", "") for path in paths]
    shown = tree(paths, lines).splitlines()
    assert 0 < len(shown) <= lines
    closed = [int(found[1]) for line in shown if (found := re.search(r"/ \((\d+) files?\)$", line))]
    cut = [int(found[1]) for line in shown if (found := re.fullmatch(r" *… and (\d+) more files", line))]
    files = [line for line in shown if "/" not in line and "…" not in line]
    assert len(cut) <= 1
    assert len(files) + sum(closed) + sum(cut) == len(paths)


@pytest.mark.parametrize("lines", [20, 10_000, 100_000])
def test_time_grows_as_the_files_do(lines: int) -> None:
    paths = [f"r/{n % 37}/{n % 999}/inner/file_{n}.py" for n in range(40_000)]

    def seconds(files: int) -> float:
        """Of the processor, the best of three."""
        took = []
        for _ in range(3):
            began = time.process_time()
            assert tree(paths[:files], lines).count("\n") <= lines
            took.append(time.process_time() - began)
        return min(took)

    assert seconds(40_000) < 8 * seconds(10_000), "four times the files"


def test_folders_deeper_than_python_calls_are_no_harm() -> None:
    assert tree(["a/" * 3000 + "x", "b"], 6000).count("\n") == 3002


def test_one_document_has_no_tree_and_several_have_it_behind_the_last() -> None:
    assert "[tree-" not in spoken([document("a.txt")])
    assert "[tree-" not in "".join(
        map(chr, pack([Excerpt(document("a.txt"), 0, 4)] * 2, letters, fence="f7").token_ids)
    )
    said = spoken([document("r/a.txt", "alpha\n"), document("r/b.txt", "beta\n")], listed=["r/c.txt"])
    assert said == (
        "[file-f7 r/a.txt]\nalpha\n\n[file-f7 r/b.txt]\nbeta\n\n[tree-f7]\nr/\n a.txt\n b.txt\n\n[left-f7]\nr/c.txt\n\n"
    )


@settings(deadline=None, max_examples=100)
@given(PATHS, st.randoms(use_true_random=False))
def test_an_edit_keeps_all_before_it_and_an_appended_file_all_documents(paths: list[str], draw: Random) -> None:
    documents = [document(path, f"text {n}\n") for n, path in enumerate(sorted(paths, key=str.encode))]
    before = pack(whole(documents), letters, fence="f7", tree=tree_lines)
    again = pack(whole(documents), letters, fence="f7", tree=tree_lines)
    assert before.digest == again.digest
    ends = before.entries[-1].token_end
    assert len(before.token_ids) == ends + before.tree_tokens
    more = pack(whole([*documents, document("~last", "new\n")]), letters, fence="f7", tree=tree_lines)
    assert np.array_equal(more.token_ids[:ends], before.token_ids[:ends])
    at = draw.randrange(len(documents))
    changed = [*documents]
    changed[at] = document(documents[at].path, "another\n")
    after = pack(whole(changed), letters, fence="f7", tree=tree_lines)
    start = before.entries[at].token_start
    assert np.array_equal(after.token_ids[:start], before.token_ids[:start])
    assert len(paths) == 1 or before.tree_tokens == after.tree_tokens > 0
    assert [s for s in before.spans.locate(ends, len(before.token_ids)) if s.char_end > s.char_start] == []


@settings(deadline=None)
@given(PATHS)
def test_no_text_and_no_name_can_pretend_to_be_a_tree(paths: list[str]) -> None:
    said = spoken([*(document(path, f"[tree-f7]\n{n}\n") for n, path in enumerate(paths)), document("~last")])
    assert len(re.findall(r"^ *\[tree-f7\]?$", said, re.MULTILINE)) == 1
    assert re.findall(r"^ *\[tree-f7", said, re.MULTILINE) == ["[tree-f7"]
