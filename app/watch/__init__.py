"""Watching: collections kept equal to folders."""
