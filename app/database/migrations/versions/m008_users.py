"""Users, their sign-ins and what they may see; conversations and jobs get an owner."""

import sqlalchemy as sa
from alembic import op

revision = "m008_users"
down_revision = "m007_conversations"
branch_labels = None
depends_on = None


def _user() -> sa.Column[int]:
    key = sa.ForeignKey("user.id", ondelete="CASCADE")
    return sa.Column("user_id", sa.Integer, key, nullable=False, index=True)


def upgrade() -> None:
    """Create the tables; what was kept until now has no owner."""
    op.create_table(
        "user",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("password", sa.String),
        sa.Column("created", sa.DateTime, nullable=False),
    )
    op.create_table(
        "sign_in",
        sa.Column("digest", sa.String, primary_key=True),
        _user(),
        sa.Column("expires", sa.DateTime, nullable=False),
    )
    op.create_table(
        "grant",
        sa.Column("id", sa.Integer, primary_key=True),
        _user(),
        sa.Column(
            "collection_id",
            sa.Integer,
            sa.ForeignKey("collection.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.UniqueConstraint("user_id", "collection_id"),
    )
    for table in ("conversation", "job"):
        # not by batch_alter_table: it drops the table for a new one, which would delete all that refers to its rows
        op.execute(f'ALTER TABLE {table} ADD COLUMN user_id INTEGER REFERENCES "user" (id) ON DELETE CASCADE')
        op.create_index(f"ix_{table}_user_id", table, ["user_id"])


def downgrade() -> None:
    """Forget users and all that is theirs."""
    for table in ("conversation", "job"):
        op.execute(f"DELETE FROM {table} WHERE user_id IS NOT NULL")
        op.drop_index(f"ix_{table}_user_id", table)
        op.drop_column(table, "user_id")
    for table in ("grant", "sign_in", "user"):
        op.drop_table(table)
