"""Files to documents to packed prompts: readers, decoding, walking, packing. Knows a tokenizer only as a callable."""

from ingest.archive import is_archive
from ingest.document import Document, Kind, Page, Verdict
from ingest.duplicates import Duplicate, near
from ingest.errors import FileMissing, IngestError
from ingest.outline import outline
from ingest.pack import Excerpt, PackedPrompt, count_tokens, counts, listing, pack, token_key, tree_of, whole
from ingest.page_image import PageImage, page_image
from ingest.passages import Passage, passages
from ingest.read import read, read_all, read_all_bytes, read_bytes, skipped, source_of
from ingest.span_map import PackedEntry, Span, SpanMap
from ingest.tokens import Encode, TokenCache, purge_tokens
from ingest.tree import TreeLines, tree_lines
from ingest.walk import Found, walk

__all__ = [
    "Document",
    "Duplicate",
    "Encode",
    "Excerpt",
    "FileMissing",
    "Found",
    "IngestError",
    "Kind",
    "PackedEntry",
    "PackedPrompt",
    "Page",
    "PageImage",
    "Passage",
    "Span",
    "SpanMap",
    "TokenCache",
    "TreeLines",
    "Verdict",
    "count_tokens",
    "counts",
    "is_archive",
    "listing",
    "near",
    "outline",
    "pack",
    "page_image",
    "passages",
    "purge_tokens",
    "read",
    "read_all",
    "read_all_bytes",
    "read_bytes",
    "skipped",
    "source_of",
    "token_key",
    "tree_lines",
    "tree_of",
    "walk",
    "whole",
]
