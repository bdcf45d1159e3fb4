"""Search: passages found by words, by parts of words, and by learned sparse weights."""
