"""Sparse policies: one file each, all behind the `Policy` protocol."""

from engine.policies.base import Policy
from engine.policies.dense import Dense
from engine.policies.streaming import Streaming

__all__ = ["Dense", "Policy", "Streaming"]
