"""Planning: pin and exclude rules, snapshots of what answers were made from, and texts that only they still need."""

import sqlalchemy as sa
from alembic import op

revision = "m004_planning"
down_revision = "m003_jobs"


def _of(table: str) -> sa.Column[int]:
    return sa.Column(
        f"{table}_id", sa.Integer, sa.ForeignKey(f"{table}.id", ondelete="CASCADE"), nullable=False, index=True
    )


def _texts(*names: str) -> tuple[sa.Column[str], ...]:
    return tuple(sa.Column(name, sa.String, nullable=False) for name in names)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "rule",
        sa.Column("id", sa.Integer, primary_key=True),
        _of("collection"),
        *_texts("effect", "pattern"),
        sa.UniqueConstraint("collection_id", "pattern"),
    )
    op.create_table(
        "snapshot",
        sa.Column("id", sa.Integer, primary_key=True),
        _of("collection"),
        *_texts("hash", "mode", "digest"),
        sa.Column("listed", sa.JSON, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.UniqueConstraint("collection_id", "hash"),
    )
    op.create_table(
        "snapshot_part",
        sa.Column("id", sa.Integer, primary_key=True),
        _of("snapshot"),
        sa.Column("position", sa.Integer, nullable=False),
        *_texts("path"),
        sa.Column("digest", sa.String, nullable=False, index=True),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("end", sa.Integer, nullable=False),
        sa.Column("same_as", sa.String),
        sa.Column("pieces", sa.JSON, nullable=False),
    )
    op.create_table(
        "old_text",
        sa.Column("id", sa.Integer, primary_key=True),
        _of("collection"),
        *_texts("path", "digest", "content_hash", "kind", "title"),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("pages", sa.JSON, nullable=False),
        sa.UniqueConstraint("collection_id", "path", "digest"),
    )


def downgrade() -> None:
    """Forget rules and snapshots; the documents stay."""
    for table in ("old_text", "snapshot_part", "snapshot", "rule"):
        op.drop_table(table)
