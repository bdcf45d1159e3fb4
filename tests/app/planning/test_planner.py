"""Plans: what goes in and why, by rules and by room; snapshots give it again to the byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.answering import prompt
from app.collection import Collection
from app.errors import EmptyCollection, NoSuchSnapshot, NotARule, SnapshotIncomplete
from app.library import Library
from app.planning.planner import Branch, Budget, Plan, PlannedDocument, branches, choose_mode, choose_passages
from app.search.search import Hit
from app.settings import Settings
from app.watch.watch import Watcher
from engine.models.model import LanguageModel
from ingest import Document, Verdict

PROSE = "The ferry leaves at nine and the lamp is lit at dusk. "


@pytest.fixture
def code(short_library: Library, tmp_path: Path) -> Collection:
    """json's sources, a reader's guide, and tests: about 9,700 tokens, more than the base model's window."""
    root = tmp_path / "r"
    (root / "tests").mkdir(parents=True)
    for file in Path(json.__file__).parent.glob("*.py"):
        (root / file.name).write_text(file.read_text())
    (root / "README.md").write_text("# Guide\n" + PROSE * 20)
    (root / "tests" / "test_it.py").write_text("def test_it():\n    assert 1\n" + "# more\n" * 400)
    (root / "notes.txt").write_text(PROSE * 700)
    collection = short_library.collection("code")
    collection.add(root)
    return collection


def shares(plan: Plan) -> dict[str, str]:
    return {d.path: d.included for d in plan.documents}


def test_folders_carry_the_tokens_of_all_below() -> None:
    sizes = {"a/b/x.py": 5, "a/y.py": 2, "a-c/z.py": 1, "top.md": 10}
    made = branches([PlannedDocument(path, tokens, "whole", tokens, None, 0, "") for path, tokens in sizes.items()])
    assert made == [Branch("", 18, 18, 4), Branch("a", 7, 7, 2), Branch("a/b", 5, 5, 1), Branch("a-c", 1, 1, 1)]
    assert branches([]) == []


def test_a_corpus_beyond_the_window_is_read_as_far_as_it_goes_and_each_document_says_why(code: Collection) -> None:
    plan = code.plan(mode="whole")
    made = shares(plan)
    assert made["r/README.md"] == "whole"
    assert made["r/notes.txt"] == "listed"  # larger than the window and no code
    assert "outlined" in made.values()
    taken = sum(d.prompt_tokens for d in plan.documents)
    assert taken <= plan.window < plan.corpus_tokens
    assert taken > 0.8 * (plan.window - 512)  # the room is used
    outlined = next(d for d in plan.documents if d.included == "outlined")
    assert 0 < outlined.prompt_tokens < outlined.tokens
    assert "declarations" in outlined.why
    assert plan.kv_bytes < sum(d.kv_bytes for d in plan.documents)
    assert plan.tree_tokens > 0
    assert taken + plan.tree_tokens <= plan.window - plan.system_tokens - plan.reserve_tokens
    assert plan.read_tokens == len(code.prepare(code.library.engine, "", "whole", (), None).packed.token_ids)
    assert plan.snapshot == code.plan(mode="whole").snapshot
    assert code.plan().mode == "packed"
    assert code.plan().snapshot is None


def test_what_was_read_of_a_corpus_beyond_the_window_is_ready(home: Path, random_models: dict[str, Path]) -> None:
    with Library(settings=Settings(home=home, model=str(random_models["llama"]))) as library:
        collection = library.collection("x")
        for name in "abcd":
            collection.add_bytes(f"{name}.txt", f"The keeper of {name} lights the lamp. ".encode() * 60)
        before = collection.plan(mode="whole")
        assert before.read_tokens < before.corpus_tokens
        assert not before.ready
        collection.warm()
        assert collection.plan(mode="whole").ready
        assert not collection.plan(mode="packed").ready


def test_the_core_does_not_depend_on_the_question(code: Collection) -> None:
    engine = code.library.engine
    first, second = (code.prepare(engine, q, "whole", (), 16) for q in ("Who?", "What does the decoder do with NaN?"))
    assert first.prefix == second.prefix
    assert first.snapshot == second.snapshot
    assert "r/notes.txt" in first.listed
    assert any(entry.document_path == "r/README.md" for entry in first.packed.entries)


def test_the_tree_of_the_documents_is_counted_to_the_token(library: Library) -> None:
    collection = library.collection("n")
    collection.add_bytes("a.txt", b"The lamp is lit at dusk.")
    alone = collection.plan()
    assert (alone.tree_tokens, alone.read_tokens) == (0, alone.corpus_tokens)
    collection.add_bytes("b/c.txt", b"The ferry leaves at nine.")
    plan = collection.plan()
    engine = library.engine
    prepared = collection.prepare(engine, "When?", "auto", (), 4)
    told = engine.model.decode(prepared.packed.token_ids.tolist())
    assert told.endswith(f"[tree-{collection.fence}]\na.txt\nb/\n c.txt\n\n")
    assert plan.tree_tokens == len(engine.model.encode(told[told.index("[tree-") :]))
    assert plan.read_tokens == plan.corpus_tokens + plan.tree_tokens == len(prepared.packed.token_ids)
    exact = Budget(plan.window, plan.read_tokens + 9, plan.window, 9)
    assert choose_mode(plan.corpus_tokens, plan.tree_tokens, exact, "auto")[0] == "whole"
    less = Budget(plan.window, plan.read_tokens + 8, plan.window, 9)
    assert choose_mode(plan.corpus_tokens, plan.tree_tokens, less, "auto")[0] == "packed"


def test_passages_are_named_in_their_tree_within_their_room(code: Collection) -> None:
    engine = code.library.engine
    packed = code.prepare(engine, "How does the decoder scan a string of JSON?", "packed", (), 16).packed
    named = engine.model.decode(packed.token_ids[-packed.tree_tokens :].tolist()).strip().splitlines()
    read = {entry.document_path for entry in packed.entries}
    assert named == [f"[tree-{code.fence}]", "r/", *sorted(f" {path[2:]}" for path in read if path.count("/") == 1)]
    assert len(read) > 1
    head, tail = prompt.framed(engine.model, "How does the decoder scan a string of JSON?", ())
    assert len(packed.token_ids) + len(head) + len(tail) + 16 <= engine.model.packed_window


def test_pins_come_before_all_others_and_exclusions_stay_out(code: Collection) -> None:
    code.pin_documents("tests/")
    code.exclude_documents("notes.txt", "*.md", "decoder.py", "scanner.py", "encoder.py", "tool.py")
    code.pin_documents("README.md")
    plan = code.plan(mode="whole")
    made = shares(plan)
    assert (made["r/README.md"], made["r/tests/test_it.py"], made["r/notes.txt"]) == ("whole", "whole", "excluded")
    assert {d.why for d in plan.documents if d.included == "excluded"} >= {"exclude rule 'notes.txt'"}
    assert next(d.why for d in plan.documents if d.path == "r/README.md") == "pin rule 'README.md'"
    assert plan.corpus_tokens < plan.window
    read = code.prepare(code.library.engine, "When does the ferry leave?", "packed", (), 16).packed.entries
    assert {"r/README.md", "r/tests/test_it.py"} >= {entry.document_path for entry in read}
    code.drop_rules("tests/", "notes.txt", "*.md", "decoder.py", "scanner.py", "encoder.py", "tool.py", "README.md")
    assert code.rules() == []
    assert shares(code.plan(mode="whole"))["r/notes.txt"] == "listed"


def test_rules_that_mean_nothing_are_refused(code: Collection) -> None:
    for pattern in ("", "#x", "!x"):
        with pytest.raises(NotARule):
            code.pin_documents(pattern)
    with pytest.raises(NotARule):
        code.drop_rules("never")
    code.exclude_documents("*")
    with pytest.raises(EmptyCollection):
        code.plan()


def test_a_snapshot_gives_the_same_bytes_after_every_document_changed(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "n"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.txt").write_text(f"{name} is the code of the {name} door. " * 4)
    watcher = Watcher(library, "n", [folder], settle_s=0.0)
    watcher.reconcile()
    collection = library.collection("n")
    answer = collection.ask("What is a?", max_new_tokens=4)
    name = answer.stats.snapshot
    assert name == collection.plan().snapshot
    assert name is not None
    engine = library.engine
    before = collection.prepare(engine, "What is a?", "auto", (), 4).packed
    text = collection.snapshot(name).text
    (folder / "a.txt").write_text("changed")
    (folder / "b.txt").rename(folder / "d.txt")
    assert watcher.reconcile().read == 2
    assert collection.plan().snapshot != name
    kept = collection.snapshot(name)
    again = kept.packed(engine.model.encode_with_offsets)
    assert "[tree-" in text
    assert again.token_ids.tolist() == before.token_ids.tolist()
    assert again.digest == kept.digest == before.digest
    assert kept.text == text
    assert "a is the code of the a door." in text
    collection.ask("What is a?", max_new_tokens=4)
    collection.ask("Who is a?", max_new_tokens=4)  # from the same texts: no snapshot of its own
    assert len(collection.snapshots()) == 2


def test_deleting_a_document_deletes_it_from_snapshots_too(library: Library, tmp_path: Path) -> None:
    collection = library.collection("n")
    collection.add_bytes("a.txt", b"the secret of the lighthouse")
    collection.add_bytes("b.txt", b"other words")
    name = collection.ask("What?", max_new_tokens=2).stats.snapshot
    assert name is not None
    collection.add_bytes("a.txt", b"nothing")  # the old text is put aside
    assert "lighthouse" in collection.snapshot(name).text
    collection.remove("a.txt")
    with pytest.raises(SnapshotIncomplete) as caught:
        collection.snapshot(name)
    assert caught.value.paths == ["a.txt"]
    library.close()
    for file in library.settings.home.glob("library.db*"):
        assert b"lighthouse" not in file.read_bytes()
    with pytest.raises(NoSuchSnapshot):
        collection.snapshot("0")


def test_passages_stand_with_what_surrounds_them_where_there_is_room(default_language_model: LanguageModel) -> None:
    lines = [f"Line {n} tells of thing {n}.\n" for n in range(2000)]
    document = Document("a.txt", "", "0", "text", "a", "".join(lines), Verdict("loaded"))
    at = document.line_start(1000)
    hit = Hit("a.txt", at, document.line_start(1001))
    encode = default_language_model.encode_with_offsets
    (small,) = choose_passages([document], [hit], encode, room=80)
    assert (small.start, small.end) == (hit.start, hit.end)
    (large,) = choose_passages([document], [hit], encode, room=16_000)
    assert 1000 < len(encode(document.text[large.start : large.end])[0]) <= 4096
    assert large.start <= hit.start < hit.end <= large.end
