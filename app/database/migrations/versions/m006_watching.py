"""Watching: folders that the server watches, and which KV chunks were made of a collection's text."""

import sqlalchemy as sa
from alembic import op

revision = "m006_watching"
down_revision = "m005_trigrams"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "watched_root",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("collection", sa.String, nullable=False),
        sa.Column("path", sa.String, nullable=False),
        sa.UniqueConstraint("collection", "path"),
    )
    op.create_table(
        "kept_chunk",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "collection_id",
            sa.Integer,
            sa.ForeignKey("collection.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        *(sa.Column(name, sa.String, nullable=False) for name in ("namespace", "key", "last")),
        sa.UniqueConstraint("collection_id", "key"),
    )


def downgrade() -> None:
    """Forget both; documents and KV stay."""
    op.drop_table("kept_chunk")
    op.drop_table("watched_root")
