"""The library as the person at the page may see it."""

from __future__ import annotations

import gradio as gr

from app.collection import Collection
from app.errors import NoSuchCollection
from app.library import Library
from app.users import User

DEFAULT = "default"


def viewer_of(request: gr.Request) -> User | None:
    """Who is signed in at the page; null where nobody need be."""
    assert request.request is not None
    viewer: User | None = request.request.scope["state"]["viewer"]
    return viewer


class Viewed:
    """One library, seen with the rights of whoever a request comes from."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def seen(self, request: gr.Request) -> Library:
        """What this person may see."""
        return self._library.seen_by(viewer_of(request))

    def collection(self, name: str | None, request: gr.Request) -> Collection:
        """A collection; raises NoSuchCollection where this person may not see it."""
        return self.seen(request).collection(name or DEFAULT)

    def found(self, name: str | None, request: gr.Request) -> Collection | None:
        """The same; null where this person may not see it."""
        try:
            return self.collection(name, request)
        except NoSuchCollection:
            return None

    def person(self, request: gr.Request) -> str:
        """Who it is, for what is kept apart by person."""
        viewer = viewer_of(request)
        return "" if viewer is None else viewer.name
