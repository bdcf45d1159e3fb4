"""Logs of a server: a line per request and problem, for people or as JSON, in which no secret can be read."""

from __future__ import annotations

import json
import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

from app.http.tokens import PREFIX

Form = Literal["text", "json"]
REQUEST_ID: ContextVar[str] = ContextVar("omnibus_request_id", default="")
SECRET = re.compile(
    rf"{PREFIX}[\w-]+|(?<=[Bb]earer )[^\s\"']+|(?<=token=)[^\s&\"']+|\b(?:sk|hf|ghp|gho|glpat|xox[bp])[-_][\w-]{{8,}}"
)
HIDDEN = "[hidden]"
log = logging.getLogger("omnibus.http")


def redacted(text: str) -> str:
    """The text without tokens and keys: ours, bearers, `token=…` and those of well-known services."""
    return SECRET.sub(HIDDEN, text)


def log_request(**facts: Any) -> None:
    """Log an answered request by its facts (method, route, status, ms, …); never its query, headers or body."""
    words = " ".join(str(facts[name]) for name in ("method", "route", "status"))
    log.info("%s in %d ms", words, facts["ms"], extra={"facts": facts})


class Line(logging.Formatter):
    """A record as one line, tracebacks included where it is JSON."""

    def __init__(self, form: Form) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s", "%H:%M:%S")
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, redacted."""
        if self._form == "text":
            return redacted(super().format(record))
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": REQUEST_ID.get() or None,
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return redacted(json.dumps(said, ensure_ascii=False, default=str))


def start_logging(form: Form) -> logging.Handler:
    """Send what is logged, from `info` on of ours and from `warning` on of others, to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(Line(form))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    log.setLevel(logging.INFO)
    return handler
