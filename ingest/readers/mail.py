"""E-mail: one message (eml) or many (mbox, a page each): headers, the body's words, attachments by name."""

from __future__ import annotations

import email
import email.errors
import re
from email.message import EmailMessage, MIMEPart
from email.policy import default

from ingest.document import Verdict
from ingest.errors import Unreadable
from ingest.readers import html, paged
from ingest.readers.content import Content

SHOWN = ("From", "To", "Cc", "Date", "Subject")
START = re.compile(rb"(?:\A|(?<=\n))From [^\r\n]*\d{4}[^\r\n]*\r?\n")
QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
HEADER = re.compile(rb"[!-9;-~]+:[^\n]*\n")


def read(data: bytes, name: str) -> Content:
    """Messages in the order of the file; attachments that were not read are told. Raises Unreadable."""
    starts = [found.start() for found in START.finditer(data)]
    if starts and not data[: starts[0]].strip():
        pieces = [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]
        raw = [QUOTED.sub(rb"\1", piece.partition(b"\n")[2]) for piece in pieces]
    elif HEADER.match(data.lstrip()):
        raw = [data.lstrip()]
    else:
        raise Unreadable("it is no e-mail: it does not begin with headers")
    texts: list[str] = []
    attached, title = 0, ""
    for one in raw:
        try:
            message = email.message_from_bytes(one, policy=default)
            title = title or _header(message, "Subject")
            text, more = _message(message)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, email.errors.MessageError) as error:
            raise Unreadable(f"message {len(texts) + 1} is damaged ({type(error).__name__}: {error})") from error
        texts.append(text)
        attached += more
    reason = f"{attached} attachments are named but not read" if attached else None
    if len(texts) == 1:
        return Content(texts[0], title or name, Verdict("loaded", reason))
    text, pages = paged.join((str(n), part) for n, part in enumerate(texts, 1))
    return Content(text, name, Verdict("loaded", reason), pages)


def _header(message: EmailMessage, name: str) -> str:
    return " ".join(_clean(str(message.get(name, ""))).split())


def _clean(text: str) -> str:
    return re.sub("[\ud800-\udfff]", "\ufffd", text).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _message(message: EmailMessage) -> tuple[str, int]:
    """The text of a message, those it carries included, and how many attachments it names."""
    lines = [f"{name}: {value}" for name in SHOWN if (value := _header(message, name))]
    body = message.get_body(("plain", "html"))
    lines += ["", _words(body) if body is not None else ""]
    attached = 0
    for part in message.iter_attachments() if message.is_multipart() else ():
        if part.get_content_type() == "message/rfc822":
            inner, more = _message(part.get_content())
            lines += ["", inner]
            attached += more
        else:
            attached += 1
            lines.append(f"[attachment: {_clean(part.get_filename() or 'unnamed')}, {part.get_content_type()}]")
    if not message.is_multipart() and body is None:
        attached += 1
        lines.append(f"[attachment: {_clean(message.get_filename() or 'unnamed')}, {message.get_content_type()}]")
    return "\n".join(lines).rstrip("\n") + "\n", attached


def _words(body: MIMEPart) -> str:
    payload = body.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    try:
        text = data.decode(body.get_content_charset("utf-8"), "strict")
    except (UnicodeDecodeError, LookupError):
        text = data.decode("cp1252", "replace")
    text = _clean(text)
    return html.read(text.encode(), "").text if body.get_content_subtype() == "html" else text
