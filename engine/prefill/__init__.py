"""Prefill: a prompt read once, under a policy whose loss is measured."""
