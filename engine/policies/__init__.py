"""Sparse policies: one file each, all behind the `Policy` protocol."""

from engine.policies.auto import Auto
from engine.policies.base import Policy
from engine.policies.by_name import policy_by_name
from engine.policies.dense import Dense
from engine.policies.flexprefill import FlexPrefill
from engine.policies.minference import MInference
from engine.policies.streaming import Streaming
from engine.policies.trianglemix import TriangleMix
from engine.policies.xattention import XAttention

__all__ = [
    "Auto",
    "Dense",
    "FlexPrefill",
    "MInference",
    "Policy",
    "Streaming",
    "TriangleMix",
    "XAttention",
    "policy_by_name",
]
