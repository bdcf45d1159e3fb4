"""/api: collections, documents, plans and sessions, for programs of our own and for generated clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Path, Query, Request, Response

from app.catalogue import CollectionInfo
from app.conversations import ConversationInfo, Format
from app.document_info import DocumentInfo
from app.errors import NotAnswerable
from app.http.viewed import library_of
from app.planning.planner import ModeChoice, Plan
from app.reports import Kept, WarmReport
from app.source import SourceView
from engine.store import Manifest

router = APIRouter(prefix="/api")
Name = Annotated[str, Path(max_length=200, description="Name of a collection.")]
UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
Problem: dict[int | str, dict[str, Any]] = {
    code: {"description": what, "content": {"application/json": {"schema": {"type": "object"}}}}
    for code, what in ((400, "Cannot be done; the message says why."), (404, "There is no such thing."))
}

FORMS: dict[Format, str] = {
    "markdown": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "jsonl": "application/jsonl",
}
ENDINGS: dict[Format, str] = {"markdown": "md", "html": "html", "jsonl": "jsonl"}


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A kept session; bytes on disk, `created` in nanoseconds since 1970."""

    name: str
    tokens: int
    bytes: int
    created: int


@router.get("/collections", tags=["collections"])
def collections(request: Request) -> list[CollectionInfo]:
    """Every collection, by name."""
    return library_of(request).collections()


@router.delete("/collections/{name}", tags=["collections"], status_code=204, responses=Problem)
def forget(name: Name, request: Request) -> Response:
    """Forget a collection and its documents."""
    library_of(request).delete_collection(name)
    return Response(status_code=204)


@router.get("/collections/{name}/documents", tags=["documents"], responses=Problem)
def documents(name: Name, request: Request) -> list[DocumentInfo]:
    """Every document with its verdict, skipped ones too."""
    library_of(request).require(name)
    return library_of(request).collection(name).documents()


@router.post(
    "/collections/{name}/documents", tags=["documents"], status_code=201, responses=Problem, openapi_extra=UPLOAD
)
async def upload(
    name: Name, request: Request, filename: Annotated[str, Query(min_length=1, max_length=1000)]
) -> DocumentInfo:
    """Add the body as a file of that path (one of the same path is replaced); a new collection comes to be."""
    if "\x00" in filename or "\x00" in name:
        raise NotAnswerable("A name cannot hold a null character.")
    data = await request.body()
    collection = library_of(request).collection(name)
    return await anyio.to_thread.run_sync(collection.add_bytes, filename, data)


@router.delete("/collections/{name}/documents/{path:path}", tags=["documents"], status_code=204, responses=Problem)
def remove(name: Name, path: str, request: Request) -> Response:
    """Take a document out of a collection."""
    library_of(request).require(name)
    library_of(request).collection(name).remove(path)
    return Response(status_code=204)


@router.get("/collections/{name}/source", tags=["documents"], responses=Problem)
def source(
    name: Name,
    request: Request,
    document: str,
    char_start: Annotated[int | None, Query(ge=0)] = None,
    char_end: Annotated[int | None, Query(ge=0)] = None,
    context_lines: Annotated[int, Query(ge=0, le=500)] = 40,
) -> SourceView:
    """The lines around characters char_start..char_end of a document (its id or path)."""
    library_of(request).require(name)
    collection = library_of(request).collection(name)
    return collection.source(document, char_start=char_start, char_end=char_end, context_lines=context_lines)


@router.get("/collections/{name}/conversations", tags=["conversations"], responses=Problem)
def conversations(name: Name, request: Request, words: str = "") -> list[ConversationInfo]:
    """The conversations kept of a collection whose name, questions or answers hold the words, latest first."""
    library_of(request).require(name)
    return library_of(request).collection(name).conversations.all(words)


@router.get(
    "/collections/{name}/conversations/{number}",
    tags=["conversations"],
    response_class=Response,
    responses={**Problem, 200: {"content": {form: {"schema": {"type": "string"}} for form in FORMS.values()}}},
)
def conversation(
    name: Name, number: Annotated[int, Path(ge=0, lt=1 << 63)], request: Request, form: Format = "markdown"
) -> Response:
    """A conversation as a file: questions, answers, citations with their places, and what each was made from."""
    library_of(request).require(name)
    text = library_of(request).collection(name).conversations.export(number, form)
    head = {"content-disposition": f'attachment; filename="conversation-{number}.{ENDINGS[form]}"'}
    return Response(text, media_type=FORMS[form], headers=head)


@router.get("/collections/{name}/plan", tags=["collections"], responses=Problem)
def plan(name: Name, request: Request, mode: ModeChoice = "auto") -> Plan:
    """What a question would read, what of it is in the session store, and how long reading the rest takes."""
    return library_of(request).collection(name).plan(mode=mode)


@router.get("/collections/{name}/kept", tags=["collections"], responses=Problem)
def kept(name: Name, request: Request) -> Kept:
    """How much of the collection the session store gives back, and why no more."""
    return library_of(request).collection(name).kept()


@router.post("/collections/{name}/warm", tags=["collections"], responses=Problem)
async def warm(name: Name, request: Request) -> WarmReport:
    """Read the whole collection into the session store, in turn with questions."""
    async with request.app.state.queue.turn():
        return await anyio.to_thread.run_sync(library_of(request).collection(name).warm)


@router.get("/sessions", tags=["sessions"])
def sessions(request: Request) -> list[SessionInfo]:
    """Every kept session; they belong to no user, so a reader sees none."""
    library_of(request).check_may_change()
    return [_info(manifest) for manifest in library_of(request).store.sessions()]


@router.post("/sessions", tags=["sessions"], status_code=201, responses=Problem)
async def pin(
    request: Request, name: Annotated[str, Query(min_length=1, max_length=200)], collection: str
) -> SessionInfo:
    """Read a whole collection, unless it is kept already, and keep it as a session of that name."""
    library = library_of(request)
    async with request.app.state.queue.turn():
        manifest, _ = await anyio.to_thread.run_sync(library.collection(collection).pin, name)
    return _info(manifest)


@router.delete("/sessions/{name}", tags=["sessions"], status_code=204, responses=Problem)
def unpin(name: str, request: Request) -> Response:
    """Let a session go; its states are evicted when room is needed."""
    library_of(request).store.remove(name)
    return Response(status_code=204)


def _info(manifest: Manifest) -> SessionInfo:
    return SessionInfo(manifest.name, len(manifest.tokens), manifest.bytes, manifest.created)
