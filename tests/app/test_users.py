"""Users: passwords as argon2 hashes, roles, and that nobody meets what is another's, in the library itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from app.answering.answer import Answer, AnswerStats
from app.batch import batches
from app.collection import Collection
from app.database.models import SignInRow
from app.errors import NoSuchCollection, NoSuchConversation, NoSuchJob, NotAllowed, UserProblem
from app.library import Library
from app.users import User

PASSWORD = "a long one, and salted"
ANSWER = Answer("18.", (), AnswerStats(10, 0, 0.1, 0.2, 5.0, "auto", "whole", None, None, 7), "Read whole.")


@pytest.fixture
def shared(library: Library) -> Library:
    """Alice sees the hut, Bob the shore; Zoe administers."""
    library.collection("hut").add_bytes("hut.md", b"# Hut\n\nThe roof carries 18 panels.\n")
    library.collection("shore").add_bytes("shore.md", b"# Shore\n\nThe keeper is Ines.\n")
    for name in ("alice", "bob"):
        library.users.add(name, "reader", PASSWORD)
    library.users.add("zoe", "admin", PASSWORD)
    library.users.grant("alice", ["hut"])
    library.users.grant("bob", ["shore"])
    return library


def user(library: Library, name: str) -> User:
    found = library.users.named(name)
    assert found is not None
    return found


def test_a_password_is_kept_as_a_salted_argon2_hash_and_checked_against_it(shared: Library) -> None:
    with sqlite3.connect(shared.settings.database) as db:
        kept = [row[0] for row in db.execute('SELECT password FROM "user"')]
    assert all(hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$") for hashed in kept)
    assert len(set(kept)) == 3
    assert shared.users.check("alice", PASSWORD) == user(shared, "alice")
    assert shared.users.check("alice", PASSWORD + " ") is None
    assert shared.users.check("nobody", PASSWORD) is None
    shared.users.add("proxied", "reader", None)
    assert shared.users.check("proxied", "") is None


def test_a_sign_in_ends_by_signing_out_by_time_and_by_another_password(shared: Library) -> None:
    users, alice = shared.users, user(shared, "alice")
    secret = users.sign_in(alice)
    assert users.signed_in(secret) == alice
    with sqlite3.connect(shared.settings.database) as db:
        assert secret not in str(list(db.execute("SELECT * FROM sign_in")))
    users.sign_out(secret)
    assert users.signed_in(secret) is None
    secret = users.sign_in(alice)
    with shared.sessions.begin() as db:
        db.execute(update(SignInRow).values(expires=datetime.now(UTC) - timedelta(seconds=1)))
    assert users.signed_in(secret) is None
    secret = users.sign_in(alice)
    users.set_password("alice", PASSWORD + "2")
    assert users.signed_in(secret) is None
    assert users.check("alice", PASSWORD) is None


@pytest.mark.parametrize("name", ["", " ", " alice", "a\nb", "x" * 65, "alice"])
def test_a_name_that_cannot_be_or_is_taken_is_refused(shared: Library, name: str) -> None:
    with pytest.raises(UserProblem):
        shared.users.add(name, "reader", PASSWORD)


def test_the_last_admin_stays_while_there_are_others(shared: Library) -> None:
    with pytest.raises(UserProblem, match="last administrator"):
        shared.users.remove("zoe")
    for name in ("alice", "bob", "zoe"):
        shared.users.remove(name)
    assert not shared.users.any()


def test_each_sees_the_granted_collections_only_and_an_admin_all(shared: Library) -> None:
    def names(name: str) -> list[str]:
        return [info.name for info in shared.seen_by(user(shared, name)).collections()]

    assert (names("alice"), names("bob"), names("zoe")) == (["hut"], ["shore"], ["hut", "shore"])
    shared.users.revoke("alice", ["hut"])
    assert names("alice") == []


def test_anothers_collection_is_as_if_it_were_not_there(shared: Library) -> None:
    alices = shared.seen_by(user(shared, "alice"))
    with pytest.raises(NoSuchCollection) as hidden:
        alices.collection("shore")
    with pytest.raises(NoSuchCollection) as missing:
        alices.collection("never")
    assert hidden.value.message == missing.value.message.replace("never", "shore")
    assert alices.collection("hut").documents()


def test_what_is_revoked_is_refused_when_the_prompt_is_packed(shared: Library) -> None:
    held: Collection = shared.seen_by(user(shared, "alice")).collection("hut")
    assert held.ask("How many panels?", max_new_tokens=4).stats.mode == "whole"
    shared.users.revoke("alice", ["hut"])
    with pytest.raises(NoSuchCollection):
        held.ask("How many panels?", max_new_tokens=4)
    with pytest.raises(NoSuchCollection):
        held.plan()


@pytest.mark.parametrize(
    "change",
    [
        lambda library: library.collection("hut").add_bytes("new.md", b"# New\n"),
        lambda library: library.collection("hut").add("."),
        lambda library: library.collection("hut").start_add("."),
        lambda library: library.collection("hut").remove("hut.md"),
        lambda library: library.collection("hut").exclude_documents("*.md"),
        lambda library: library.collection("hut").pin_documents("*.md"),
        lambda library: library.collection("hut").drop_rules("*.md"),
        lambda library: library.delete_collection("hut"),
    ],
)
def test_a_reader_changes_nothing(shared: Library, change: Callable[[Library], object]) -> None:
    with pytest.raises(NotAllowed, match="'alice' may read here"):
        change(shared.seen_by(user(shared, "alice")))
    assert [d.path for d in shared.collection("hut").documents()] == ["hut.md"]
    assert shared.collection("hut").rules() == []
    assert shared.jobs() == []


def test_conversations_are_their_users_own_even_with_the_same_collection(shared: Library) -> None:
    shared.users.grant("bob", ["hut"])
    alices, bobs, zoes = (shared.seen_by(user(shared, n)).collection("hut") for n in ("alice", "bob", "zoe"))
    number = alices.conversations.add("How many panels?", ANSWER)
    ours = shared.collection("hut").conversations
    for others in (bobs.conversations, zoes.conversations, ours):
        assert others.all() == []
        assert others.all("panels") == []
        for meddle in (
            lambda them: them.get(number),
            lambda them: them.rename(number, "mine"),
            lambda them: them.delete(number),
            lambda them: them.export(number, "markdown"),
            lambda them: them.add("And?", ANSWER, number),
        ):
            with pytest.raises(NoSuchConversation):
                meddle(others)
    assert [info.name for info in alices.conversations.all()] == ["How many panels?"]
    shared.users.remove("alice")
    with sqlite3.connect(shared.settings.database) as db:
        assert db.execute("SELECT count(*) FROM conversation_turn").fetchone() == (0,)


def test_a_batch_is_its_users_own_and_reads_only_what_that_user_sees(shared: Library) -> None:
    alices, bobs = (shared.seen_by(user(shared, n)) for n in ("alice", "bob"))
    rows = [{"question": "How many panels?"}, {"question": "Who is the keeper?", "collection": "shore"}]
    job = batches.submit(alices, rows, collection="hut")
    while alices.job(job.id).state == "running":
        pass
    seen, hidden = list(batches.rows(alices, job.id))
    assert '"error": null' in seen
    assert "There is no collection 'shore'. There are: hut." in hidden
    assert "Ines" not in hidden
    assert [j.id for j in alices.jobs()] == [job.id]
    assert bobs.jobs() == []
    for look in (bobs.job, bobs.cancel_job, bobs.resume_job):
        with pytest.raises(NoSuchJob):
            look(job.id)
    for read in (batches.rows, batches.total):
        with pytest.raises(NoSuchJob):
            read(bobs, job.id)
