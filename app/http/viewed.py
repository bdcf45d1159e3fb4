"""The library as the person of a request sees it."""

from __future__ import annotations

from fastapi import Request

from app.library import Library


def library_of(request: Request) -> Library:
    """Its collections, conversations and jobs are the user's; without a user all."""
    library: Library = request.app.state.library
    return library.seen_by(request.state.viewer)
