"""Trigrams: an index of identifiers' parts beside each collection's index of words."""

import sqlalchemy as sa
from alembic import op

revision = "m005_trigrams"
down_revision = "m004_planning"


def upgrade() -> None:
    """Make the index of each collection that there is, from the texts that its index of words holds."""
    for (number,) in op.get_bind().execute(sa.text("SELECT id FROM collection")).all():
        words, trigrams = f"passage_text_{number}", f"passage_trigram_{number}"
        op.execute(f"CREATE VIRTUAL TABLE {trigrams} USING fts5(text, content='{words}', tokenize='trigram')")
        op.execute(f"INSERT INTO {trigrams} (rowid, text) SELECT rowid, text FROM {words}")


def downgrade() -> None:
    """Drop them; words are still found."""
    for (number,) in op.get_bind().execute(sa.text("SELECT id FROM collection")).all():
        op.execute(f"DROP TABLE IF EXISTS passage_trigram_{number}")
