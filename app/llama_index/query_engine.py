"""GroundedQueryEngine: a collection asked through LlamaIndex, its citations as source nodes."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import RESPONSE_TYPE, Response
from llama_index.core.callbacks import CallbackManager
from llama_index.core.prompts.mixin import PromptMixinType
from llama_index.core.schema import QueryBundle

from app.answering.answer import Answer
from app.collection import Collection
from app.llama_index.nodes import citation_nodes
from app.planning.planner import ModeChoice
from engine.decode.sampling import Sampling


class GroundedQueryEngine(BaseQueryEngine):
    """Answers with `source_nodes` that are exact places, not chunks; `metadata` has the statistics and the notice."""

    def __init__(
        self,
        collection: Collection,
        *,
        mode: ModeChoice = "auto",
        sampling: Sampling | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        self._collection, self._mode, self._sampling = collection, mode, sampling
        super().__init__(callback_manager)

    def _get_prompt_modules(self) -> PromptMixinType:
        return {}

    def _query(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        return _response(self._collection.ask(query_bundle.query_str, mode=self._mode, sampling=self._sampling))

    async def _aquery(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        stream = self._collection.stream(query_bundle.query_str, mode=self._mode, sampling=self._sampling)
        async for _ in stream:
            pass
        assert stream.answer is not None
        return _response(stream.answer)


def _response(answer: Answer) -> Response:
    whole: dict[str, Any] = answer.to_dict()
    facts = {key: whole[key] for key in ("stats", "notice", "citations")}
    return Response(answer.text, source_nodes=citation_nodes(answer), metadata=facts)
