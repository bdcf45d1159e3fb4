"""The plan's tree: every folder with what is below it."""

from __future__ import annotations

from app.planner import Branch, PlannedDocument, branches


def test_folders_carry_the_tokens_of_all_below() -> None:
    sizes = {"a/b/x.py": 5, "a/y.py": 2, "a-c/z.py": 1, "top.md": 10}
    made = branches([PlannedDocument(path, tokens, "whole") for path, tokens in sizes.items()])
    assert made == [Branch("", 18, 4), Branch("a", 7, 2), Branch("a/b", 5, 1), Branch("a-c", 1, 1)]
    assert branches([]) == []
