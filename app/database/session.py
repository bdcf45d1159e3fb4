"""Opening the database: SQLite in WAL mode, brought to the newest schema by Alembic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from filelock import FileLock
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session, sessionmaker

MIGRATIONS = Path(__file__).parent / "migrations"


def connect(path: Path) -> Engine:
    """An engine for the file; foreign keys on, what is deleted overwritten, writers wait for each other up to 30 s."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def open_database(path: Path) -> sessionmaker[Session]:
    """Create or upgrade the database; one process migrates while the others wait."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = connect(path)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with FileLock(f"{path}.lock"), engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    path.chmod(0o600)
    return sessionmaker(engine, expire_on_commit=False)


def truncate(sessions: sessionmaker[Session]) -> None:
    """Empty the write-ahead log, which holds what was deleted until then; where readers hinder it, the next time."""
    with sessions() as db:
        db.connection(execution_options={"isolation_level": "AUTOCOMMIT"}).exec_driver_sql(
            "PRAGMA wal_checkpoint(TRUNCATE)"
        )
