"""Errors as HTTP answers: ours as one sentence with a fitting status, in OpenAI's shape."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.errors import (
    JobRunning,
    NoSuchCollection,
    NoSuchConversation,
    NoSuchDocument,
    NoSuchJob,
    NotAllowed,
    OmnibusError,
    UploadTooLarge,
)
from app.http.queue import Busy
from app.http.refused import Refused
from app.http.schemas import error_body
from engine.errors import Cancelled, EngineError, PromptTooLong
from engine.store.errors import NoSuchSession
from ingest.errors import IngestError


def answer_for(error: Exception) -> JSONResponse:
    """Status and body for an error of ours."""
    if isinstance(error, NoSuchCollection | NoSuchConversation | NoSuchDocument | NoSuchJob | NoSuchSession):
        return JSONResponse(error_body(str(error), "invalid_request_error", code="not_found"), 404)
    if isinstance(error, NotAllowed):
        return JSONResponse(error_body(str(error), "invalid_request_error", code="not_allowed"), 403)
    if isinstance(error, PromptTooLong):
        body = error_body(str(error), "invalid_request_error", "messages", "context_length_exceeded")
        return JSONResponse(body, 400)
    if isinstance(error, Busy):
        body = error_body(str(error), "rate_limit_error", code="queue_full")
        return JSONResponse(body, 429, {"retry-after": str(error.retry_after)})
    if isinstance(error, JobRunning):
        return JSONResponse(error_body(str(error), "invalid_request_error", code="conflict"), 409)
    if isinstance(error, UploadTooLarge):
        return JSONResponse(error_body(str(error), "invalid_request_error", code="too_large"), 413)
    if isinstance(error, Cancelled):
        return JSONResponse(error_body(str(error), "invalid_request_error", code="cancelled"), 499)
    status = 400 if isinstance(error, OmnibusError) else 503
    kind = "invalid_request_error" if status == 400 else "server_error"
    return JSONResponse(error_body(str(error), kind), status)


def install(app: FastAPI) -> None:
    """Make the app answer our errors, and wrong bodies, in that shape."""

    async def ours(_: Request, error: Exception) -> JSONResponse:
        return answer_for(error)

    async def wrong_body(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return JSONResponse(error_body(f"{where}: {first['msg']}", "invalid_request_error", where), 400)

    async def refused(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Refused)
        return JSONResponse(error_body(error.message, "invalid_request_error", code=error.code), error.status)

    async def routing(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return JSONResponse(error_body(str(error.detail), "invalid_request_error"), error.status_code, error.headers)

    async def fault(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse(error_body("Something went wrong in Omnibus; see its log.", "server_error"), 500)

    app.add_exception_handler(Exception, fault)  # the server still logs it
    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(HTTPException, routing)
    for kind in (OmnibusError, EngineError, IngestError):
        app.add_exception_handler(kind, ours)
    app.add_exception_handler(RequestValidationError, wrong_body)
