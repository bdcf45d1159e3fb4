"""A real server for tests: uvicorn on a free loopback port, over a small random model that answers at once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from app.library import Library
from app.server import create_app
from app.settings import Settings

NOTES = (
    "The lamp in the boathouse burns whale oil.\nMarta Lindqvist keeps the key of the boathouse.\n\n"
    "The jetty was rebuilt in 1974 after the autumn storm.\n"
)


@contextmanager
def listening(library: Library) -> Iterator[str]:
    """The address of a server over this library, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(create_app(library), host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@contextmanager
def serving(home: Path, model: Path, **settings: Any) -> Iterator[tuple[str, Library]]:
    """The server's address and its library, which holds one collection, 'shore'."""
    with Library(settings=Settings(home=home, model=str(model), dtype="float32", **settings)) as library:
        library.collection("shore").add_bytes("notes.txt", NOTES.encode())
        with listening(library) as address:
            yield address, library
