"""Batches: tables of questions over corpora that are read once."""
