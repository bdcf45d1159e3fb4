"""KV: where keys and values lie while a prompt is read and answered from."""
