"""Metrics: what /metrics tells Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from app.answering.answer import AnswerStats
from app.http.queue import Queue

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
SHARES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 1)


class Metrics:
    """Counters of one server."""

    def __init__(self, queue: Queue) -> None:
        self.registry = registry = CollectorRegistry()
        self._prompt = self._cached = 0
        limit = Gauge("omnibus_queue_limit", "Requests that may wait.", registry=registry)
        limit.set_function(lambda: float(queue.limit))
        waiting = Gauge("omnibus_queue_waiting", "Requests that wait for the engine.", registry=registry)
        waiting.set_function(lambda: queue.waiting)
        running = Gauge("omnibus_queue_running", "Requests that the engine works on.", registry=registry)
        running.set_function(lambda: float(queue.running))
        self.requests = Counter(
            "omnibus_requests", "Answered requests.", ("method", "route", "status"), registry=registry
        )
        self.prompt = Counter("omnibus_prompt_tokens", "Tokens of all prompts.", registry=registry)
        self.cached = Counter(
            "omnibus_cached_tokens", "Tokens of them that were in the session store.", registry=registry
        )
        self.made = Counter("omnibus_answer_tokens", "Tokens of all answers.", registry=registry)
        share = Gauge("omnibus_cache_hit_share", "Share of all prompt tokens that were kept.", registry=registry)
        share.set_function(lambda: self._cached / self._prompt if self._prompt else 0.0)
        self.rate = Gauge(
            "omnibus_prefill_tokens_per_second", "Rate of the last prompt of which some was read.", registry=registry
        )
        self.prefill = Counter("omnibus_prefill_seconds", "Seconds spent on reading prompts.", registry=registry)
        self.ttft = Histogram(
            "omnibus_ttft_seconds", "From an answer's begin to its first token.", buckets=SECONDS, registry=registry
        )
        self.waited = Histogram(
            "omnibus_queue_wait_seconds", "From a request's coming to its turn.", buckets=SECONDS, registry=registry
        )
        self.density = Histogram(
            "omnibus_density", "Share of the attention that was computed.", buckets=SHARES, registry=registry
        )
        self.kept = Histogram("omnibus_kept_mass", "Share of the attention kept.", buckets=SHARES, registry=registry)

    def count(self, stats: AnswerStats) -> None:
        """Add an answer."""
        self._prompt += stats.prompt_tokens
        self._cached += stats.cached_tokens
        computed = stats.prompt_tokens - stats.cached_tokens
        if computed and stats.prefill_s:
            self.rate.set(computed / stats.prefill_s)
        self.prompt.inc(stats.prompt_tokens)
        self.cached.inc(stats.cached_tokens)
        self.made.inc(stats.answer_tokens)
        self.prefill.inc(stats.prefill_s)
        self.ttft.observe(stats.ttft_s)
        if stats.density is not None:
            self.density.observe(stats.density)
        if stats.recall is not None:
            self.kept.observe(stats.recall)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
