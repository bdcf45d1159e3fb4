"""GET /v1/models: the model once per collection."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from app.http.viewed import library_of

router = APIRouter(tags=["OpenAI"])


@router.get("/v1/models")
def models(request: Request) -> dict[str, Any]:
    """Every `llm@collection` that can be asked."""
    library = library_of(request)
    llm = library.engine.model.name if library.loaded else library.settings.model
    if library.generator is not None:
        llm = library.generator.name
    data = [
        {
            "id": f"{llm}@{info.name}",
            "object": "model",
            "created": int(info.created.timestamp()),
            "owned_by": "omnibus",
        }
        for info in library.collections()
    ]
    return {"object": "list", "data": data}
