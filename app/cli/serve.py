"""omnibus serve: the web page and the HTTP API."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import CollectionOption, GeneratorOption, ModelOption, err, fail, library

GRACE_S = 3
"""How long answers under way may go on after Ctrl-C; an open page would hold the server up for ever."""


def _is_news(record: logging.LogRecord) -> bool:
    """Not what uvicorn logs of each answer that it cut short at Ctrl-C."""
    import asyncio

    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [OMNIBUS_HOST, default 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port [OMNIBUS_PORT, default 8321].")] = None,
    watch: Annotated[
        list[Path] | None, typer.Option(help="Keep --collection equal to this folder, now and at later starts.")
    ] = None,
    collection: CollectionOption = "default",
    model: ModelOption = None,
    generator: GeneratorOption = None,
    logs: Annotated[
        str, typer.Option(envvar="OMNIBUS_LOGS", help="text, json, or auto: text in a terminal, else json.")
    ] = "auto",
) -> None:
    """Serve the page at / and the OpenAI-compatible API under /v1.

    Beyond this machine it serves only users (omnibus user), tokens (omnibus token) and whom a trusted proxy names.
    Batches that an earlier server left unfinished are gone on with. Every request is logged to stderr.
    """
    if logs not in ("auto", "text", "json"):
        raise fail(f"There is no form of logs '{logs}'. Choose one of: auto, text, json.", 2)
    with library(model, generator) as lib:
        import uvicorn

        from app import adding
        from app.batch import batches
        from app.http.identity import Identities, is_loopback
        from app.http.logs import start_logging
        from app.server import create_app

        address, number = host or lib.settings.host, lib.settings.port if port is None else port
        if not is_loopback(address) and not Identities(lib).required:
            raise fail(
                f"Anyone who can reach {address} could read every collection. Make a user or a token first: "
                "omnibus user add NAME --admin, or omnibus token new NAME."
            )
        if watch:
            adding.check(watch)
            lib.watching.remember(collection, watch)
        for name in lib.watching.start():
            err.print(f"Watching for collection '{name}'", markup=False)
        err.print(f"Omnibus is on http://{address}:{number} (stop with Ctrl-C)", markup=False)
        start_logging("text" if logs == "text" or (logs == "auto" and err.is_terminal) else "json")
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        for job in batches.interrupted(lib):
            lib.resume_job(job.id)
        try:
            uvicorn.run(
                create_app(lib),
                host=address,
                port=number,
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,  # a header would change who seems to connect, which app.http.identity asks
                timeout_graceful_shutdown=GRACE_S,
            )
        except SystemExit:
            raise fail(f"The address {address}:{number} cannot be used. Choose another with --port.") from None
