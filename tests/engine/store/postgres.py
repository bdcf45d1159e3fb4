"""A real PostgreSQL server of the tests' own, on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg


class Postgres:
    """Started in a folder of its own; as root it runs as the user 'postgres', for it refuses root."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="omnibus-postgres-"))
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self.folder, self._user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run(program("initdb"), "-D", self.folder / "data", "-U", "omnibus", "-A", "trust", "--no-sync", wait=True)
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = ("-p", self.port, "-h", "127.0.0.1", "-k", self.folder, "-c", "fsync=off")
        self._server = self._run(program("postgres"), "-D", self.folder / "data", *options)
        for _ in range(600):
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise RuntimeError("PostgreSQL did not start")

    def stop(self) -> None:
        """Stop it, whoever is connected; what it holds stays."""
        self._server.send_signal(signal.SIGINT)
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def remove(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder)

    def url(self, database: str) -> str:
        """The address of a database."""
        return f"postgresql://omnibus@127.0.0.1:{self.port}/{database}"

    def database(self, name: str) -> str:
        """A new, empty database's address."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            admin.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def _run(self, *command: object, wait: bool = False) -> subprocess.Popen[bytes]:
        arguments = [str(part) for part in command]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(arguments, user=self._user, cwd=self.folder, stdout=quiet, stderr=quiet)
        if wait and process.wait():
            raise RuntimeError(f"{arguments[0]} failed")
        return process


def program(name: str) -> str:
    """Where a program of PostgreSQL is, '' where there is none; Debian keeps them out of the PATH."""
    return shutil.which(name) or max((str(p) for p in Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default="")
