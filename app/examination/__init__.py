"""Examination: questions with known answers, made from one's own documents and asked of them."""
