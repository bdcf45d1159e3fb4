"""Attention without a GPU: torch's own flash kernel, called only on the keys that count."""
