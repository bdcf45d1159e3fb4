"""Snapshots say how many lines the tree of what was read was allowed."""

import sqlalchemy as sa
from alembic import op

revision = "m009_trees"
down_revision = "m008_users"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; what was read until now had no tree."""
    op.add_column("snapshot", sa.Column("tree_lines", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("snapshot", "tree_lines")
