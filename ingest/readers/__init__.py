"""One reader per kind of file: bytes in, `Content` out, Unreadable with a reason where there is no text."""
