"""WholeCorpusRetriever: every document whole and in order, or passages where the corpus exceeds the budget."""

from __future__ import annotations

import asyncio

from llama_index.core.callbacks import CallbackManager
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle

from app.collection import Collection
from app.llama_index.nodes import text_node

RESERVE = 512
"""Tokens left for the question, the frame and the answer where no budget is given."""


class WholeCorpusRetriever(BaseRetriever):
    """The whole collection for any question, the same bytes in the same order, so that an engine behind it can keep
    what it read. Beyond `budget` tokens (default: what the model answers well from) the best passages in source order.

    Use it with ResponseMode.SIMPLE_SUMMARIZE, which sends all nodes in one prompt.
    """

    def __init__(
        self, collection: Collection, *, budget: int | None = None, callback_manager: CallbackManager | None = None
    ) -> None:
        self._collection, self._budget = collection, budget
        super().__init__(callback_manager=callback_manager)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        model = self._collection.library.engine.model
        budget = self._budget or model.packed_window - RESERVE
        documents = self._collection.shelf.documents()
        sizes = {d.path: len(model.encode_with_offsets(d.text)[0]) for d in documents}
        if sum(sizes.values()) <= budget:
            return [NodeWithScore(node=text_node(d), score=1.0) for d in documents]
        by_path = {d.path: d for d in documents}
        chosen: list[tuple[str, int, int, float]] = []
        for rank, hit in enumerate(self._collection.shelf.search(query_bundle.query_str)):
            size = len(model.encode_with_offsets(by_path[hit.path].text[hit.start : hit.end])[0])
            if size <= budget:
                budget -= size
                chosen.append((hit.path, hit.start, hit.end, 1 / (1 + rank)))
        nodes = [(text_node(by_path[path], start, end), score) for path, start, end, score in sorted(chosen)]
        return [NodeWithScore(node=node, score=score) for node, score in nodes]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)
