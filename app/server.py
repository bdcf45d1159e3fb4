"""The server: HTTP API and web page in one FastAPI app."""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http import api, batch, chat, completions, errors, jobs, models
from app.http.gate import Gate
from app.http.metrics import Metrics
from app.http.queue import Queue
from app.http.tokens import Tokens
from app.library import Library

ABOUT = "Whole books and codebases in one prompt. `model` is `llm@collection`; `llm@` asks the bare model."
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
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
    """The app over a library: /healthz, /metrics, /v1/…, /api/… (described in /openapi.json), and the page at /."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio

    from ui.page import build, mount_options

    app = FastAPI(title="Omnibus", description=ABOUT, docs_url=None, redoc_url=None)
    queue = Queue(library.settings.queue_limit)
    metrics = Metrics(queue)
    app.state.library, app.state.queue, app.state.metrics = library, queue, metrics
    errors.install(app)
    for routes in (models, chat, completions, api, batch, jobs):
        app.include_router(routes.router)

    @app.get("/metrics", include_in_schema=False)
    async def prometheus() -> Response:
        """Counters in Prometheus' text format."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        """Alive; `model_loaded` says whether the first question must wait for the model."""
        return {"status": "ok", "model_loaded": library.loaded}

    @app.api_route("/v1/{rest:path}", methods=METHODS, include_in_schema=False)
    @app.api_route("/api/{rest:path}", methods=METHODS, include_in_schema=False)
    async def nothing(rest: str, request: Request) -> None:
        """What the page, which takes all other paths, would answer in a shape of its own."""
        raise HTTPException(404, f"There is no {request.method} {request.url.path}. See: /openapi.json")

    app.add_middleware(Gate, settings=library.settings, tokens=Tokens(library.settings.home), metrics=metrics)
    app.add_middleware(Confine)
    mounted: FastAPI = gradio.mount_gradio_app(app, build(library), path="/", **mount_options(library))
    return mounted
