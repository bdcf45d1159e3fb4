"""Decode: answers token by token, one or many behind one prefix, and where they looked."""
