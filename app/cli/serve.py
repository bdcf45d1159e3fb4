"""omnibus serve: the web page and the HTTP API."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.console import ModelOption, err, fail, library


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [OMNIBUS_HOST, default 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port [OMNIBUS_PORT, default 8321].")] = None,
    model: ModelOption = None,
) -> None:
    """Serve the page at / and the OpenAI-compatible API under /v1."""
    with library(model) as lib:
        import uvicorn

        from app.server import create_app

        address, number = host or lib.settings.host, lib.settings.port if port is None else port
        if address not in ("127.0.0.1", "localhost", "::1"):
            err.print(f"Anyone who can reach {address} can read every collection: there are no passwords yet.")
        err.print(f"Omnibus is on http://{address}:{number} (stop with Ctrl-C)", markup=False)
        try:
            uvicorn.run(create_app(lib), host=address, port=number, log_level="warning")
        except SystemExit:
            raise fail(f"The address {address}:{number} cannot be used. Choose another with --port.") from None
