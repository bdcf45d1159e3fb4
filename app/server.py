"""The server: HTTP API and web page in one FastAPI app."""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http import chat, errors, models
from app.library import Library

POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; connect-src 'self'; worker-src 'self' blob:; "
    "frame-ancestors 'none'; object-src 'none'; base-uri 'self'; form-action 'self'"
)
"""Nothing a page shows may be fetched from, or sent to, anywhere else."""
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class Confine:
    """ASGI middleware that sends HEADERS with every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything through, adding the headers where an answer starts."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)


def create_app(library: Library) -> FastAPI:
    """The app over a library: /healthz, /v1/…, and the page at /."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio

    from ui.page import build, mount_options

    app = FastAPI(title="Omnibus", docs_url=None, redoc_url=None)
    app.state.library = library
    errors.install(app)
    app.include_router(models.router)
    app.include_router(chat.router)

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        """Alive; `model_loaded` says whether the first question must wait for the model."""
        return {"status": "ok", "model_loaded": library.loaded}

    app.add_middleware(Confine)
    mounted: FastAPI = gradio.mount_gradio_app(app, build(library), path="/", **mount_options(library))
    return mounted
