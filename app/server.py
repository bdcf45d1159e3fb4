"""The server: HTTP API and web page in one FastAPI app."""

from __future__ import annotations

import os
from typing import Any

from anyio import CapacityLimiter
from fastapi import FastAPI, HTTPException, Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http import api, batch, chat, completions, errors, jobs, models, sign_in
from app.http.gate import Gate
from app.http.identity import Identities
from app.http.limits import SignInLimits
from app.http.metrics import Metrics
from app.http.page_guard import PageGuard
from app.http.queue import Queue
from app.library import Library

ABOUT = "Whole books and codebases in one prompt. `model` is `llm@collection`; `llm@` asks the bare model."
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; connect-src 'self'; worker-src 'self' blob:; "
    "frame-ancestors 'none'; object-src 'none'; base-uri 'self'; form-action 'self'"
)
"""Nothing a page shows may be fetched from, or sent to, anywhere else."""
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"same-origin"),
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
    """The app over a library: /healthz, /metrics, /v1/…, /api/… (see /openapi.json), /sign-in, and the page at /."""
    uploads = library.settings.home / "uploads"
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)  # else a folder that every account of this machine can read
    import gradio

    from ui.page import build, mount_options

    app = FastAPI(title="Omnibus", description=ABOUT, docs_url=None, redoc_url=None)
    queue = Queue(library.settings.queue_limit)
    metrics = Metrics(queue)
    app.state.library, app.state.queue, app.state.metrics = library, queue, metrics
    identities = app.state.identities = Identities(library)
    app.state.sign_in_limits, app.state.checking = SignInLimits(), CapacityLimiter(sign_in.AT_ONCE)
    errors.install(app)
    for routes in (models, chat, completions, api, batch, jobs, sign_in):
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

    app.add_middleware(PageGuard, uploads=uploads)
    app.add_middleware(Gate, settings=library.settings, identities=identities, metrics=metrics)
    app.add_middleware(Confine)
    mounted: FastAPI = gradio.mount_gradio_app(app, build(library), path="/", **mount_options(library))
    return mounted
