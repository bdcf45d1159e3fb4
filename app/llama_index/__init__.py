"""Omnibus in LlamaIndex programs: model, reader, retriever, query and chat engine, on llama-index-core alone."""

from app.llama_index.chat_engine import CorpusChatEngine
from app.llama_index.llm import OmnibusLLM
from app.llama_index.nodes import citation_blocks, citation_nodes
from app.llama_index.query_engine import GroundedQueryEngine
from app.llama_index.reader import OmnibusReader
from app.llama_index.retriever import WholeCorpusRetriever

__all__ = [
    "CorpusChatEngine",
    "GroundedQueryEngine",
    "OmnibusLLM",
    "OmnibusReader",
    "WholeCorpusRetriever",
    "citation_blocks",
    "citation_nodes",
]
