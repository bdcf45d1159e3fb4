"""Bench: what this machine does with a model, beside what its memory and its arithmetic allow, and beside others."""
