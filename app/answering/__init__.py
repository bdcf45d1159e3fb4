"""Answering: the prompt's words, the stream, citations resolved to places, and what went on inside."""
