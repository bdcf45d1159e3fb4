"""omnibus serve: the web page and the HTTP API."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from app.cli.console import ModelOption, err, fail, library

GRACE_S = 3
"""How long answers under way may go on after Ctrl-C; an open page would hold the server up for ever."""


def _is_news(record: logging.LogRecord) -> bool:
    """Not what uvicorn logs of each answer that it cut short at Ctrl-C."""
    import asyncio

    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [OMNIBUS_HOST, default 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port [OMNIBUS_PORT, default 8321].")] = None,
    model: ModelOption = None,
) -> None:
    """Serve the page at / and the OpenAI-compatible API under /v1."""
    with library(model) as lib:
        import uvicorn

        from app.http.tokens import Tokens
        from app.server import create_app

        address, number = host or lib.settings.host, lib.settings.port if port is None else port
        if address not in ("127.0.0.1", "localhost", "::1") and not Tokens(lib.settings.home).required:
            err.print(
                f"Anyone who can reach {address} can read every collection. Ask for tokens: omnibus token new NAME"
            )
        err.print(f"Omnibus is on http://{address}:{number} (stop with Ctrl-C)", markup=False)
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        try:
            uvicorn.run(
                create_app(lib), host=address, port=number, log_level="warning", timeout_graceful_shutdown=GRACE_S
            )
        except SystemExit:
            raise fail(f"The address {address}:{number} cannot be used. Choose another with --port.") from None
