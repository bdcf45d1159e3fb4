"""Jobs: long work with its progress, and the files that each has done with."""

import sqlalchemy as sa
from alembic import op

revision = "m003_jobs"
down_revision = "m002_watched"


def upgrade() -> None:
    """Create the tables."""
    counters = ("files_done", "files_total", "bytes_done", "bytes_total", "bytes_before")
    op.create_table(
        "job",
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("kind", "collection", "state", "at")),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("stop", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in counters),
        sa.Column("tokens", sa.Integer),
        *(sa.Column(name, sa.DateTime, nullable=False) for name in ("created", "started", "updated")),
        sa.Column("error", sa.String),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "job_file",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("job_id", sa.Integer, sa.ForeignKey("job.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("stamp", sa.String, nullable=False),
        sa.Column("paths", sa.JSON, nullable=False),
        sa.UniqueConstraint("job_id", "source"),
    )


def downgrade() -> None:
    """Forget the jobs; the documents stay."""
    op.drop_table("job_file")
    op.drop_table("job")
