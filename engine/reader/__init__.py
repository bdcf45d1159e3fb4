"""The reader's adapter: how it is trained, and how it is merged into the default model."""
