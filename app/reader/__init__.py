"""The reader that ships: training tasks from real documents in our own prompt form, and its judge; not the product."""
