"""Documents and citations as LlamaIndex carries them: nodes with character offsets, citation blocks."""

from __future__ import annotations

from llama_index.core.base.llms.types import CitationBlock, TextBlock
from llama_index.core.schema import Document as LlamaDocument
from llama_index.core.schema import NodeWithScore, TextNode

from app.answering.answer import Answer, Citation
from ingest import Document

EXACT_SCORE = 1.0


def document_node(document: Document) -> LlamaDocument:
    """A whole document. Its id follows from path and content, and its metadata holds nothing that changes when the
    file is merely touched, so that LlamaIndex' caches stay good."""
    metadata = {"path": document.path, "title": document.title, "kind": document.kind}
    return LlamaDocument(
        id_=document.id,
        text=document.text,
        metadata=metadata,
        excluded_embed_metadata_keys=["kind"],
        excluded_llm_metadata_keys=["title", "kind"],
    )


def text_node(document: Document, start: int = 0, end: int | None = None) -> TextNode:
    """Characters start..end of a document, which its offsets say."""
    end = len(document.text) if end is None else end
    return TextNode(
        id_=f"{document.id}:{start}-{end}",
        text=document.text[start:end],
        metadata={"path": document.path, "title": document.title},
        excluded_llm_metadata_keys=["title"],
        start_char_idx=start,
        end_char_idx=end,
    )


def citation_nodes(answer: Answer) -> list[NodeWithScore]:
    """An answer's verified citations, each with its characters in the document; unverified quotes have no place."""
    return [
        NodeWithScore(node=_cited(c), score=EXACT_SCORE if c.score is None else c.score / 100)
        for c in answer.citations
        if c.char_start is not None
    ]


def citation_blocks(answer: Answer) -> list[CitationBlock]:
    """The same as blocks of a chat message; places are numbers, a page's label is in the title."""
    return [
        CitationBlock(
            cited_content=TextBlock(text=c.quote),
            source=c.document or "",
            title=c.place,
            additional_location_info={
                key: value
                for key in ("char_start", "char_end", "line_start", "line_end")
                if (value := getattr(c, key)) is not None
            },
        )
        for c in answer.citations
        if c.char_start is not None
    ]


def _cited(citation: Citation) -> TextNode:
    metadata = {key: getattr(citation, key) for key in ("path", "page", "line_start", "line_end", "state", "document")}
    return TextNode(
        id_=f"{citation.document}:{citation.char_start}-{citation.char_end}",
        text=citation.quote,
        metadata={key: value for key, value in metadata.items() if value is not None},
        start_char_idx=citation.char_start,
        end_char_idx=citation.char_end,
    )
