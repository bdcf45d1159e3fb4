"""PlainTokenizer: a model's tokenizer for texts of others, in which a special token is only text."""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer

SHORT = 1000
"""Characters that are encoded at once; for more other threads are let run, which itself takes 0.1 ms."""


class PlainTokenizer:
    """A tokenizer of its own for a transformers tokenizer, which any number of threads may use.

    Whether special tokens count is a switch of the object: set for a call it would be set for whatever other threads
    are reading, or fail while they do.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids, and the characters (start, end) that each came from."""
        if len(text) <= SHORT:
            made = self._tokenizer.encode(text, add_special_tokens=False)
        else:
            (made,) = self._tokenizer.encode_batch([text], add_special_tokens=False)
        return made.ids, made.offsets
