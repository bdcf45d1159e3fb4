"""Watched files: what each file of a watched folder was when it was last read."""

import sqlalchemy as sa
from alembic import op

revision = "m002_watched"
down_revision = "m001_library"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "watched",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "collection_id",
            sa.Integer,
            sa.ForeignKey("collection.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("stamp", sa.String, nullable=False),
        sa.UniqueConstraint("collection_id", "source"),
    )


def downgrade() -> None:
    """Forget what was watched; the documents stay."""
    op.drop_table("watched")
